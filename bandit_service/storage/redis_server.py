"""One folder of Redis data and the ``redis-server`` process that holds it, if any.

Holds: the append-only file, ``redis.conf``, ``redis.log``, ``written-by`` (the version that last
opened the data) and ``server.lock``, which the server inherits and keeps locked until it ends.

Invariants: a server is started only by whoever locked ``server.lock`` first, so two never write
to one folder, even when the process that started the first was killed; a process is signalled by
its own id, and only while the lock is held.

Refused: data of a newer Redis than any found here. Rejected: a pid file, whose number may have
passed to another process; ``daemonize``, which hides a start that fails; a loopback port, which
every user of the machine could reach. Who may start or stop it is the caller's to decide.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bandit_service.errors import StorageError
from bandit_service.storage.redis_binary import OLDEST, RedisBinary, find_binary, release

Fsync = Literal["everysec", "always"]

_POLL_SECONDS = 0.02
_PROBE_SECONDS = 5.0
_ASK_SECONDS = 1.0
_STOP_SECONDS = (30.0, 15.0, 15.0)
"""How long SHUTDOWN, SIGTERM and SIGKILL each get to take effect on a server that answers."""
_HUNG_SECONDS = (0.0, 1.0, 1.0)
"""The same for one that has not answered for _ASK_SECONDS, so that it holds nobody up."""
_TAIL_LINES = 20
_TAIL_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server says of itself."""

    pid: int
    binary: RedisBinary
    loading: bool
    loaded_bytes: int


class RedisServer:
    """The server of a folder, seen from outside.

    Args:
        folder: the data; exists, and is this user's alone.
        socket: where the server listens, at most 100 bytes long.
        fsync: when an append reaches the disk: within a second, or before it is acknowledged.
    """

    def __init__(self, *, folder: Path, socket: Path, fsync: Fsync) -> None:
        self.folder = folder
        self.socket = socket
        self.log = folder / "redis.log"
        self._lock = folder / "server.lock"
        self._written_by = folder / "written-by"
        self._fsync = fsync

    def state(self) -> ServerState | None:
        """What the server says of itself; None where none answers."""
        with self._client(_PROBE_SECONDS) as client:
            try:
                said = client.info()
            except (redis.ConnectionError, redis.TimeoutError):
                return None
            except redis.RedisError as error:
                raise StorageError(f"the Redis at {self.socket} refused INFO: {error}") from error
        return ServerState(
            pid=int(said["process_id"]),
            binary=RedisBinary(path=Path(said["executable"]), version=str(said["redis_version"])),
            loading=bool(said["loading"]),
            loaded_bytes=int(said.get("loading_loaded_bytes", 0)),
        )

    def spawn(self) -> subprocess.Popen[bytes] | None:
        """A new server on the folder; None while another holds it.

        Raises:
            StorageError: no program here can serve this data.
        """
        lock = try_lock(self._lock)
        if lock is None:
            return None
        try:
            binary = find_binary(at_least=self._oldest_reader())
            config = self.folder / "redis.conf"
            config.write_text(self._config(), encoding="utf-8")
            with self.log.open("ab") as log:
                return subprocess.Popen(  # noqa: S603 - a program that we looked up, and no shell
                    [binary.path, config],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    start_new_session=True,  # the terminal's Ctrl-C is for us, not for it
                )
        finally:
            os.close(lock)

    def note_version(self, version: str) -> None:
        """Remember that a server of this version opened the data."""
        self._written_by.write_text(version, encoding="ascii")

    def gone(self) -> bool:
        """Whether no server holds the folder."""
        lock = try_lock(self._lock)
        if lock is not None:
            os.close(lock)
        return lock is not None

    def end(self, pid: int) -> None:
        """Have the server, process ``pid``, flush and end; by force where it does not.

        One that was suspended is woken to end in order. One that hangs is killed after
        3 seconds at most, which takes nothing that it acknowledged: that was written to
        its file before it answered, up to what it holds back for a slow disk under ``everysec``.

        Raises:
            StorageError: it is there after SHUTDOWN, SIGTERM and SIGKILL.
        """
        answered = self._ask_to_shut_down()
        steps: tuple[tuple[signal.Signals, ...], ...] = (
            (),
            (signal.SIGTERM, signal.SIGCONT),
            (signal.SIGKILL,),
        )
        patience = _STOP_SECONDS if answered else _HUNG_SECONDS
        for signals, seconds in zip(steps, patience, strict=True):
            if not self.gone():
                for number in signals:
                    _signal(pid, number)
            if _becomes_true(self.gone, within=seconds):
                return
        raise StorageError(
            f"redis-server, process {pid}, did not stop", hint=f"Its log is {self.log}."
        )

    def log_size(self) -> int:
        """Bytes in the log."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self, *, since: int = 0) -> str:
        """The last lines of the log, from byte ``since`` on."""
        if not self.log.exists():
            return "(no log)"
        with self.log.open("rb") as log:
            log.seek(max(since, self.log_size() - _TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def _client(self, seconds: float) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
        )

    def _config(self) -> str:
        lines = (
            "# Written at each start: what is changed here is lost.",
            "port 0",
            f"unixsocket {_quoted(self.socket)}",
            "unixsocketperm 700",
            "protected-mode yes",
            "daemonize no",
            f"dir {_quoted(self.folder)}",
            'save ""',
            "appendonly yes",
            f"appendfsync {self._fsync}",
            "maxmemory-policy noeviction",
        )
        return "\n".join(lines) + "\n"

    def _oldest_reader(self) -> tuple[int, int]:
        if not self._written_by.exists():
            return OLDEST
        return release(self._written_by.read_text(encoding="ascii"))

    def _ask_to_shut_down(self) -> bool:
        """Ask, and say whether the server answers at all: where it does not, signals follow."""
        with self._client(_ASK_SECONDS) as client:
            try:
                client.ping()
            except redis.BusyLoadingError:
                pass
            except (redis.ConnectionError, redis.TimeoutError):
                return False
            with contextlib.suppress(redis.RedisError):
                client.shutdown()
        return True


def try_lock(path: Path) -> int | None:
    """Lock the file for this process: its descriptor, or None while another holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _quoted(path: Path) -> str:
    """A path as Redis reads it from its configuration."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended in the meantime, which is the aim
        os.kill(pid, number)


def _becomes_true(condition: Callable[[], bool], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
