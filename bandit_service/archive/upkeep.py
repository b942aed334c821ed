"""Changing the files of an archive: writing, compacting, filtering. The caller holds the lock.

Whatever is interrupted leaves either the files as they were, or the new one beside those that it
covers, which readers ignore and the next compaction removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from bandit_service.archive.partitions import Partitions, Span, translated
from bandit_service.archive.schema import LogRow
from bandit_service.archive.segments import Segment, SegmentWriter
from bandit_service.events.entries import Position

Keep = Callable[[pa.Table], pa.Table]
"""Takes the rows of a row group and gives those that stay."""


def append(partitions: Partitions, rows: Iterable[LogRow], *, after: Position) -> Span:
    """Write the rows of one day that follow ``after``, of which there is at least one.

    Raises:
        ArchiveError: if the disk does not take them.
        StorageError: if the rows cannot be read; nothing was written.
    """
    return _write(partitions, after, lambda writer: writer.write(rows))


def give_up(partitions: Partitions, after: Position, last: Position) -> Span:
    """Put a file without rows in the place of a stretch that is lost, and says so."""
    return _write(partitions, after, lambda _: None, last=last, missing=["lost"])


def merge(
    partitions: Partitions,
    spans: Sequence[Span],
    *,
    keep: Keep | None = None,
    missing: Iterable[str] = (),
) -> int:
    """Make one file of files of a day that follow each other; how many rows ``keep`` took out.

    Raises:
        ArchiveError: if a file is damaged or the disk does not take the new one.
    """
    reasons = set(missing)
    removed = 0

    def fill(writer: SegmentWriter) -> None:
        nonlocal removed
        for span in spans:
            with Segment(span.path) as segment:
                reasons.update(segment.info.missing)
                for table in segment.tables():
                    kept = table if keep is None else keep(table)
                    removed += table.num_rows - kept.num_rows
                    writer.write_table(kept)

    merged = _write(partitions, spans[0].after, fill, last=spans[-1].last, missing=reasons)
    for span in spans:
        if span.path != merged.path:
            remove(span)
    return removed


def remove(span: Span) -> None:
    """Remove a file that a larger one covers."""
    with translated(span.path):
        span.path.unlink(missing_ok=True)


def _write(
    partitions: Partitions,
    after: Position,
    fill: Callable[[SegmentWriter], None],
    *,
    last: Position | None = None,
    missing: Iterable[str] = (),
) -> Span:
    """Write a file and put it in place; it reaches to ``last``, or to its last row."""
    draft = partitions.folder.draft()
    with SegmentWriter(draft, site=partitions.site, after=after) as writer:
        fill(writer)
        info = writer.finish(last, missing=missing)
    span = partitions.span(after, Position.parse(info.last))
    partitions.folder.place(draft, span.path)
    return span
