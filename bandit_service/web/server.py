"""Running the application: granian, a worker process for each core, one thread in each.

One blocking thread a process is the fastest for work that holds the interpreter lock, and spares
every part of the hot path a lock of its own. The settings travel to the workers in one environment
variable; each worker opens its own connections.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from bandit_service.logs import configure_logs
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web.app import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_SETTINGS: Final = "BANDIT_WORKER_SETTINGS"
_SHARED_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"


def run(settings: ServiceSettings, redis_url: str) -> None:
    """Serve until SIGTERM or SIGINT. ``redis_url`` is where the store is by now."""
    known = msgspec.structs.replace(settings, redis_url=redis_url)
    figures = Path(tempfile.mkdtemp(prefix="bandit-service-metrics-"))
    os.environ[_SETTINGS] = msgspec.json.encode(known).decode()
    os.environ[_SHARED_FIGURES] = str(figures)
    try:
        Granian(
            f"{__name__}:worker",
            factory=True,
            address=settings.host,
            port=settings.port,
            interface=Interfaces.WSGI,
            workers=settings.worker_count,
            blocking_threads=1,
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=8,
            log_level=LogLevels.warning,
            process_name=None,
        ).serve()
    finally:
        shutil.rmtree(figures, ignore_errors=True)


def worker() -> WSGIApplication:
    """The application of one worker process."""
    settings = msgspec.json.decode(os.environ[_SETTINGS], type=ServiceSettings)
    configure_logs(settings.log_level)
    services = Services(settings, RedisStore(settings.redis_url))
    services.refresh()
    services.start_watching()
    return create_app(services)
