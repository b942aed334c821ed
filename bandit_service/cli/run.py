"""Commands that run: ``serve`` and ``learn``."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Final

import click
import msgspec

from bandit_service.cli.options import settings_from, shared_options, site_option
from bandit_service.cli.processes import Child, stop_on_signals, stop_with_parent
from bandit_service.opening import open_spool, opened_store, stranded
from bandit_service.runtime import spare_the_collector
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings, variables
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web import server

_CHILD_SECONDS: Final = 6.5
"""How long learner and archiver may take to stop: longer than a call to a Redis that hangs, and
short enough that a Redis of our own can be stopped after it, all within 10 seconds."""


@click.command()
@click.option("--host", help="Address to serve on.")
@click.option("--port", type=int, help="TCP port to serve on.")
@click.option("--workers", type=int, help="Web processes; 0 is one for each core.")
@click.option("--learn/--no-learn", default=None, help="Run a learner beside the web processes.")
@click.option("--archive/--no-archive", default=None, help="Run an archiver beside them.")
@click.option("--seed-catalog/--no-seed-catalog", default=None, help="Fill an empty site.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
@shared_options
@site_option
def serve(parent: int | None, **options: Any) -> None:
    """Serve the API, and learn from what it logs.

    \b
    Example: bandit-service serve --port 8080
    """
    settings = settings_from(options)
    stop_with_parent(parent)
    with opened_store(settings, guarded=True) as store:
        click.echo(_which_redis(settings, store))
        open_spool(settings, store.url).close()  # better known now than when Redis is away
        for path, count in stranded(settings, store.url).items():
            click.echo(f"{count} entries wait in {path} for another address of Redis")
        _prepare(Services(settings, store), first_steps=parent is None)
        wanted = {"learn": settings.learn, "archive": settings.archive}
        children = [_child(settings, store.url, name) for name, on in wanted.items() if on]

        def ask_to_stop() -> None:
            for child in children:
                child.ask_to_stop()

        try:
            click.echo(f"Serving http://{settings.host}:{settings.port} (site {settings.site})")
            server.run(settings, store.url, on_stop=ask_to_stop)
        finally:
            ask_to_stop()
            for child in children:
                child.stop()


@click.command()
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
@shared_options
def learn(parent: int | None, **options: Any) -> None:
    """Learn from the logs of all sites and publish snapshots, until stopped.

    \b
    Example: bandit-service learn --redis-url redis://localhost:6379/0
    """
    settings = settings_from(options)
    stop = threading.Event()
    stop_on_signals(stop)
    stop_with_parent(parent)
    with opened_store(settings, guarded=True) as store:
        if parent is None:
            click.echo(_which_redis(settings, store))
        spool = open_spool(settings, store.url)
        spare_the_collector()
        Services(settings, store, waiting=lambda: spool.waiting).learn(stop)


def _prepare(services: Services, *, first_steps: bool) -> None:
    """Make the site ready to decide, and say what a first-time user needs to know."""
    settings = services.settings
    _ = services.media  # better known now than when somebody uploads
    services.ensure_snapshot(settings.site)
    address = settings.public_url or f"http://localhost:{settings.port}"
    if settings.seed_catalog and (count := services.seed(settings.site, address=address)):
        source = settings.config_path / "catalog.toml"
        click.echo(f"Site {settings.site} was empty: registered {count} placements of {source}")
    if first_steps and not services.keys.records():
        click.echo("There are no keys yet: bandit-service keys create --role editor")


def _which_redis(settings: ServiceSettings, store: RedisStore) -> str:
    version = store.check_version()
    if settings.redis_url:
        return f"Redis {version} at {store.describe()}"
    return f"Redis {version}, embedded, data in {settings.data_path}"


def _child(settings: ServiceSettings, redis_url: str, command: str) -> Child:
    """Another command of ours under the settings of this one, started again whenever it dies."""
    words = [sys.executable, "-m", "bandit_service", command, "--parent", str(os.getpid())]
    known = msgspec.structs.replace(settings, redis_url=redis_url)
    environ = {**os.environ, **variables(known)}
    return Child(words, environ=environ, keep=True, patience=_CHILD_SECONDS)
