"""Where a log of our own lies: a live site, an archive, exports in Parquet or JSON Lines.

Each gives the same entries in the same order, with the place of each. Several files are parts of
one log, read in the order in which they begin; a stretch that two of them cover is read once, and
said; so is one that none covers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from bandit_service.archive.history import History, Missing
from bandit_service.archive.partitions import ArchiveFolder, Partitions
from bandit_service.archive.reading import LogRow
from bandit_service.errors import ArchiveError, LogError
from bandit_service.evaluation.logs.base import Blame, LogDescription, Violation
from bandit_service.evaluation.logs.files import lines_of
from bandit_service.events.entries import START, Position
from bandit_service.storage.ports import entries_of

if TYPE_CHECKING:
    from bandit_service.archive.segments import Segment

_LOOKS: Final = 5
"""How often to look for a file that is being replaced."""


class Found(NamedTuple):
    """An entry, not decoded, and where it is."""

    file: str
    """Which part of the log it is in."""
    place: str
    """Where a person finds it: its position in the log, or the line if that is not known."""
    position: Position
    data: bytes


class Source(Protocol):
    """Entries of one log. They may be read any number of times."""

    description: LogDescription
    size: int | None
    """Entries, if that is known before they are read."""
    ends: int
    """When the last entry came to the log, in ms of its clock."""

    def entries(self, blame: Blame) -> Iterator[Found]:
        """The entries, in the order of the log unless the log itself is out of order.

        Raises:
            LogError: if they cannot be read.
        """

    def close(self) -> None:
        """Let go of files."""


class LiveSource:
    """A site as it runs: the archive and the stream."""

    def __init__(self, history: History, name: str, upto: Position | None = None) -> None:
        """The log up to its present end, or to ``upto``, whatever is added while it is read."""
        self._history = history
        with _refused():
            self._upto = history.tail() if upto is None else upto
            self.ends = self._upto.ms
            self.size: int | None = history.length()
            notes = [_gone(stretch) for stretch in history.missing()]
        self.description = LogDescription(name=name, format="site", notes=notes)

    def entries(self, blame: Blame) -> Iterator[Found]:  # noqa: ARG002 - nothing to blame here
        """See ``Source``."""
        name = f"site {self._history.site}"
        with _refused():
            for position, data in entries_of(self._history, after=START, upto=self._upto):
                yield Found(name, str(position), position, data)

    def close(self) -> None:
        """See ``Source``."""
        self._history.close()


class ArchiveSource:
    """One site's part of an archive, without the stream that continues it."""

    def __init__(self, folder: Path, site: str, name: str) -> None:
        """The log up to where the archive ends."""
        from bandit_service.archive.segments import Segment  # noqa: PLC0415 - loads pyarrow

        self._partitions: Partitions = ArchiveFolder(folder).site(site)
        with _refused():
            infos = [(s, Segment(s.path)) for s in self._partitions.spans()]
        if not infos:
            raise LogError(
                f"{self._partitions.path} has no files", hint="name a site that was archived"
            )
        for _, segment in infos:
            segment.close()
        self.size: int | None = sum(segment.info.rows for _, segment in infos)
        self.ends = infos[-1][0].last.ms
        notes = [f"The log ends at {infos[-1][0].last}: what was not archived by then is not here."]
        notes += [
            _gone(Missing(span.after, span.last, tuple(segment.info.missing)))
            for span, segment in infos
            if segment.info.missing
        ]
        self.description = LogDescription(name=name, format="archive", notes=notes)

    def entries(self, blame: Blame) -> Iterator[Found]:  # noqa: ARG002 - see Partitions.spans
        """See ``Source``."""
        with _refused():
            for path, (position, data) in self._rows():
                yield Found(str(path), str(position), position, data)

    def close(self) -> None:
        """See ``Source``."""

    def _rows(self) -> Iterator[tuple[Path, LogRow]]:
        """All rows; files that are compacted meanwhile are looked for again."""
        reached, looks = START, 0
        while True:
            try:
                for path, row in _rows_after(self._partitions, reached):
                    reached, looks = row[0], 0
                    yield path, row
            except FileNotFoundError as exc:
                looks += 1
                if looks == _LOOKS:
                    raise LogError(
                        f"{exc.filename} is not there for long enough to be read",
                        hint="is something else than bandit-service changing that folder?",
                    ) from exc
            else:
                return


class SegmentsSource:
    """Files of the archive's schema: exports, or some of an archive's own."""

    def __init__(self, paths: Sequence[Path], name: str) -> None:
        """The files in the order of the log.

        Raises:
            LogError: if one cannot be read, is not of this archive, or is of another site.
        """
        opened = []
        for path in paths:
            with _segment(path) as segment:
                opened.append((path, segment.info))
        self._files = sorted(opened, key=lambda file: _reach(file[1].after))
        sites = sorted({info.site for _, info in self._files})
        if len(sites) > 1:
            raise LogError(
                f"these files are of the sites {', '.join(sites)}",
                hint="evaluate one site at a time",
            )
        self.size: int | None = sum(info.rows for _, info in self._files)
        self.ends = max(_reach(info.last) for _, info in self._files).ms
        first, notes = _reach(self._files[0][1].after), []
        if first > START:
            notes.append(f"The log begins after {first}: what was there before is not here.")
        notes += [
            _gone(Missing(_reach(info.after), _reach(info.last), tuple(info.missing)))
            for _, info in self._files
            if info.missing
        ]
        self.description = LogDescription(name=name, format="parquet", notes=notes)

    def entries(self, blame: Blame) -> Iterator[Found]:
        """See ``Source``."""
        for (before, ended), (path, begins) in pairwise(self._files):
            if _reach(begins.after) < _reach(ended.last):
                blame(_overlap(path, before, f"after {begins.after}"))
            elif _reach(begins.after) > _reach(ended.last):
                stretch = f"after {ended.last} up to {begins.after}"
                blame(Violation("partition_missing", str(path), f"no file has the log {stretch}"))
        for path, _ in self._files:
            with _segment(path) as segment, _refused():
                for position, data in segment.rows():
                    yield Found(str(path), str(position), position, data)

    def close(self) -> None:
        """See ``Source``."""


class LogLine(msgspec.Struct, frozen=True):
    """A line of JSON Lines, as ``archive.export`` writes it."""

    position: str
    entry: msgspec.Raw


_decoder: Final = msgspec.json.Decoder(LogLine)


class LinesSource:
    """Files of JSON Lines, compressed or not."""

    def __init__(self, paths: Sequence[Path], name: str) -> None:
        """The files in the order of the log.

        Raises:
            LogError: if one cannot be read, or does not begin as such a file does.
        """
        stretches = [(*self._stretch(path), path) for path in paths]
        self._paths = [path for _, _, path in sorted(stretches)]
        self.size: int | None = None
        self.ends = max(last for _, last, _ in stretches).ms
        self.description = LogDescription(name=name, format="jsonl")

    def entries(self, blame: Blame) -> Iterator[Found]:
        """See ``Source``."""
        read: set[Path] = set()
        for path in self._paths:
            if path.resolve() in read:
                blame(Violation("partition_overlaps", str(path), "it was named twice; read once"))
                continue
            read.add(path.resolve())
            for line in lines_of(path):
                place = f"{path}:{line.number}"
                try:
                    position, data = _parsed(line.data)
                except (msgspec.MsgspecError, UnicodeDecodeError, LogError) as exc:
                    if not line.ended:
                        raise LogError(
                            f"{place} is cut short: {exc}", hint="copy or export the file again"
                        ) from exc
                    blame(Violation("entry_unreadable", place, str(exc)))
                    continue
                yield Found(str(path), str(position), position, data)

    def close(self) -> None:
        """See ``Source``."""

    def _stretch(self, path: Path) -> tuple[Position, Position]:
        """Where a file begins and ends; where its end cannot be read, that is found in its turn."""
        first = last = None
        for line in lines_of(path):
            first, last = first or line, line
        if first is None or last is None:
            raise LogError(f"{path} has blank lines alone", hint="export it again")
        try:
            begins = _parsed(first.data)[0]
        except (msgspec.MsgspecError, UnicodeDecodeError, LogError) as exc:
            raise LogError(
                f"{path}:{first.number} is not a line of a log: {exc}",
                hint="is it what `bandit-service export` wrote as JSON Lines?",
            ) from exc
        try:
            return begins, _parsed(last.data)[0]
        except (msgspec.MsgspecError, UnicodeDecodeError, LogError):
            return begins, begins


def overlapping(found: Found, before: Found) -> Violation:
    """A file that begins before another one ended."""
    return _overlap(Path(found.file), Path(before.file), f"from {found.position}")


def _overlap(path: Path, before: Path, where: str) -> Violation:
    return Violation(
        "partition_overlaps", str(path), f"it covers what {before} covers, {where}; read once"
    )


def _parsed(data: bytes) -> tuple[Position, bytes]:
    line = _decoder.decode(data)
    return Position.parse(line.position), bytes(line.entry)


def _reach(position: str) -> Position:
    return Position.parse(position)


def _gone(stretch: Missing) -> str:
    why = " and ".join(stretch.reasons)
    return f"Entries after {stretch.after} up to {stretch.last} were removed before ({why})."


def _rows_after(partitions: Partitions, reached: Position) -> Iterator[tuple[Path, LogRow]]:
    from bandit_service.archive.segments import Segment  # noqa: PLC0415 - loads pyarrow

    for span in partitions.spans():
        if span.last > reached:
            with Segment(span.path) as segment:
                for row in segment.rows(reached):
                    yield span.path, row


@contextmanager
def _segment(path: Path) -> Iterator[Segment]:
    from bandit_service.archive.segments import Segment  # noqa: PLC0415 - loads pyarrow

    with _refused():
        try:
            segment = Segment(path)
        except FileNotFoundError as exc:
            raise LogError(f"{path} is not there", hint="check the path") from exc
    with segment:
        yield segment


@contextmanager
def _refused() -> Iterator[None]:
    """Within, what the archive refuses is a log that cannot be read."""
    try:
        yield
    except ArchiveError as exc:
        raise LogError(exc.message, hint=exc.hint) from exc
