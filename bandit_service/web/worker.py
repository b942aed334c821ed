"""What granian loads in each worker process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from bandit_service.logs import configure_logs
from bandit_service.runtime import spare_the_collector
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web.app import create_app
from bandit_service.web.server import SETTINGS_VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def application() -> WSGIApplication:
    """The application of this process, with connections and a watcher of its own."""
    settings = msgspec.json.decode(os.environ[SETTINGS_VARIABLE], type=ServiceSettings)
    configure_logs(settings.log_level)
    services = Services(settings, RedisStore(settings.redis_url))
    services.refresh()
    services.start_watching()
    app = create_app(services)
    spare_the_collector()
    return app
