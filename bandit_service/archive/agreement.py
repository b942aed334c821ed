"""Whether the log in the store continues an archive, or was set back and went on another way.

A Redis that was restored from an older copy, or a replica that lagged when it took over, lacks the
newest entries that the archive holds. That alone loses nothing. But where its clock is behind too,
what it logs next gets positions that the archive already covers: those entries would never be
archived, and be trimmed as if they were. So the two are compared where they overlap: what the
stream holds there, the archive must hold as well, to the byte. The archive may hold more, since
forgetting takes entries out of the stream first.

Where the archive says that it misses entries (retention, or given up as lost) nothing is compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from bandit_service.archive.partitions import Span
from bandit_service.archive.segments import Segment
from bandit_service.events.entries import Position
from bandit_service.storage.ports import SiteStore, entries_of


def first_stray(spans: Iterable[Span], store: SiteStore, *, after: Position) -> Position | None:
    """The first entry of the stream after a position that the files cover and do not hold.

    Raises:
        ArchiveError: if a file is damaged.
        StorageError: if the store fails.
    """
    strays = (_stray(span, store, max(after, span.after)) for span in spans if span.last > after)
    return next((stray for stray in strays if stray is not None), None)


def _stray(span: Span, store: SiteStore, after: Position) -> Position | None:
    with Segment(span.path) as segment:
        if segment.info.missing:
            return None
        held = segment.rows(after)
        for row in entries_of(store, after=after, upto=span.last):
            if row not in held:  # goes on where the row before was found: both are in order
                return row[0]
    return None
