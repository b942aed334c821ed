"""What granian loads in each worker process."""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from bandit_service.errors import StorageError
from bandit_service.logs import configure_logs
from bandit_service.opening import open_outbox, redis_store
from bandit_service.runtime import spare_the_collector
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.web.app import create_app
from bandit_service.web.server import SETTINGS_VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


AWAIT_SECONDS: Final = 60.0
"""How long a new process waits for Redis; then it ends, and another is started."""


def application() -> WSGIApplication:
    """The application of this process, with connections and a watcher of its own."""
    atexit.register(_leave)
    settings = msgspec.json.decode(os.environ[SETTINGS_VARIABLE], type=ServiceSettings)
    configure_logs(settings.log_level)
    store = redis_store(settings, settings.redis_url, trips=True)
    services = Services(settings, store, outbox=open_outbox(settings, store))
    _await_store(services)
    services.start_watching()
    app = create_app(services)
    spare_the_collector()
    return app


def _leave() -> None:
    """End this process without taking the interpreter apart.

    The server's own thread may still wait for the interpreter then, and CPython before 3.14 ends
    such a thread in a way that Rust takes for a panic.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _await_store(services: Services) -> None:
    """Look for the first time: without catalog, keys and secret nothing can be answered."""
    deadline = time.monotonic() + AWAIT_SECONDS
    while True:
        try:
            services.store.probe()
            services.refresh()
        except StorageError:
            if time.monotonic() > deadline:
                raise
            time.sleep(services.settings.poll_seconds)
        else:
            return
