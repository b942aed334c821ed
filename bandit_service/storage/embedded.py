"""A real Redis for whoever has none: started, owned and stopped by this process.

``data_dir`` holds ``redis/``, the data and the log of the server, and ``redis.lock``, locked by
the process that owns the server.

Invariants:

- One process at most owns a server, and only the owner stops it. A second process attaches to
  what runs; where the owner was killed, the next to come adopts the server as it is.
- What Redis acknowledged survives a stop and the death of any process that uses it. When the
  server itself is killed, or the power fails, ``fsync="everysec"`` may lose the last two seconds
  (Redis writes behind a slow disk that long); ``"always"`` loses nothing.
- Nobody else gets in: no TCP port, and a socket in a folder of this user alone.

Refused, with an error that names the remedy: a folder that cannot be written, a damaged
append-only file (a repair may drop data, so a person decides), a server that neither answers nor
makes progress.

The owner must outlive those attached to it; where that cannot be had, run a Redis and set
REDIS_URL. Rejected: snapshots (RDB), which lose minutes; a port or ``TMPDIR`` for a path that is
over the kernel's limit for sockets: every user can reach a port, and two processes of one user
need not share a ``TMPDIR``. Such a socket goes to a folder of this user's in ``/tmp``, named by a
hash of ``data_dir``.

For Linux and macOS: it stands on ``flock`` and on sockets in the file system.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from bandit_service.errors import StorageError
from bandit_service.storage.redis_binary import RedisBinary
from bandit_service.storage.redis_server import Fsync, RedisServer, ServerState, try_lock

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernels allow 108 (Linux) and 104 (macOS), a closing zero included."""

_POLL_SECONDS = 0.02
_PUT_DOWN_SECONDS = 15.0
_DAMAGE = ("append only file", "AOF", "RDB", "Short read")
"""What Redis names in the log line it dies with when its data cannot be read."""


@dataclass(frozen=True, slots=True)
class _Running:
    """The server that was found or started."""

    state: ServerState
    owned: bool
    child: subprocess.Popen[bytes] | None
    reached_by: int
    """The process that called ``start``: a fork of it owns nothing."""


class EmbeddedRedis:
    """A Redis of one's own; a context manager around ``start`` and ``stop``.

    Args:
        data_dir: where the data lives; made if missing.
        fsync: when an append reaches the disk: within a second, or before it is acknowledged.
        stall_seconds: how long a server may show no progress while it starts or loads.
        limit_seconds: how long it may take until it is ready, whatever its progress.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        fsync: Fsync = "everysec",
        stall_seconds: float = 60.0,
        limit_seconds: float = 900.0,
    ) -> None:
        self._data_dir = data_dir.expanduser().resolve()
        folder = self._data_dir / "redis"
        self._server = RedisServer(folder=folder, socket=_socket_path(folder), fsync=fsync)
        self._stall_seconds = stall_seconds
        self._limit_seconds = limit_seconds
        self._ownership: int | None = None
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address for a Redis client: ``unix://`` and the path of the socket."""
        return "unix://" + quote(str(self._server.socket))

    @property
    def owned(self) -> bool:
        """Whether ``stop`` will stop the server."""
        return self._running is not None and self._running.owned

    @property
    def binary(self) -> RedisBinary:
        """The program that runs, as it says itself.

        Raises:
            StorageError: nothing was started.
        """
        return self._reached().state.binary

    @property
    def pid(self) -> int:
        """The process id of the server.

        Raises:
            StorageError: nothing was started.
        """
        return self._reached().state.pid

    def start(self) -> str:
        """Start a server, adopt one whose owner is gone, or attach to another's; the URL.

        Returns once the server has loaded its data and answers. Called again it changes nothing
        while the server lives, and brings up a new one when that died.

        Raises:
            StorageError: the folder, the program, the data or the server cannot be used.
        """
        with _translated(self._data_dir):
            if self._running is None or self._server.gone():
                self._reap()
                self._let_go()
                self._make_folders()
                self._running = self._reach()
        return self.url

    def stop(self) -> None:
        """Stop the server if it is owned, its data safe on disk; else only let go of it.

        One that hangs is given 3 seconds: see ``RedisServer.end``.

        Raises:
            StorageError: it did not stop, not even by force.
        """
        running = self._running
        try:
            if running is not None and running.owned and running.reached_by == os.getpid():
                with _translated(self._data_dir):
                    self._end(running)
        finally:
            self._let_go()

    def _reached(self) -> _Running:
        if self._running is None:
            raise StorageError("the embedded Redis is not running", hint="Call start() first.")
        return self._running

    def _make_folders(self) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._server.folder.mkdir(mode=0o700, exist_ok=True)
        if self._server.socket.parent != self._server.folder:
            _make_private(self._server.socket.parent)

    def _reach(self) -> _Running:
        """Wait for the owner's server or for the ownership, whichever comes first."""
        patience = _Patience(stall=self._stall_seconds, limit=self._limit_seconds)
        while True:
            self._ownership = try_lock(self._data_dir / "redis.lock")
            if self._ownership is not None:
                return self._bring_up(patience)
            state = self._server.state()
            if state is not None and not state.loading:
                return _Running(state, owned=False, child=None, reached_by=os.getpid())
            self._wait(patience, state)

    def _bring_up(self, patience: _Patience) -> _Running:
        """As the owner: adopt the server that holds the folder, or start one."""
        child: subprocess.Popen[bytes] | None = None
        log_start = self._server.log_size()
        try:
            while True:
                state = self._server.state()
                if state is not None and not state.loading:
                    self._server.note_version(state.binary.version)
                    return _Running(state, owned=True, child=child, reached_by=os.getpid())
                if state is None and child is None:
                    child = self._server.spawn()
                self._refuse_ended(child, log_start)
                self._wait(patience, state)
        except BaseException:
            if child is not None:
                _put_down(child)
            self._let_go()
            raise

    def _end(self, running: _Running) -> None:
        try:
            self._server.end(running.state.pid)
            self._reap()
        except FileNotFoundError:  # the folder was removed under the server: nothing to flush to
            if running.child is None:
                raise
            _put_down(running.child)

    def _wait(self, patience: _Patience, state: ServerState | None) -> None:
        if not patience.lasts(state):
            raise self._silent()
        time.sleep(_POLL_SECONDS)

    def _reap(self) -> None:
        """Take the exit code of a server that is gone, so that it leaves no zombie."""
        if self._running is not None and self._running.child is not None:
            self._running.child.wait()

    def _let_go(self) -> None:
        """Forget the server and give up the ownership."""
        self._running = None
        if self._ownership is not None:
            os.close(self._ownership)
            self._ownership = None

    def _refuse_ended(self, child: subprocess.Popen[bytes] | None, log_start: int) -> None:
        if child is None or child.poll() is None:
            return
        tail = self._server.log_tail(since=log_start)
        raise StorageError(
            f"redis-server ended with code {child.returncode} while it started; its log says:\n"
            + tail,
            hint=self._repair(tail) or f"The whole log is {self._server.log}.",
        )

    def _repair(self, tail: str) -> str | None:
        """The hint for damaged data, if that is what the log speaks of."""
        grave = [line for line in tail.splitlines() if " # " in line and "WARNING" not in line]
        if not any(word in line for line in grave for word in _DAMAGE):
            return None
        folder = self._server.folder
        manifest = folder / "appendonlydir" / "appendonly.aof.manifest"
        damaged = manifest if manifest.exists() else folder / "appendonly.aof"
        return (
            f"The data is damaged. Copy {folder} to a safe place, then run "
            f"redis-check-aof --fix {damaged}, which drops what follows the damage. "
            "Where it is not installed, redis-server does the same under that name."
        )

    def _silent(self) -> StorageError:
        return StorageError(
            f"the redis-server of {self._server.folder} does not answer; its log ends with:\n"
            + self._server.log_tail(),
            hint=f"See which processes hold the lock files in {self._data_dir} and in its folder "
            "redis (lsof names them), end them, and start again.",
        )


class _Patience:
    """How long to wait for a server that may be loading a large file."""

    def __init__(self, *, stall: float, limit: float) -> None:
        now = time.monotonic()
        self._stall = stall
        self._limit_at = now + limit
        self._stalled_at = now + stall
        self._loaded_bytes = 0

    def lasts(self, state: ServerState | None) -> bool:
        """Whether to go on: there is time left, and lately there was progress."""
        now = time.monotonic()
        if state is not None and state.loaded_bytes > self._loaded_bytes:
            self._loaded_bytes = state.loaded_bytes
            self._stalled_at = now + self._stall
        return now < min(self._limit_at, self._stalled_at)


def _socket_path(folder: Path) -> Path:
    inside = folder / "redis.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
    return Path("/tmp") / f"bandit-service-{os.getuid()}" / f"{name}.sock"  # noqa: S108 - checked by _make_private


def _make_private(folder: Path) -> None:
    """Make a folder of this user alone where others may write.

    Raises:
        StorageError: what is there by that name is not that.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) & 0o077 == 0
    if not private or found.st_uid != os.getuid():
        raise StorageError(
            f"{folder} is not a folder of this user alone, so no socket is safe there",
            hint="Remove it, or choose a data folder with a shorter path.",
        )


def _put_down(child: subprocess.Popen[bytes]) -> None:
    """End a server that never became ready: it has acknowledged nothing."""
    child.terminate()
    try:
        child.wait(timeout=_PUT_DOWN_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def _translated(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the data folder {data_dir} cannot be used: {error}",
            hint="Choose a folder that this user may write to.",
        ) from error
