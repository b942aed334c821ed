"""The fold that remembers visits, in the store rather than in a checkpoint: visitors are many.

Decisions are noted as they are read and written in batches. Nothing needs to be exactly once here:
``visits.advance`` gives the same memory however often a stretch of the log is read again.
"""

from __future__ import annotations

from bandit_service.events import visits
from bandit_service.events.entries import Decision, Entry
from bandit_service.storage.ports import SiteStore


class VisitorMemory:
    """Visits noted since the last ``flush``."""

    def __init__(self, store: SiteStore) -> None:
        """Remember in ``store``."""
        self._store = store
        self._noted: list[Decision] = []

    def note(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        if isinstance(entry, Decision) and entry.visitor is not None and entry.slot is not None:
            self._noted.append(entry)

    def flush(self) -> None:
        """Write what was noted.

        Raises:
            StorageError: if the store fails; what was noted is kept for the next flush.
        """
        if not self._noted:
            return
        pairs = list(dict.fromkeys((d.visitor or "", d.placement) for d in self._noted))
        rows = self._store.visits_of(pairs)
        known = {pair: visits.decode_visit(row) for pair, row in zip(pairs, rows, strict=True)}
        for decision in self._noted:
            pair = (decision.visitor or "", decision.placement)
            known[pair] = visits.advance(
                known[pair], decision.slot or 0, decision.at, decision.arm, decision.id
            )
        self._store.remember_visits(
            {pair: visits.encode_visit(v) for pair, v in known.items() if v is not None},
            expire_seconds=visits.EXPIRE_SECONDS,
        )
        self._noted.clear()
