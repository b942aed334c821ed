"""The processes that are measured: started on free loopback ports, stopped by their own handles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import IO, Final, NamedTuple

from bandit_service.cli.processes import Child, free_port, wait_until_ready
from bandit_service.errors import BanditError
from bandit_service.opening import embedded_redis, opened_store
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.ports import SiteStore
from bench.measures import BenchError
from bench.traffic import CATALOG

SITE: Final = "bench"
WORKERS: Final = os.cpu_count() or 1
"""Web processes of either server: what ``serve`` does unless told otherwise."""


class Server(NamedTuple):
    """A running server."""

    port: int
    pid: int


class Service(NamedTuple):
    """A running service, a key to it, and its store, reached past it."""

    server: Server
    key: str
    store: SiteStore
    redis: int
    """The process id of its Redis."""


class _Quiet(Child):
    """A child whose words go to a file."""

    def __init__(self, command: Sequence[str], *, log: IO[bytes]) -> None:
        self._log = log
        self.pid = 0
        super().__init__(command, environ=_environ())

    def _spawn(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            self._command,
            env=self._environ,
            start_new_session=True,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.pid = process.pid
        return process


@contextmanager
def noop_server() -> Iterator[Server]:
    """The reference."""
    port = free_port()
    with _running([sys.executable, "-m", "bench.noop", str(port), str(WORKERS)], port) as server:
        yield server


@contextmanager
def service(*, learn: bool, window_seconds: float = 600.0) -> Iterator[Service]:
    """``bandit-service serve`` with an embedded Redis of its own, and a learner or none."""
    with TemporaryDirectory(prefix="bandit-bench-") as name:
        folder = Path(name)
        settings = settings_in(folder, window_seconds=window_seconds)
        with opened_store(settings) as store:
            key, _ = Services(settings, store).keys.create(SITE, "site", label="bench")
        port = free_port()
        with (
            _running(_serve_command(settings, port, learn=learn), port) as server,
            embedded_redis(settings) as redis,
            opened_store(settings) as store,
        ):
            yield Service(server, key, store.site(SITE), redis.pid)


def settings_in(folder: Path, *, window_seconds: float = 600.0) -> ServiceSettings:
    """Settings for the benchmarks' site, with all their files in ``folder``."""
    config = folder / "config"
    config.mkdir()
    copyfile(CATALOG, config / "catalog.toml")
    (config / "site.toml").write_text(f"[rewards]\nwindow_seconds = {window_seconds}\n")
    return ServiceSettings(
        data_dir=str(folder / "data"), config_dir=str(config), site=SITE, log_level="warning"
    )


def _serve_command(settings: ServiceSettings, port: int, *, learn: bool) -> list[str]:
    return [
        *(sys.executable, "-m", "bandit_service", "serve"),
        *("--parent", str(os.getpid())),
        *("--site", settings.site),
        *("--port", str(port)),
        *("--workers", str(WORKERS)),
        *("--data-dir", settings.data_dir),
        *("--config-dir", settings.config_dir),
        *("--log-level", settings.log_level),
        "--learn" if learn else "--no-learn",
    ]


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[Server]:
    with TemporaryDirectory(prefix="bandit-bench-") as folder:
        path = Path(folder) / "server.log"
        with path.open("wb") as log:
            child = _Quiet(command, log=log)
            try:
                wait_until_ready(f"http://127.0.0.1:{port}/readyz", child)
                yield Server(port, child.pid)
            except BanditError as exc:
                words = path.read_text(errors="replace")[-2_000:]
                raise BenchError(f"{exc.message}: {words}") from exc
            finally:
                child.stop()


def _environ() -> dict[str, str]:
    """The environment without what would change the settings of the service."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "REDIS_URL" and not name.startswith("BANDIT_")
    }
