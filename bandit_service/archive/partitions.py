"""The folder of an archive: which file holds which stretch of the log.

    archive.json                       the id of this archive
    lock                               held by whoever changes the archive
    tmp/                               files being written
    log/site=SITE/day=YYYY-MM-DD/AFTER_LAST.parquet

``log/`` holds finished files alone, laid out so that any tool reads it as one table partitioned by
site and day (UTC, of the log's own clock). A file named ``AFTER_LAST`` covers the log after the
one position and up to the other. The files of a site form a chain from the beginning of the log,
each continuing where another ended, so a file that somebody removed is noticed. Files that a larger
one covers are ignored: a crash between putting a compacted file in place and removing its parts
repeats nothing.

A file is put in place whole: written and fsynced under ``tmp/``, renamed, and its folder fsynced.
Whoever changes the archive holds the lock; readers need none. They may find that a file has gone
between listing and opening, and look again.

Nothing here reads Parquet, so that who only asks where the log is need not load pyarrow.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START, Position
from bandit_service.storage.redis_server import try_lock

FOLDER_VERSION: Final = 1
PATIENCE_SECONDS: Final = 600.0
"""How long to wait for another process that changes the archive."""

_NAME: Final = re.compile(r"(\d+-\d+)_(\d+-\d+)\.parquet")
_LOOKS: Final = 5
"""How often to list a folder whose files are being replaced before believing that one is gone."""
_POLL_SECONDS: Final = 0.05


class Span(NamedTuple):
    """A file, by what its name says: it covers the log after ``after``, up to ``last``."""

    after: Position
    last: Position
    path: Path

    @property
    def day(self) -> str:
        """The day whose entries it holds."""
        return self.path.parent.name.removeprefix("day=")


class Gap(NamedTuple):
    """A stretch of the log that no file covers."""

    after: Position
    last: Position


class _Identity(msgspec.Struct):
    id: str
    version: int = FOLDER_VERSION


class ArchiveFolder:
    """One archive, of any number of sites."""

    def __init__(self, path: Path) -> None:
        """The archive at ``path``, which need not be there."""
        self.path = path
        self.table = path / "log"
        self._identity = path / "archive.json"
        self._draft = path / "tmp" / "draft"

    def id(self) -> str | None:
        """The id of the archive; None where there is none.

        Raises:
            ArchiveError: if the folder cannot be read, or is of another version.
        """
        try:
            found = msgspec.json.decode(self._identity.read_bytes(), type=_Identity)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise ArchiveError(
                f"{self._identity} cannot be read: {exc}",
                hint="put back a copy of it: it names the archive",
            ) from exc
        if found.version != FOLDER_VERSION:
            raise ArchiveError(
                f"{self.path} is an archive of version {found.version}, "
                f"and this program reads version {FOLDER_VERSION}",
                hint="use the version of bandit-service that wrote it, or a newer one",
            )
        return found.id

    def ensure(self, new_id: str) -> str:
        """The id of the archive, which is made under ``new_id`` where there is none.

        Raises:
            ArchiveError: if the folder cannot be made or read.
        """
        with self.locked():
            present = self.id()
            if present is not None:
                return present
            self.write(self._identity, msgspec.json.encode(_Identity(new_id)))
            return new_id

    @contextmanager
    def locked(self, *, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Keep every other process from changing the archive, waiting ``patience`` seconds for it.

        What a process that died was writing is removed first.

        Raises:
            ArchiveError: if the folder cannot be written, or another process holds it for longer.
        """
        lock = self._wait_for_lock(time.monotonic() + patience)
        try:
            with translated(self._draft):
                self._draft.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def draft(self) -> Path:
        """Where to write a file before it is put in place. The caller holds the lock."""
        with translated(self._draft):
            self._draft.parent.mkdir(exist_ok=True)
        return self._draft

    def place(self, draft: Path, path: Path) -> None:
        """Put a draft that is on disk in its place, whole. The caller holds the lock.

        Raises:
            ArchiveError: if the disk is full or the folder cannot be written.
        """
        with translated(path):
            _make(path.parent, within=self.path)
            draft.replace(path)
            _sync(path.parent)

    def write(self, path: Path, data: bytes) -> None:
        """Put a small file in its place, whole. The caller holds the lock.

        Raises:
            ArchiveError: if the disk is full or the folder cannot be written.
        """
        draft = self.draft()
        with translated(path):
            draft.touch(mode=0o600)
            draft.write_bytes(data)
            _sync(draft)
        self.place(draft, path)

    def site(self, site: str) -> Partitions:
        """The part of one site."""
        return Partitions(self, site)

    def _wait_for_lock(self, deadline: float) -> int:
        with translated(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            while (lock := try_lock(self.path / "lock")) is None:
                if time.monotonic() > deadline:
                    raise ArchiveError(
                        f"another process is changing the archive in {self.path}",
                        hint="wait until it is done, and try again",
                    )
                time.sleep(_POLL_SECONDS)
        return lock


class Partitions:
    """The files of one site."""

    def __init__(self, folder: ArchiveFolder, site: str) -> None:
        """Use ``ArchiveFolder.site`` rather than this."""
        self.folder = folder
        self.site = site
        self.path = folder.table / f"site={site}"

    def spans(self) -> list[Span]:
        """The chain of files, in the order of the log.

        Raises:
            ArchiveError: if a file is missing or not of this archive, or the folder unreadable.
        """
        for _ in range(_LOOKS):
            spans, _, gaps = _chain(self._files())
            if not gaps:
                return spans
        raise ArchiveError(
            f"{self.path} has no file for the log after {gaps[0].after} up to {gaps[0].last}",
            hint="put the file back; or go on without it: bandit-service archive --adopt",
        )

    def present(self) -> list[Span]:
        """The files of the chain, whatever is missing between. The caller holds the lock."""
        return _chain(self._files())[0]

    def gaps(self) -> list[Gap]:
        """What is missing from the chain. The caller holds the lock."""
        return _chain(self._files())[2]

    def covered(self) -> list[Span]:
        """Files whose stretch a larger one covers. The caller holds the lock."""
        return _chain(self._files())[1]

    def last(self) -> Position:
        """How far the archive reaches; START where it is empty.

        Raises:
            ArchiveError: see ``spans``.
        """
        spans = self.spans()
        return spans[-1].last if spans else START

    def span(self, after: Position, last: Position) -> Span:
        """The file for a stretch of one day, which need not be there."""
        return Span(after, last, self.path / f"day={day_of(last)}" / f"{after}_{last}.parquet")

    def _files(self) -> list[Span]:
        with translated(self.path):
            return [_span(path) for path in self.path.glob("day=*/*.parquet")]


def day_of(position: Position) -> str:
    """The day of a position, UTC."""
    return datetime.fromtimestamp(position.ms / 1000, UTC).date().isoformat()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Within, what the system raises is an ArchiveError that names ``path``."""
    try:
        yield
    except OSError as exc:
        raise ArchiveError(
            f"the archive at {path} cannot be used: {exc.strerror or exc}",
            hint="is the disk full, or the folder another user's?",
        ) from exc


def _chain(files: Iterable[Span]) -> tuple[list[Span], list[Span], list[Gap]]:
    """The files that hold the log, those that they cover, and what lies between them."""
    spans: list[Span] = []
    covered: list[Span] = []
    gaps: list[Gap] = []
    reached = START
    for span in sorted(files, key=lambda s: (s.after, (-s.last.ms, -s.last.seq))):
        if span.last <= reached:
            covered.append(span)
            continue
        if span.after < reached:
            raise ArchiveError(
                f"{span.path} overlaps with the file before it",
                hint="was it copied from another archive? move it out of the folder",
            )
        if span.after > reached:
            gaps.append(Gap(reached, span.after))
        spans.append(span)
        reached = span.last
    return spans, covered, gaps


def _span(path: Path) -> Span:
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise ArchiveError(
            f"{path} is not a file of this archive",
            hint="move files that others made out of the archive's folder",
        )
    return Span(Position.parse(named[1]), Position.parse(named[2]), path)


def _make(folder: Path, *, within: Path) -> None:
    """Make a folder and those above it, each on disk before anything is put into it."""
    if folder == within or folder.is_dir():
        return
    _make(folder.parent, within=within)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
