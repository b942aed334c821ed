"""Line-ups: which variants of a placement were live together.

A variant that joined in December has earned what December's visitors give, and one that was paused
in November has not; so variants are compared over visits in which each could have been shown, and
sums are kept apart by line-up. A line-up is a set of live variants, not a stretch of time: one that
comes back, as when a schedule pauses a variant every night, goes on counting where it was. A unit's
line-up is what was live in the revision of the placement that its decision names; what single
requests excluded makes no line-up of its own.

The *mixed* line-up has the units whose variants came with the request or are not known, and those
of line-ups that made room. It counts towards what a variant earned, and is never used to compare.
"""

from __future__ import annotations

from typing import Final

import msgspec

MIXED: Final = 0
"""Number of the mixed line-up."""
MAX_LINEUPS: Final = 6
"""Line-ups of a placement that are kept apart, beside the mixed one."""


class Lineup(msgspec.Struct, array_like=True):
    """A set of variants that were live together."""

    number: int
    arms: tuple[str, ...]
    revision: int
    """The newest revision of the placement in which they were."""
    waiting: int = 0
    """Units that are not settled yet."""


class Lineups:
    """The line-ups of a placement."""

    def __init__(self) -> None:
        """The mixed line-up alone."""
        self._known: dict[int, Lineup] = {}

    def find(self, arms: tuple[str, ...], revision: int) -> Lineup | None:
        """The line-up of these variants, now seen in ``revision``; None if it is not kept."""
        for lineup in self._known.values():
            if lineup.arms == arms:
                lineup.revision = max(lineup.revision, revision)
                return lineup
        return None

    def add(self, arms: tuple[str, ...], revision: int) -> Lineup:
        """Keep one more line-up."""
        number = max(self._known, default=MIXED) + 1
        lineup = self._known[number] = Lineup(number, arms, revision)
        return lineup

    @property
    def full(self) -> bool:
        """Whether another one needs room."""
        return len(self._known) >= MAX_LINEUPS

    def oldest(self) -> Lineup | None:
        """Of those in which no unit waits, the one last seen in the lowest revision."""
        idle = [lineup for lineup in self._known.values() if not lineup.waiting]
        return min(idle, key=lambda lineup: lineup.revision, default=None)

    def remove(self, lineup: Lineup) -> None:
        """Let go of a line-up."""
        del self._known[lineup.number]

    def wait(self, number: int, units: int) -> None:
        """So many units more wait in a line-up, or less."""
        if number != MIXED:
            self._known[number].waiting += units

    def dump(self) -> list[Lineup]:
        """All but the mixed one, as plain data."""
        return list(self._known.values())

    def restore(self, lineups: list[Lineup]) -> None:
        """Continue from what ``dump`` gave."""
        self._known = {lineup.number: lineup for lineup in lineups}
