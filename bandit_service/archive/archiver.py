"""Archiving one site: the log goes to Parquet, and only then from the stream.

A step, under the archive's lock:

1. The archive and the store agree which archive this is and how far it reaches, or nothing is done.
2. What the log holds after the last file is written, a file for each day, and fsynced; the store is
   told how far that is.
3. The store trims the log. It takes away nothing beyond what it was told, nothing that the
   learner's checkpoint has not reached, and nothing younger than the setting says.
4. Days that are over become one file each; days that are too old keep their catalog entries alone,
   because what follows them cannot be folded without.

Stopped anywhere, the next step finds how far the archive reaches from its files, and goes on. What
is written, but not yet told, is told; what is told, but not yet trimmed, is trimmed. Nothing is
written twice, since a step begins after the last file.

The newest seconds are left to the next step: a Redis that syncs its own file every second might
lose them in a crash of the machine, and the archive must not hold what the log never kept.

Refused, because the log would have a hole: an archive other than the one that the store knows, an
archive that ends before what was trimmed, one that holds more than the store ever logged. ``adopt``
goes on all the same, and what is lost is noted in the archive. Refused by both is an archive that
covers entries of the log without holding them: see ``agreement``. Entries up to the position that
the store was told were compared before, so the usual step compares nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from bandit_service.archive import upkeep
from bandit_service.archive.agreement import first_stray
from bandit_service.archive.partitions import ArchiveFolder, Gap, Partitions, Span, day_of
from bandit_service.archive.segments import Segment
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START, Position
from bandit_service.storage.ports import Archived, SiteStore, entries_of

log = structlog.get_logger(__name__)

SETTLE_MS: Final = 5_000
"""How old an entry must be to be archived, in ms."""
TRIM_BATCH: Final = 10_000
"""Entries trimmed at a time, about: Redis answers nobody else meanwhile."""
DAY_MS: Final = 86_400_000
_CATALOG: Final = pa.array(["placement", "personas"])
_ADOPT: Final = "to go on with this archive, without what is lost: bandit-service archive --adopt"


class Step(NamedTuple):
    """What a step did, in entries."""

    archived: int
    trimmed: int
    expired: int
    """Taken out of the archive because they are too old."""


class SiteArchiver:
    """The archiver of one site."""

    def __init__(
        self,
        store: SiteStore,
        folder: ArchiveFolder,
        *,
        archive: str,
        clock: Callable[[], int],
        stream_ms: int,
        keep_days: int = 0,
        settle_ms: int | None = None,
        expired: set[Path] | None = None,
    ) -> None:
        """Archive ``store`` into ``folder``.

        Args:
            store: the site.
            folder: the archive, which is there.
            archive: the id that it has.
            clock: gives ms since the Unix epoch.
            stream_ms: how long entries stay in the stream at least.
            keep_days: how long entries stay in the archive; 0 is for ever.
            settle_ms: SETTLE_MS unless given.
            expired: files known to hold nothing that is too old, kept from one archiver to the
                next so that each is opened once.
        """
        self._store = store
        self._folder = folder
        self._partitions = folder.site(store.site)
        self._archive = archive
        self._clock = clock
        self._stream_ms = min(stream_ms, keep_days * DAY_MS) if keep_days else stream_ms
        self._keep_days = keep_days
        self._settle_ms = SETTLE_MS if settle_ms is None else settle_ms
        self._expired: set[Path] = set() if expired is None else expired

    def step(self) -> Step:
        """Archive, trim, compact and expire once.

        Raises:
            ArchiveError: if archive and store do not belong together, or the archive is damaged,
                unwritable or held by another process; nothing was trimmed that is not archived.
            StorageError: if the store fails; as above.
        """
        with self._folder.locked():
            self._agree()
            archived = self._write()
            trimmed = self._trim()
            self._compact()
            return Step(archived, trimmed, self._expire())

    def adopt(self) -> list[Gap]:
        """Make this the archive of the site, whatever is lost; the stretches that are.

        Raises:
            ArchiveError: if the archive cannot be used, or the log goes another way than it.
            StorageError: if the store fails.
        """
        with self._folder.locked():
            known = self._store.archived()
            self._compare(START if known is None else known.trimmed)
            lost = self._partitions.gaps()
            for gap in lost:
                upkeep.give_up(self._partitions, *gap)
            last = self._partitions.last()
            if known is not None and last < known.trimmed:
                lost.append(Gap(last, known.trimmed))
                upkeep.give_up(self._partitions, *lost[-1])
            compared = min(self._partitions.last(), self._store.tail())
            self._note(compared, replaces=_id_of(known))
            return lost

    # -- inside

    def _agree(self) -> None:
        """Check that this is the archive of this log, and that the log continues it."""
        known, last = self._store.archived(), self._partitions.last()
        if known is None and last > START:
            raise ArchiveError(
                f"{self._partitions.path} holds the log of a site up to {last}, but the store says "
                "that it never was archived",
                hint=f"is it another store's, or was the store emptied? {_ADOPT}",
            )
        if known is not None:
            check_known(known, self._archive, self._partitions)
        if last > self._store.tail():
            raise ArchiveError(
                f"the archive of site {self._store.site!r} reaches to {last}, and its log in the "
                f"store only to {self._store.tail()}",
                hint="was the store restored from an old copy? it goes on once the log is past",
            )
        if known is None or known.upto != last:
            self._compare(START if known is None else max(known.trimmed, known.upto))
            self._note(last, replaces=_id_of(known))

    def _compare(self, after: Position) -> None:
        """Check that the archive holds what the log has after a position, as far as it reaches."""
        stray = first_stray(self._partitions.present(), self._store, after=after)
        if stray is not None:
            raise ArchiveError(
                f"the log of site {self._store.site!r} was set back and went on another way than "
                f"its archive: {self._partitions.path} covers {stray} and does not hold it",
                hint="nothing is archived or trimmed. Keep this archive as it is, bandit-service "
                "export what the store has, and go on with another folder: set archive_dir, then "
                "bandit-service archive --adopt",
            )

    def _write(self) -> int:
        after, settled = self._partitions.last(), Position(self._clock() - self._settle_ms, 0)
        upto = min(self._store.tail(), settled)
        count = 0

        def counted(row: tuple[Position, bytes]) -> str:
            nonlocal count
            count += 1
            return day_of(row[0])

        rows = entries_of(self._store, after=after, upto=upto)
        for _, day in groupby(rows, key=counted):
            after = upkeep.append(self._partitions, day, after=after).last
            self._note(after, replaces=self._archive)
        return count

    def _trim(self) -> int:
        upto = Position(max(0, self._clock() - self._stream_ms), 0)
        trimmed = 0
        while taken := self._store.trim(upto, archive=self._archive, limit=TRIM_BATCH):
            trimmed += taken
        return trimmed

    def _note(self, upto: Position, *, replaces: str | None) -> None:
        if not self._store.set_archived(self._archive, upto, replaces=replaces):
            raise ArchiveError(
                f"another archive took over site {self._store.site!r} meanwhile",
                hint="run one archiver for a store",
            )

    def _compact(self) -> None:
        for span in self._partitions.covered():
            upkeep.remove(span)
        days = self._days()
        for spans in days[:-1]:  # no entry can come to a day that has a later one
            if len(spans) > 1:
                upkeep.merge(self._partitions, spans)

    def _expire(self) -> int:
        """Take what is too old out of the archive."""
        if not self._keep_days:
            return 0
        oldest = day_of(Position(max(0, self._clock() - self._keep_days * DAY_MS), 0))
        removed = 0
        for spans in self._days():
            if spans[0].day < oldest and not self._is_expired(spans):
                removed += upkeep.merge(
                    self._partitions, spans, keep=_catalog_alone, missing=["retention"]
                )
        return removed

    def _is_expired(self, spans: Sequence[Span]) -> bool:
        if len(spans) > 1:
            return False
        path = spans[0].path
        if path not in self._expired:
            with Segment(path) as segment:
                if "retention" not in segment.info.missing:
                    return False
            self._expired.add(path)
        return True

    def _days(self) -> list[list[Span]]:
        spans = self._partitions.spans()
        return [list(day) for _, day in groupby(spans, key=lambda span: span.day)]


def check_known(known: Archived, archive: str | None, partitions: Partitions) -> None:
    """Check that an archive is the one that the store knows, and reaches as far as it must.

    Raises:
        ArchiveError: if not.
    """
    if archive != known.archive:
        raise ArchiveError(
            f"site {partitions.site!r} is archived elsewhere: {partitions.folder.path} is not the "
            f"archive {known.archive}",
            hint=f"set archive_dir to its folder, on the machine that has it; or {_ADOPT}",
        )
    last = partitions.last()
    if last < known.trimmed:
        raise ArchiveError(
            f"the archive {partitions.path} ends at {last}, but the log was trimmed up to "
            f"{known.trimmed}",
            hint=f"put back the newest copy of the archive; or {_ADOPT}",
        )


def _id_of(known: Archived | None) -> str | None:
    return None if known is None else known.archive


def _catalog_alone(table: pa.Table) -> pa.Table:
    return table.filter(pc.is_in(table.column("kind"), value_set=_CATALOG))
