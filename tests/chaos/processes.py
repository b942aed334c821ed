"""The processes of a service, found below the one that was started, and a folder for them alone.

Everything is looked up in ``/proc`` from the process id of ``serve``: nothing is found, let alone
killed, by its name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Final, Literal

from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.opening import embedded_redis, open_spool
from bandit_service.settings import ServiceSettings
from bandit_service.storage.ports import SiteStore
from tests.e2e.processes import Caller, Program, until

Kind = Literal["worker", "learner", "redis", "archiver"]
KINDS: Final[tuple[Kind, ...]] = ("worker", "learner", "redis", "archiver")
WORKERS: Final = 2
FAST: Final = {
    "BANDIT_FSYNC": "always",  # what is acknowledged is on disk: kills of Redis lose nothing
    "BANDIT_PUBLISH_SECONDS": "0.1",  # most random moments are close to a publication
    "BANDIT_POLL_SECONDS": "0.05",  # and to a switch of snapshots
    "BANDIT_ARCHIVE_SECONDS": "0.4",  # and to a file of the archive
    "BANDIT_STREAM_HOURS": "0.0005",  # what is archived and learned is trimmed in the same round
}
_PROC: Final = Path("/proc")


class Service(Program):
    """``bandit-service serve`` with all that belongs to it, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """A service that publishes and switches often; nothing runs before ``serve``."""
        super().__init__(folder)
        self.data = folder / "data"
        self.words = folder / "words.log"
        self._scratch = folder / "scratch"
        self._scratch.mkdir()
        self.environ |= {**FAST, "TMPDIR": str(self._scratch)}
        self._main = 0

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command whose output goes to a file: a full pipe would hold it up."""
        with self.words.open("a") as output:
            return self._spawn(words, output)

    def serve(self, *words: str) -> subprocess.Popen[str]:
        """Start ``serve``, and wait until each of its processes is at work."""
        process = super().serve("--no-seed-catalog", *words)
        self._main = process.pid
        until(lambda: len(self.ready_workers()) == WORKERS, 30)
        return process

    def pids(self, kind: Kind) -> list[int]:
        """The processes of a kind that run now."""
        return [pid for pid in children(self._main) if kind_of(pid) == kind]

    def ready_workers(self) -> list[int]:
        """The web processes that have made their application: their figures say so."""
        figures = {
            path.name for path in self._scratch.glob("bandit-service-metrics-*/counter_*.db")
        }
        return [pid for pid in self.pids("worker") if f"counter_{pid}.db" in figures]

    def history(self, store: SiteStore) -> History:
        """The whole log of a site: its archive and its stream."""
        return History(store, ArchiveFolder(self.data / "archive"))

    def waiting(self) -> int:
        """How many entries wait on disk for Redis."""
        settings = ServiceSettings(data_dir=str(self.data))
        with contextlib.closing(open_spool(settings, embedded_redis(settings).url)) as spool:
            return sum(spool.counts().values())

    def ready(self) -> bool:
        """Whether a web process says that it is ready: with Redis, and with nothing waiting."""
        caller = Caller(self.port, "")
        try:
            status, answer = caller.call("GET", "/readyz")
        except (OSError, HTTPException):
            return False
        finally:
            caller.close()
        return status == 200 and answer["status"] == "ready"

    def accepts(self) -> bool:
        """Whether anything listens on the port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def end(self) -> None:
        """Stop, and see to it that no process is left that speaks of this folder."""
        self.stop()
        for pid in processes_naming(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_naming(folder: Path) -> list[int]:
    """Processes, whoever their parent, whose command line names a folder."""
    name = os.fsencode(folder)
    found = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in found if pid != os.getpid() and name in _command_line(pid)]


def children(pid: int) -> Iterator[int]:
    """Processes whose parent is ``pid``, whichever of its threads started them."""
    with contextlib.suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                yield from map(int, (task / "children").read_text().split())


def kind_of(pid: int) -> Kind | None:
    """What a child of ``serve`` is, by its command line; None for none of these, or a dead one."""
    words = _command_line(pid).split(b"\0")
    if words[0].endswith(b"redis-server") or b"redis-server " in words[0]:
        return "redis"
    if b"learn" in words:
        return "learner"
    if b"archive" in words:
        return "archiver"
    return "worker" if any(b"spawn_main" in word for word in words) else None


def _command_line(pid: int) -> bytes:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""
