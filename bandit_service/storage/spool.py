"""The spool: where entries of the log wait on this machine's disk while Redis is away.

One SQLite file, with a write-ahead log, for all processes of a machine that serve from one Redis.
What ``put`` has returned for survives the death of every process and of the machine. Entries leave
in the order in which they came, all sites together, so an event never overtakes the decision it
speaks of.

SQLite itself syncs only where it must to stay whole (``synchronous=NORMAL``); ``put`` syncs its
write-ahead log, which holds all there is to lose, after it has let the next writer in: so several
processes wait for the disk at the same time, and not one after the other.

``waiting`` is a byte of shared memory: while anything waits, every process adds to the spool
rather than to the log, else what is newer would come first. It is raised and lowered under the
write lock, together with the rows it speaks of.

Rejected: a file format of our own (a torn write, a full disk and many writers are what SQLite is
for, at the same price as a bare ``fdatasync``); SQLite's own waiting for locks, which sleeps and
is unfair: a file lock wakes the next in line.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bandit_service.errors import SpoolError
from bandit_service.storage.ports import Doubt
from bandit_service.storage.redis_server import try_lock

_PAGE_BYTES: Final = 4096
_WAL_PAGES: Final = 8_192
"""How long SQLite's write-ahead log may grow (32 MB) before a visitor waits for it to be emptied:
``tidy`` does that before, while nobody waits."""
_BUSY_SECONDS: Final = 2.0
_sync: Final = getattr(os, "fdatasync", os.fsync)
"""macOS has the slower one alone."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spool (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    site TEXT NOT NULL,
    entry BLOB NOT NULL,
    kept INTEGER NOT NULL,
    doubt BLOB
);
CREATE TABLE IF NOT EXISTS outage (id TEXT NOT NULL, file TEXT NOT NULL);
"""
_OLDEST: Final = """
SELECT id, site, entry, kept FROM spool
WHERE id < COALESCE((SELECT MIN(id) FROM spool WHERE doubt IS NOT NULL), 9223372036854775807)
ORDER BY id LIMIT ?
"""


class Waiting(NamedTuple):
    """An entry in the spool. Rows are numbered in the order in which they came."""

    row: int
    site: str
    entry: bytes
    kept: int
    """When it came, in ms of this machine's clock."""


class Uncertain(NamedTuple):
    """Entries of one append of which it is not known whether the log has them."""

    rows: list[int]
    site: str
    entries: list[bytes]
    doubt: Doubt


class _Handle(threading.local):
    """What each thread has of its own: a connection, and a descriptor to lock by."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        lock = path.with_suffix(".lock")
        self.lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # SQLite gives its other files the mode of this one. Closed while SQLite has it open, it
        # would lose SQLite's locks on it: nobody connects before it is closed.
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        self.connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        # What visitors did is erased with its row, for a microsecond an entry.
        self.connection.execute("PRAGMA secure_delete=ON")
        self.connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        self.connection.execute(f"PRAGMA max_page_count={max(16, max_bytes // _PAGE_BYTES)}")
        self._path = path
        self._log = -1

    def sync(self) -> None:
        """Return once everything that was committed is on disk."""
        if self._log < 0:  # it is there from the first commit until the last connection closes
            self._log = os.open(f"{self._path}-wal", os.O_RDWR | os.O_CLOEXEC)
        _sync(self._log)

    def close(self) -> None:
        """Let go of everything; again, of nothing."""
        self.connection.close()
        for descriptor in (self.lock, self._log):
            if descriptor >= 0:
                os.close(descriptor)
        self.lock = self._log = -1


class Spool:
    """The entries that wait. Every method raises SpoolError if the disk does not do its part.

    Every stretch of time in which something waits has an id of its own (``source``), under which
    the log notes how far it has taken the rows over. A copy of the file, on a cloned machine or out
    of a backup, gets another one, so that its new rows are not taken for those of the original.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        """Open or make the spool at ``path``; at most ``max_bytes`` of disk, about.

        Raises:
            SpoolError: if it cannot be used.
        """
        self.path = path
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = _Handle(path, max_bytes)
            self._flag = _shared_byte(path.with_suffix(".waiting"))
            with self._writing() as db:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                if db.execute("SELECT file FROM outage").fetchone() != (self._file(),):
                    self._begin(db)
                self._flag[0] = int(_any(db))

    @property
    def waiting(self) -> bool:
        """Whether anything waits; a look at shared memory."""
        return self._flag[0] != 0

    def put(
        self, site: str, entries: Sequence[bytes], doubt: Doubt | None = None, *, now: int
    ) -> None:
        """Keep entries that came at ``now`` (ms); returns once they are on disk.

        ``doubt`` says that an append of just these was not answered: they are added to the log
        only if it turns out not to have them.
        """
        note = None if doubt is None else msgspec.json.encode(doubt)
        with self._translated():
            with self._writing() as db:
                if not _any(db):
                    self._begin(db)
                self._flag[0] = 1
                db.executemany(
                    "INSERT INTO spool (site, entry, kept, doubt) VALUES (?, ?, ?, ?)",
                    [(site, entry, now, note) for entry in entries],
                )
            self._handle.sync()

    @property
    def source(self) -> str:
        """The id of the present outage; constant while anything waits."""
        with self._translated():
            (found,) = self._handle.connection.execute("SELECT id FROM outage").fetchone()
        return str(found)

    def oldest(self, limit: int, *, max_bytes: int) -> list[Waiting]:
        """The first entries in line, at most so many, and unless it is one, of so many bytes.

        Entries in doubt, and what is behind them, have to be settled first.
        """
        rows: list[Waiting] = []
        size = 0
        with self._translated():
            for row in self._handle.connection.execute(_OLDEST, (limit,)):
                size += len(row[2])
                if rows and size > max_bytes:
                    break
                rows.append(Waiting(*row))
        return rows

    def uncertain(self) -> list[Uncertain]:
        """The entries whose append was not answered, append by append."""
        query = "SELECT id, site, entry, doubt FROM spool WHERE doubt IS NOT NULL ORDER BY id"
        with self._translated():
            rows = self._handle.connection.execute(query).fetchall()
        found: dict[bytes, Uncertain] = {}
        for row, site, entry, note in rows:
            known = found.get(note)
            if known is None:
                doubt = msgspec.json.decode(note, type=Doubt)
                known = found[note] = Uncertain([], site, [], doubt)
            known.rows.append(row)
            known.entries.append(entry)
        return list(found.values())

    def settle(self, uncertain: Uncertain, logged: Sequence[bool]) -> None:
        """Drop those of some entries that turned out to be logged; the others just wait."""
        rows = list(zip(uncertain.rows, logged, strict=True))
        with self._translated(), self._writing() as db:
            db.executemany("DELETE FROM spool WHERE id = ?", [(r,) for r, there in rows if there])
            db.executemany(
                "UPDATE spool SET doubt = NULL WHERE id = ?",
                [(r,) for r, there in rows if not there],
            )

    def remove(self, upto: int) -> None:
        """Drop every entry up to a row: the log has them."""
        with self._translated(), self._writing() as db:
            db.execute("DELETE FROM spool WHERE id <= ?", (upto,))
            self._flag[0] = int(_any(db))

    def rest(self) -> None:
        """Lower the flag if nothing waits."""
        with self._translated(), self._writing() as db:
            self._flag[0] = int(_any(db))

    def tidy(self) -> None:
        """Empty SQLite's write-ahead log as far as that holds nobody up."""
        with self._translated():
            self._handle.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def count(self) -> int:
        """How many entries wait, about; costs nothing however many they are."""
        query = "SELECT COALESCE(MAX(id) - MIN(id) + 1, 0) FROM spool"
        with self._translated():
            (found,) = self._handle.connection.execute(query).fetchone()
        return int(found)

    def counts(self) -> dict[str, int]:
        """How many entries wait, by site."""
        query = "SELECT site, COUNT(*) FROM spool GROUP BY site ORDER BY site"
        with self._translated():
            return dict(self._handle.connection.execute(query).fetchall())

    @contextlib.contextmanager
    def draining(self) -> Iterator[bool]:
        """Whether this thread may empty the spool now: one at a time may, of all processes."""
        with self._translated():
            lock = try_lock(self.path.with_suffix(".drain"))
        try:
            yield lock is not None
        finally:
            if lock is not None:
                os.close(lock)

    def close(self) -> None:
        """Let go of this thread's connection; other threads' go with them."""
        self._handle.close()

    def _begin(self, db: sqlite3.Connection) -> None:
        """Begin an outage under an id of its own."""
        db.execute("DELETE FROM outage")
        db.execute("INSERT INTO outage VALUES (?, ?)", (uuid.uuid4().hex, self._file()))

    def _file(self) -> str:
        """Names this very file, which a copy of it is not."""
        stat = self.path.stat()
        return f"{stat.st_dev}:{stat.st_ino}"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone of all threads and processes."""
        handle = self._handle
        fcntl.flock(handle.lock, fcntl.LOCK_EX)
        try:
            handle.connection.execute("BEGIN IMMEDIATE")
            try:
                yield handle.connection
            except BaseException:
                _abandon(handle.connection)
                raise
            _commit(handle.connection)
        finally:
            fcntl.flock(handle.lock, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise SpoolError(
                f"the spool {self.path} cannot be used: {exc}",
                hint="is its disk full, or its folder another user's? make room, raise "
                "spool_megabytes, or bring Redis back; then send it again",
            ) from exc


def _commit(db: sqlite3.Connection) -> None:
    try:
        db.execute("COMMIT")
    except sqlite3.Error:
        _abandon(db)
        raise


def _abandon(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # a full disk rolls back by itself
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")


def _any(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM spool LIMIT 1").fetchone() is not None


def _shared_byte(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, 1)
        return mmap.mmap(descriptor, 1)
    finally:
        os.close(descriptor)
