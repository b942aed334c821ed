"""The outbox of a serving process: what it logs goes to the log, or waits on disk for it.

Invariant: when ``append`` has returned, the entries are acknowledged by Redis or fsynced to the
spool, and they will be in the log once. Nobody waits for a dead connection: the first append that
fails trips the store's connection, and everything goes to the spool until ``tend``, called from a
thread of its own, finds Redis well again and has emptied the spool into the log, in order.

Once, whatever happens:

- An append whose answer was lost may have been carried out. Its entries wait with a *doubt*; before
  they are added, the connection that carried them is closed at the server, so that it cannot be
  carried out any more, and the log is searched for them: its archive too, where they waited for so
  long that they may have been trimmed. Where that archive is not on this machine, what was trimmed
  counts as not there: rather twice in the log than lost.
- Adding is one script per batch that remembers, in Redis, up to which row of this spool it went:
  a batch that is sent again adds nothing twice.

An entry that waited says in the log how long, so that what was in time stays in time.

Once anything waits, newer entries wait behind it, in every process of the machine. Across machines
there is no order: an event that reaches another machine's spool may come out before its decision,
which the join allows for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

import structlog

from bandit_service.errors import AppendInDoubt, ArchiveError, LogError, StorageError
from bandit_service.events.entries import Position, delayed
from bandit_service.storage.ports import Doubt, Log, SiteStore, Store
from bandit_service.storage.spool import Spool, Uncertain, Waiting

log = structlog.get_logger(__name__)

BATCH: Final = 500
BATCH_BYTES: Final = 1_048_576
"""Entries moved from the spool to the log at a time, and bytes of them: Redis answers nobody else
meanwhile."""


class Outbox:
    """Appends for the sites of one store."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        *,
        clock: Callable[[], int],
        history: Callable[[SiteStore], Log] | None = None,
    ) -> None:
        """Append to ``store``, or to ``spool`` while that is away; ``clock`` gives ms.

        ``history`` gives the whole log of a site, archive included; without it, the log is what is
        in the store.
        """
        self._store = store
        self._spool = spool
        self._clock = clock
        self._history = history

    @property
    def away(self) -> bool:
        """Whether entries go to the spool now."""
        return self._spool.waiting or self._store.away

    def waiting(self) -> int:
        """How many entries wait in the spool, about."""
        return self._spool.count() if self._spool.waiting else 0

    def append(self, site: SiteStore, entries: Sequence[bytes]) -> None:
        """Log entries, or keep them until they can be.

        Raises:
            SpoolError: if neither is possible; they are lost to nobody who was not told.
        """
        doubt: Doubt | None = None
        if not self.away:
            try:
                site.append_many(entries)
            except AppendInDoubt as exc:
                doubt = Doubt(after=Position(*exc.after), server=exc.server, client=exc.client)
                log.warning("append_unanswered", site=site.site, error=exc.message)
            except StorageError as exc:
                log.warning("append_refused", site=site.site, error=exc.message)
            else:
                return
        self._spool.put(site.site, entries, doubt, now=self._clock())

    def tend(self) -> int:
        """Look after Redis and the spool: empty it if Redis is well; how many entries were moved.

        Raises:
            StorageError: if Redis is still away, or refuses what is to be added.
        """
        if self._spool.waiting:
            self._spool.tidy()
        if self._store.away:
            self._store.probe()
        if not self._spool.waiting:
            return 0
        with self._spool.draining() as mine:
            return self._drain() if mine else 0

    def _drain(self) -> int:
        self._store.probe()
        moved = 0
        while self._spool.waiting:
            for uncertain in self._spool.uncertain():
                self._spool.settle(uncertain, self._found(uncertain))
            rows = self._spool.oldest(BATCH, max_bytes=BATCH_BYTES)
            if not rows:
                self._spool.rest()
                continue
            for name, batch in _by_site(rows):
                pairs = [(row.row, self._noted(row)) for row in batch]
                self._store.site(name).absorb(pairs, source=self._spool.source)
            self._spool.remove(rows[-1].row)
            moved += len(rows)
        if moved:
            log.info("spool_emptied", entries=moved)
        return moved

    def _noted(self, row: Waiting) -> bytes:
        """The entry, with how long it waited; as it is where this version cannot read it."""
        try:
            return delayed(row.entry, max(0, self._clock() - row.kept))
        except LogError:
            return row.entry

    def _found(self, uncertain: Uncertain) -> list[bool]:
        """Which of some entries are in the log."""
        site = self._store.site(uncertain.site)
        entries, doubt = uncertain.entries, uncertain.doubt
        whole = None if self._history is None else self._history(site)
        try:
            return site.settle(entries, doubt, log=whole)
        except ArchiveError as exc:
            log.warning("archive_not_searched", site=site.site, error=exc.message, hint=exc.hint)
            return site.settle(entries, doubt)


def _by_site(rows: Sequence[Waiting]) -> Iterator[tuple[str, list[Waiting]]]:
    """The rows in order, in stretches of one site."""
    for site, stretch in groupby(rows, key=lambda row: row.site):
        yield site, list(stretch)
