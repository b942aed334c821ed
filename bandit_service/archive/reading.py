"""The log for those who read all of it: decoded, joined, and by name where it cannot be read.

``Joined`` is the part of the site's fold that needs no model: the same join and the same catalog
history that learning has, so that an outcome here is the outcome that was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from bandit_service.errors import LogError
from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision, Entry, Position, decode
from bandit_service.outcomes.join import Join, Outcome
from bandit_service.policy.chooser import Candidates
from bandit_service.policy.features import shared_line
from bandit_service.policy.logged import LoggedCandidates
from bandit_service.policy.settings import SiteSettings, canonical

LogRow = tuple[Position, bytes]
"""A place in the log and the entry there. (``schema`` has the same, and loads pyarrow.)"""

Item = TypeVar("Item")

_SLACK_MS: Final = 86_400_000
"""How far behind the catalog a decision may reach the log, in ms: more than learning allows."""
_TOLD_EVERY: Final = 1_000
"""Entries between two words on the progress."""


class Joined:
    """The join over a log, and what the model saw of the decisions that it closes."""

    def __init__(self, settings: SiteSettings) -> None:
        """At the start of a log."""
        settings = canonical(settings)
        kept = settings.policy.slot_ms + settings.rewards.window_ms + _SLACK_MS
        self.join = Join(settings.rewards)
        self._history = CatalogHistory(keep_ms=kept)
        self._candidates = LoggedCandidates(self._history)

    def apply(self, position: Position, entry: Entry) -> list[Outcome]:
        """Take in the next entry; the outcomes that it closed."""
        self._history.apply(position, entry)
        return self.join.apply(position, entry)

    def lines(self, decision: Decision) -> list[str] | None:
        """The shared line and one for each candidate; None if the log does not have them."""
        actions = self._candidates.of(decision)
        if actions is None:
            return None
        return [shared_line(decision.persona, decision.traits, decision.context), *actions]

    def asked(self, decision: Decision) -> Candidates | None:
        """The candidates as the service had them; None if the log does not describe them."""
        return self._candidates.asked(decision)

    def still_open(self) -> list[Decision]:
        """The decisions that have not closed."""
        return [unit.decision for unit in self.join.dump().units if unit.decision is not None]


def decoded(rows: Iterable[LogRow]) -> Iterator[tuple[Position, bytes, Entry]]:
    """Each row with its entry.

    Raises:
        LogError: naming the position of an entry that cannot be read, or of a decision that does
            not choose among its own candidates.
    """
    for position, data in rows:
        try:
            entry = decode(data)
        except LogError as exc:
            raise LogError(f"at position {position}, {exc.message}", hint=exc.hint) from exc
        if isinstance(entry, Decision) and not _sound(entry):
            raise LogError(
                f"at position {position}, a decision does not choose among its candidates",
                hint="something else than this program wrote to the log; restore a copy of it",
            )
        yield position, data, entry


def told(rows: Iterable[Item], progress: Callable[[int], None]) -> Iterator[Item]:
    """The rows as they are; ``progress`` is told how many passed since it was last told."""
    passed = 0
    for row in rows:
        yield row
        passed += 1
        if passed == _TOLD_EVERY:
            progress(passed)
            passed = 0
    if passed:
        progress(passed)


def _sound(decision: Decision) -> bool:
    count = len(decision.arms)
    return len(decision.probabilities) == count and 0 <= decision.chosen < count
