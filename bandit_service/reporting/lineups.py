"""Line-ups: which variants of a placement were live together.

A variant that joined in December has earned what December's visitors give, and one that was paused
in November has not; so variants are compared over visits in which each could have been shown, and
sums are kept apart by line-up. A line-up is a set of live variants, not a stretch of time: one that
comes back, as when a schedule pauses a variant every night, goes on counting where it was. A unit's
line-up is what was live where it was decided.

Two line-ups count towards what a variant earned, and are never used to compare:

- the *mixed* one has the units whose variants came with the request or are not known, and those of
  line-ups that made room;
- the *partial* one has the units that could not have shown all that was live, because the request
  excluded some of it, or the policy never drew it. What is excluded depends on the visitor: were
  those units compared, a variant that a site withholds from its eager visitors would look worse
  than it is. A line-up for each set that was left was rejected: there are as many as subsets.
"""

from __future__ import annotations

from typing import Final

import msgspec

MIXED: Final = 0
"""Number of the mixed line-up."""
PARTIAL: Final = 2**32 - 1
"""Number of the partial line-up: the largest that is stored."""
MAX_LINEUPS: Final = 6
"""Line-ups of a placement that are kept apart, beside the mixed and the partial one."""


class Lineup(msgspec.Struct, array_like=True):
    """A set of variants that were live together."""

    number: int
    arms: tuple[str, ...]
    last: int = 0
    """When the newest of its units was opened, in ms."""
    waiting: int = 0
    """Units that are not settled yet."""


class Lineups:
    """The line-ups of a placement."""

    def __init__(self) -> None:
        """The mixed line-up and the partial one alone."""
        self._known: dict[int, Lineup] = {}

    def find(self, arms: tuple[str, ...]) -> Lineup | None:
        """The line-up of these variants; None if it is not kept."""
        return next((lineup for lineup in self._known.values() if lineup.arms == arms), None)

    def add(self, arms: tuple[str, ...]) -> Lineup:
        """Keep one more line-up."""
        number = max(self._known, default=MIXED) + 1
        lineup = self._known[number] = Lineup(number, arms)
        return lineup

    @property
    def full(self) -> bool:
        """Whether another one needs room."""
        return len(self._known) >= MAX_LINEUPS

    def oldest(self) -> Lineup | None:
        """Of those in which no unit waits, the one that was unused for longest."""
        idle = [lineup for lineup in self._known.values() if not lineup.waiting]
        return min(idle, key=lambda lineup: lineup.last, default=None)

    def remove(self, lineup: Lineup) -> None:
        """Let go of a line-up."""
        del self._known[lineup.number]

    def enter(self, number: int, at: int) -> None:
        """A unit that was opened at a time (ms) waits in a line-up."""
        if number in self._known:
            lineup = self._known[number]
            lineup.waiting += 1
            lineup.last = max(lineup.last, at)

    def leave(self, number: int) -> None:
        """A unit waits no more."""
        if number in self._known:
            self._known[number].waiting -= 1

    def dump(self) -> list[Lineup]:
        """All but the mixed and the partial one, as plain data."""
        return list(self._known.values())

    def restore(self, lineups: list[Lineup]) -> None:
        """Continue from what ``dump`` gave."""
        self._known = {lineup.number: lineup for lineup in lineups}
