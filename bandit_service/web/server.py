"""Running the application: granian, a worker process for each core, one thread in each.

One blocking thread a process is the fastest for work that holds the interpreter lock, and spares
every part of the hot path a lock of its own. The settings travel to the workers in one environment
variable; each worker opens its own connections. This module imports nothing of the application:
the Prometheus client decides on import whether processes share figures, and that is set here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from bandit_service.settings import ServiceSettings

SETTINGS_VARIABLE: Final = "BANDIT_WORKER_SETTINGS"
_SHARED_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"


def run(settings: ServiceSettings, redis_url: str) -> None:
    """Serve until SIGTERM or SIGINT. ``redis_url`` is where the store is by now."""
    known = msgspec.structs.replace(settings, redis_url=redis_url)
    figures = Path(tempfile.mkdtemp(prefix="bandit-service-metrics-"))
    os.environ[SETTINGS_VARIABLE] = msgspec.json.encode(known).decode()
    os.environ[_SHARED_FIGURES] = str(figures)
    try:
        serve(
            "bandit_service.web.worker:application",
            host=settings.host,
            port=settings.port,
            workers=settings.worker_count,
        )
    finally:
        shutil.rmtree(figures, ignore_errors=True)


def serve(application: str, *, host: str, port: int, workers: int) -> None:
    """Serve, until told to stop, what the function at ``module:name`` makes."""
    Granian(
        application,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=1,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=8,
        log_level=LogLevels.warning,
    ).serve()
