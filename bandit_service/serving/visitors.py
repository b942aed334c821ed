"""What is remembered of visitors, read from the store once for a stretch of requests.

A page asks for several placements, and the next page for more: all that is remembered of a
visitor comes in one exchange and is kept for a moment. The memory is a fold over the log and a
moment behind it anyway, and it tells the present slot apart from earlier ones, so nothing changes
by being a few seconds older. What this process itself has shown since is added at once.
"""

from __future__ import annotations

from typing import Final

from bandit_service.errors import StorageError
from bandit_service.events.entries import Decision
from bandit_service.events.visits import Visit, advance, decode_visit
from bandit_service.kept import Kept
from bandit_service.storage.ports import SiteStore

KEEP_MS: Final = 5_000
"""How long what was read of a visitor is used again, in ms."""
MAX_VISITORS: Final = 20_000
"""Visitors kept by one process before all are let go."""
MAX_VISITS: Final = 400_000
"""Visits kept of them together, before all are let go."""


class Visitors:
    """The visits of the visitors who were here a moment ago."""

    def __init__(self, store: SiteStore) -> None:
        """Read from ``store``."""
        self._store = store
        self._kept: Kept[str, tuple[int, dict[str, Visit]]] = Kept(
            entries=MAX_VISITORS, room=MAX_VISITS
        )

    def of(self, pseudonym: str, now: int) -> dict[str, Visit]:
        """The visits of one visitor by placement; ``now`` is in ms.

        While the store does not answer, that is what this process remembers by itself.
        """
        kept = self._kept.get(pseudonym)
        if kept is not None and kept[0] <= now < kept[0] + KEEP_MS:
            return kept[1]
        try:
            rows = self._store.visits(pseudonym)
        except StorageError:
            visits = {} if kept is None else kept[1]
        else:
            found = ((place, decode_visit(row)) for place, row in rows.items())
            visits = {place: visit for place, visit in found if visit is not None}
        self._kept.keep(pseudonym, (now, visits), 1 + len(visits))
        return visits

    def saw(self, decision: Decision) -> None:
        """Remember a decision that this process has just logged, ahead of the fold."""
        kept = self._kept.get(decision.visitor or "")
        if kept is not None and decision.slot is not None:
            visits = kept[1]
            before = visits.get(decision.placement)
            visits[decision.placement] = advance(
                before, decision.slot, decision.at, decision.arm, decision.id
            )

    def latest(self, pseudonym: str, placement: str) -> Visit | None:
        """The newest visit of one placement, be it this process's own or the store's.

        Raises:
            StorageError: if the store does not answer.
        """
        own = self._kept.get(pseudonym, (0, {}))[1].get(placement)
        (row,) = self._store.visits_of([(pseudonym, placement)])
        found = [visit for visit in (own, decode_visit(row)) if visit is not None]
        return max(found, key=lambda visit: visit.at, default=None)
