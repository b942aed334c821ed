"""One file of the archive: a stretch of the log in Parquet, written whole and never changed.

Row groups are small enough to be held, and each has its digest in the metadata beside the place
of its last row: who reads from the middle opens one group, and what is read is checked before it
is believed. Pages carry checksums besides, which other programs verify too.

Refused by name: what is not Parquet, what is not of this archive, another version of the schema,
and what is damaged. A file that is not there is FileNotFoundError, since compaction and forgetting
replace files while others read: a reader looks again.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bandit_service.archive.refusals import damaged, reading, writing
from bandit_service.archive.schema import (
    LOG_COLUMNS,
    METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
    Group,
    LogRow,
    SegmentInfo,
    digest_of,
    rows_of,
    table_of,
)
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START, Position

GROUP_ROWS: Final = 20_000
GROUP_BYTES: Final = 32 * 1_048_576
"""A row group is full at so many rows, or so many bytes of entries."""
COMPRESSION_LEVEL: Final = 3


class SegmentWriter:
    """Writes one file; a context manager that leaves nothing where writing failed.

    The file counts as written once ``finish`` has returned: it is on disk then, under its own
    name if the caller gave that, and it is the caller's to rename.
    """

    def __init__(self, path: Path, *, site: str, after: Position) -> None:
        """Begin a file for what follows ``after`` in the log of ``site``.

        Raises:
            ArchiveError: if the file cannot be made.
        """
        self._path = path
        self._site = site
        self._after = after
        self._groups: list[Group] = []
        self._pending: list[pa.Table] = []
        self._finished = False
        self._first: Position | None = None
        self._last: Position | None = None
        with writing(path):
            path.touch(mode=0o600)  # one that is there keeps its own
            self._file: Any = path.open("wb")
            self._parquet: Any = pq.ParquetWriter(
                self._file,
                SCHEMA,
                compression="zstd",
                compression_level=COMPRESSION_LEVEL,
                write_page_checksum=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._finished:
            self._parquet.is_open = False  # or it would write its end to a file that is gone
            with suppress(OSError):  # what is left to write may not fit either
                self._file.close()
            self._path.unlink(missing_ok=True)

    def write(self, rows: Iterable[LogRow]) -> None:
        """Add rows, which follow those before in the log.

        Raises:
            ArchiveError: if the disk is full or does not take them.
        """
        pending: list[LogRow] = []
        size = 0
        for row in rows:
            pending.append(row)
            size += len(row[1])
            if len(pending) >= GROUP_ROWS or size >= GROUP_BYTES:
                self.write_table(table_of(self._site, pending))
                pending, size = [], 0
        self.write_table(table_of(self._site, pending))

    def write_table(self, table: pa.Table) -> None:
        """Add the rows of a table of the schema.

        Raises:
            ArchiveError: if the disk is full or does not take them.
        """
        if table.num_rows:
            self._pending.append(table.replace_schema_metadata())
        rows = sum(part.num_rows for part in self._pending)
        if rows >= GROUP_ROWS or sum(part.nbytes for part in self._pending) >= GROUP_BYTES:
            self._flush()

    def finish(self, last: Position | None = None, *, missing: Iterable[str] = ()) -> SegmentInfo:
        """Complete the file and put it on disk.

        Args:
            last: how far in the log it reaches, if that is beyond its last row.
            missing: see ``SegmentInfo``.

        Raises:
            ArchiveError: if the disk is full or does not take it.
        """
        self._flush()
        info = SegmentInfo(
            schema=SCHEMA_VERSION,
            site=self._site,
            after=str(self._after),
            first=None if self._first is None else str(self._first),
            last=str(last or self._last or self._after),
            rows=sum(group.rows for group in self._groups),
            groups=self._groups,
            missing=sorted(set(missing)),
        )
        with writing(self._path):
            self._parquet.add_key_value_metadata({METADATA_KEY: msgspec.json.encode(info)})
            self._parquet.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        self._finished = True
        return info

    def _flush(self) -> None:
        if not self._pending:
            return
        table = pa.concat_tables(self._pending)
        self._pending = []
        rows = rows_of(table)
        self._first, self._last = self._first or rows[0][0], rows[-1][0]
        self._groups.append(Group(len(rows), str(self._last), digest_of(rows)))
        with writing(self._path):
            self._parquet.write_table(table, row_group_size=len(rows))


class Segment:
    """One file, opened for reading; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open a file and read what it says of itself.

        Raises:
            FileNotFoundError: if it is not there.
            ArchiveError: if it is not a file of this archive and version, or is damaged.
        """
        self.path = path
        with reading(path):
            self._parquet: Any = pq.ParquetFile(
                path, pre_buffer=False, page_checksum_verification=True
            )
        try:
            self.info = _info(self._parquet, path)
        except BaseException:
            self.close()
            raise
        self._lasts = [Position.parse(group.last) for group in self.info.groups]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._parquet.close(force=True)

    def group_after(self, position: Position) -> int | None:
        """The row group that has the first row after a position; None if there is no such row."""
        index = bisect_right(self._lasts, position)
        return index if index < len(self._lasts) else None

    def group(self, index: int) -> list[LogRow]:
        """The rows of one row group, checked.

        Raises:
            ArchiveError: if they are not what was written.
        """
        return self._checked(index, self._read(index, LOG_COLUMNS))

    def tables(self) -> Iterator[pa.Table]:
        """All columns, a row group at a time, checked.

        Raises:
            ArchiveError: if the file is damaged.
        """
        for index in range(len(self._lasts)):
            table = self._read(index, SCHEMA.names)
            self._checked(index, table)
            yield table

    def columns(self, *names: str) -> Iterator[pa.Table]:
        """Some columns, a row group at a time.

        Raises:
            ArchiveError: if the file is damaged.
        """
        return (self._read(index, names) for index in range(len(self._lasts)))

    def rows(self, after: Position = START) -> Iterator[LogRow]:
        """The rows after a position, a row group at a time.

        Raises:
            ArchiveError: if the file is damaged.
        """
        first = self.group_after(after)
        for index in range(len(self._lasts) if first is None else first, len(self._lasts)):
            yield from (row for row in self.group(index) if row[0] > after)

    def count(self, upto: Position) -> int:
        """How many rows it has up to a position."""
        boundary = self.group_after(upto)
        if boundary is None:
            return self.info.rows
        before = sum(group.rows for group in self.info.groups[:boundary])
        return before + sum(position <= upto for position, _ in self.group(boundary))

    def _read(self, index: int, names: Sequence[str]) -> pa.Table:
        with reading(self.path):
            return self._parquet.read_row_group(index, columns=list(names))

    def _checked(self, index: int, table: pa.Table) -> list[LogRow]:
        with reading(self.path):
            rows = rows_of(table)
        if digest_of(rows) != self.info.groups[index].digest:
            raise damaged(self.path, f"the digest of row group {index} differs")
        return rows


def _info(parquet: Any, path: Path) -> SegmentInfo:
    raw = (parquet.metadata.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise ArchiveError(
            f"{path} is Parquet, but not of this archive",
            hint="move files that others made out of the archive's folder",
        )
    try:
        version = msgspec.json.decode(raw, type=_Version).schema
        if version != SCHEMA_VERSION:
            raise ArchiveError(
                f"{path} has version {version} of the archive's schema, "
                f"and this program reads version {SCHEMA_VERSION}",
                hint="use the version of bandit-service that wrote it, or a newer one",
            )
        info = msgspec.json.decode(raw, type=SegmentInfo)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise damaged(path, str(exc)) from exc
    if [group.rows for group in info.groups] != [
        parquet.metadata.row_group(n).num_rows for n in range(parquet.metadata.num_row_groups)
    ]:
        raise damaged(path, "it has other rows than it says")
    return info


class _Version(msgspec.Struct):
    schema: int
