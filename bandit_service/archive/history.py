"""The archive and the stream, read as one log.

Entries are read from the stream wherever it is sure to have them all, and from the archive before.
The order of the two questions makes the seam safe: rows are read from the stream first, and only
then is asked how far it was trimmed. If that is not beyond the place that was asked for, nothing
was missing from what was read; if it is, the archive has it, since nothing is trimmed that is not.
So nothing is lost or repeated while an archiver writes, compacts, trims and forgets.

Where the log was trimmed and its archive is not on this machine, reading its beginning is refused:
half a log folds into something that looks like a model.

One row group is held at a time. For one thread. pyarrow is loaded when the archive is first read:
it takes 50 MB and a third of a second, of no use to a process that only follows the log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from bandit_service.archive.partitions import ArchiveFolder, Partitions, Span
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START, Position
from bandit_service.storage.ports import Archived, SiteStore

if TYPE_CHECKING:
    from bandit_service.archive.segments import Segment

Row = tuple[Position, bytes]
Result = TypeVar("Result")

_LOOKS: Final = 5
"""How often to look for a file that is being replaced."""


class Missing(NamedTuple):
    """A stretch of the log of which entries were removed, and why: retention, or lost."""

    after: Position
    last: Position
    reasons: tuple[str, ...]


class History:
    """The whole log of a site; see ``storage.ports.Log``."""

    def __init__(self, store: SiteStore, folder: ArchiveFolder | None) -> None:
        """Read ``store``, and what was trimmed from ``folder`` if that is given and has it."""
        self.site = store.site
        self._store = store
        self._partitions = None if folder is None else folder.site(store.site)
        self._reader: _Reader | None = None

    def read(self, after: Position, *, limit: int) -> list[Row]:
        """See ``Log.read``.

        Raises:
            ArchiveError: if the archive is needed and is not here, or damaged.
            StorageError: if the store fails.
        """
        while True:
            rows = self._store.read(after, limit=limit)
            known = self._store.archived()
            if known is None or known.trimmed <= after:
                self.close()
                return rows
            found = self._archive(known).read(after, upto=known.trimmed, limit=limit)
            if found:
                return found
            after = known.trimmed

    def tail(self) -> Position:
        """See ``Log.tail``."""
        return self._store.tail()

    def length(self) -> int:
        """See ``Log.length``."""
        known = self._store.archived()
        trimmed = 0
        if known is not None and known.trimmed > START:
            trimmed = self._archive(known).count(known.trimmed)
        return trimmed + self._store.length()

    def missing(self) -> list[Missing]:
        """The stretches of which entries were removed; none of a log that never was trimmed.

        Raises:
            ArchiveError: as ``read``.
        """
        known = self._store.archived()
        if known is None or known.trimmed == START:
            return []
        return self._archive(known).missing()

    def close(self) -> None:
        """Let go of the archive's files; reading may go on."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _archive(self, known: Archived) -> _Reader:
        """The reader of the archive, which must be the one that the store knows."""
        if self._reader is None or not self._reader.reaches(known):
            self.close()
            if self._partitions is None or self._partitions.folder.id() != known.archive:
                where = "here" if self._partitions is None else self._partitions.folder.path
                raise ArchiveError(
                    f"the log of site {self.site!r} before {known.trimmed} is in the archive "
                    f"{known.archive}, which is not {where}",
                    hint="set archive_dir to its folder, on the machine that has it",
                )
            self._reader = _Reader(self._partitions)
            if not self._reader.reaches(known):
                raise ArchiveError(
                    f"the archive {self._partitions.path} ends before {known.trimmed}, up to which "
                    "the log was trimmed",
                    hint="put back the newest copy of the archive",
                )
        return self._reader


class _Reader:
    """The files of a site, as they were listed last; lists them again where one has gone."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions
        self._spans = partitions.spans()
        self._segment: Segment | None = None
        self._group = -1
        self._rows: list[Row] = []

    def reaches(self, known: Archived) -> bool:
        """Whether the files go as far as the log was trimmed."""
        return bool(self._spans) and self._spans[-1].last >= known.trimmed

    def read(self, after: Position, *, upto: Position, limit: int) -> list[Row]:
        """Up to ``limit`` rows after a position and up to another; none only where none are."""
        return self._looking(lambda: self._read(after, upto, limit))

    def count(self, upto: Position) -> int:
        """How many rows there are up to a position."""
        return self._looking(
            lambda: sum(self._opened(span).count(upto) for span in self._spans if span.after < upto)
        )

    def missing(self) -> list[Missing]:
        """See ``History.missing``."""
        return self._looking(
            lambda: [
                Missing(span.after, span.last, tuple(reasons))
                for span in self._spans
                if (reasons := self._opened(span).info.missing)
            ]
        )

    def close(self) -> None:
        """Close the file that is open."""
        if self._segment is not None:
            self._segment.close()
        self._segment, self._group, self._rows = None, -1, []

    def _looking(self, read: Callable[[], Result]) -> Result:
        for _ in range(_LOOKS):
            try:
                return read()
            except FileNotFoundError:  # compacted meanwhile
                self.close()
                self._spans = self._partitions.spans()
        raise ArchiveError(
            f"the files of {self._partitions.path} are not there for long enough to be read",
            hint="is something else than bandit-service changing that folder?",
        )

    def _read(self, after: Position, upto: Position, limit: int) -> list[Row]:
        for span in self._spans[bisect_right(self._spans, after, key=_last) :]:
            if span.after >= upto:
                break
            rows = self._group_after(span, after)
            start, stop = (bisect_right(rows, bound, key=_position) for bound in (after, upto))
            if start < stop:
                return rows[start : min(stop, start + limit)]
        return []

    def _group_after(self, span: Span, after: Position) -> list[Row]:
        """The row group that has the first row after a position."""
        segment = self._opened(span)
        group = segment.group_after(after)
        if group is None:
            return []
        if group != self._group:
            self._rows, self._group = segment.group(group), group
        return self._rows

    def _opened(self, span: Span) -> Segment:
        if self._segment is None or self._segment.path != span.path:
            from bandit_service.archive.segments import Segment  # noqa: PLC0415 - as said above

            self.close()
            self._segment = Segment(span.path)
        return self._segment


def _last(span: Span) -> Position:
    return span.last


def _position(row: Row) -> Position:
    return row[0]
