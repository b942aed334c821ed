"""The fold over the log that knows what a placement was at a revision that a decision names.

A serving process may be a moment behind, so decisions can name a revision that the log has already
moved past; old revisions are kept until no decision can name them any more, then dropped.
"""

from __future__ import annotations

import msgspec

from bandit_service.catalog.model import Placement
from bandit_service.events.entries import Entry, PlacementChanged, Position


class Kept(msgspec.Struct):
    """A revision of a placement."""

    placement: Placement
    superseded: int = 0
    """When the next revision took its place, in ms of the log's clock; 0 for the current one."""


class CatalogHistory:
    """Placements by id and revision."""

    def __init__(self, *, keep_ms: int) -> None:
        """An empty catalog; superseded revisions are kept for ``keep_ms`` of the log's clock."""
        self._keep_ms = keep_ms
        self._kept: dict[str, list[Kept]] = {}

    def apply(self, position: Position, entry: Entry) -> None:
        """Take in the next entry."""
        if not isinstance(entry, PlacementChanged):
            return
        revisions = self._kept.setdefault(entry.placement.id, [])
        if revisions:
            revisions[-1].superseded = position.ms
        oldest = position.ms - self._keep_ms
        revisions[:] = [kept for kept in revisions if kept.superseded >= oldest]
        revisions.append(Kept(entry.placement))

    def placement(self, placement_id: str, revision: int) -> Placement | None:
        """A placement as it was at a revision, or None if that was never logged or is long past."""
        for kept in reversed(self._kept.get(placement_id, ())):
            if kept.placement.revision == revision:
                return kept.placement
        return None

    def latest(self, placement_id: str) -> Placement | None:
        """A placement as it is, or None if it was never logged."""
        revisions = self._kept.get(placement_id)
        return revisions[-1].placement if revisions else None

    def dump(self) -> list[Kept]:
        """The state as plain data, oldest revision of each placement first."""
        return [kept for revisions in self._kept.values() for kept in revisions]

    def restore(self, state: list[Kept]) -> None:
        """Continue from what ``dump`` gave."""
        self._kept = {}
        for kept in state:
            self._kept.setdefault(kept.placement.id, []).append(kept)
