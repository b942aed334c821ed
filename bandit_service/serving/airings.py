"""Whether visitors were shown a variant, as far as the log can say so in a moment.

The log is not indexed by variant, and a busy site's is long: it is read from where the question
begins, MAX_READ entries at most. Where that is not enough, or the entries are no longer in the
store, or nobody knows where to begin, the answer is that they may have been.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from bandit_service.catalog.edit import SKEW_MS
from bandit_service.catalog.moments import ms_of
from bandit_service.events.entries import Decision, Position, decode
from bandit_service.storage.ports import SiteStore

MAX_READ: Final = 20_000
"""Entries of the log that one question may read: about a third of a second."""
_BATCH: Final = 2_000


class Airings:
    """What the log of a site says of decisions."""

    def __init__(self, store: SiteStore) -> None:
        """Ask the log of ``store``."""
        self._store = store

    def since(self, moment: datetime | None, placement: str) -> Callable[[str], bool]:
        """A function that says whether a variant of ``placement`` was shown since a moment.

        The log is read when it is first asked, once for all variants. None: nobody knows when.
        """
        known: list[frozenset[str] | None] = []

        def served(variant_id: str) -> bool:
            if not known:
                known.append(None if moment is None else self._shown(ms_of(moment), placement))
            shown = known[0]
            return shown is None or variant_id in shown

        return served

    def _shown(self, since_ms: int, placement: str) -> frozenset[str] | None:
        """Ids of the variants of a placement that were shown; None if that cannot be told."""
        after = Position(max(0, since_ms - SKEW_MS), 0)
        shown: set[str] = set()
        read = 0
        while rows := self._store.read(after, limit=_BATCH):
            for _, data in rows:
                if placement.encode() in data:
                    entry = decode(data)
                    if isinstance(entry, Decision) and entry.placement == placement:
                        shown.add(entry.arm.rpartition("@")[0])
            after, read = rows[-1][0], read + len(rows)
            if read >= MAX_READ:
                return None
        known = self._store.archived()
        if known is not None and known.trimmed > Position(max(0, since_ms - SKEW_MS), 0):
            return None
        return frozenset(shown)
