"""Running the application: granian, a worker process for each core, one thread in each.

One blocking thread a process is the fastest for work that holds the interpreter lock, and spares
every part of the hot path a lock of its own. The settings travel to the workers in one environment
variable; each worker opens its own connections. This module imports nothing of the application:
the Prometheus client decides on import whether processes share figures, and that is set here.

A worker that dies is replaced, however often and however many at once: a service that is killed
piece by piece must not end itself. Rejected: granian's own loop, which takes two deaths of one
worker within 5.5 seconds for a reason to stop all of them, and can overlook a worker that dies
while it replaces another.

Workers are started afresh rather than forked: a fork would keep open what other threads of this
process hold, such as the lock of an embedded Redis, which then could not be brought up again when
it dies.

Every queue has an end. A worker holds CONNECTIONS at a time, each with one request at most, so none
waits behind more than that many; further clients wait in the kernel's queue of BACKLOG, and beyond
it their connection is not made: they time out and try elsewhere or again. Nobody is answered 503
for the load alone. A connection on which nothing comes for IDLE_SECONDS, a first request included,
is closed, so that idle ones cannot take all places. HTTP/1.1 is spoken alone: waiting for the
preface of HTTP/2, the server would wait forever.

What this cannot bound is the time that a body takes to come: a worker reads it in its one thread.
Where strangers connect directly, a proxy that reads requests whole (nginx does) belongs in front.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from bandit_service.settings import ServiceSettings

SETTINGS_VARIABLE: Final = "BANDIT_WORKER_SETTINGS"
CONNECTIONS: Final = 1024
"""Connections that one worker holds at a time: at 0.3 ms a request the last waits 0.3 s."""
BACKLOG: Final = 1024
"""Connections that wait in the kernel for each worker, as far as net.core.somaxconn allows."""
IDLE_SECONDS: Final = 15.0
"""How long a connection may be silent between requests, or before the first one's head is there."""
BUFFER_BYTES: Final = 65_536
"""Most that is read ahead of a connection, and so the largest head: 64 MB a worker at most."""
_SHARED_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"
_FINISH_SECONDS: Final = 5
"""How long requests in flight may take to end once the service is told to stop: all else that must
end then has its place within 10 seconds too."""
_LOOK_SECONDS: Final = 1.0
"""How long a dead worker may stay unnoticed where its own watcher missed it."""


def _nothing() -> None:
    """What is to be done where nothing is."""


def run(
    settings: ServiceSettings, redis_url: str, *, on_stop: Callable[[], None] = _nothing
) -> None:
    """Serve until SIGTERM or SIGINT. ``redis_url`` is where the store is by now.

    ``on_stop`` is called once the service is told to stop, before the workers are waited for.
    """
    known = msgspec.structs.replace(settings, redis_url=redis_url)
    figures = Path(tempfile.mkdtemp(prefix="bandit-service-metrics-"))
    os.environ[SETTINGS_VARIABLE] = msgspec.json.encode(known).decode()
    os.environ[_SHARED_FIGURES] = str(figures)
    _allow_files()
    try:
        serve(
            "bandit_service.web.worker:application",
            host=settings.host,
            port=settings.port,
            workers=settings.worker_count,
            on_stop=on_stop,
        )
    finally:
        shutil.rmtree(figures, ignore_errors=True)


def serve(
    application: str,
    *,
    host: str,
    port: int,
    workers: int,
    connections: int = CONNECTIONS,
    idle_seconds: float = IDLE_SECONDS,
    on_stop: Callable[[], None] = _nothing,
) -> None:
    """Serve, until told to stop, what the function at ``module:name`` makes; see ``run``."""
    multiprocessing.set_start_method("spawn", force=True)  # granian asks for it when it starts one
    _Steadfast(
        application,
        on_stop=on_stop,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=1,
        backlog=BACKLOG,
        backpressure=connections,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=round(idle_seconds * 1000), max_buffer_size=BUFFER_BYTES
        ),
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=_FINISH_SECONDS,
        log_level=LogLevels.warning,
    ).serve()


def _forget(pid: int) -> None:
    from bandit_service.web.metrics import forget_process  # noqa: PLC0415 - see the module's text

    forget_process(pid)


def _allow_files() -> None:
    """Let this process and its workers open as many files as the system allows it to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS * 2
    if soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


class _Steadfast(MPServer):
    """granian, except that it replaces its workers for as long as it is not told to stop."""

    def __init__(self, *args: Any, on_stop: Callable[[], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self._on_stop = on_stop

    def shutdown(self, exit_code: int = 0) -> None:
        self._on_stop()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal:
            workers: list[Any] = list(self.wrks)
            dead = [worker.idx for worker in workers if not worker.is_alive()]
            for idx in dead:
                _forget(workers[idx].inner.pid)
            # The interval keeps workers that cannot start from taking all of the machine.
            self._respawn_workers(dead, spawn_target, target_loader, delay=self.respawn_interval)
            if self.reload_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
            if not dead:
                self.main_loop_interrupt.wait(_LOOK_SECONDS)
                self.main_loop_interrupt.clear()
        self.interrupt_children.clear()  # they were replaced, so this service did not fail
