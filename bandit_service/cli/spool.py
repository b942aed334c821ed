"""Commands for the time when Redis is away, and for when another one has come back."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from bandit_service.cli.options import quiet_settings_from, shared_options
from bandit_service.opening import embedded_redis, open_spool, reached_redis, redis_store, stranded


@click.group()
def spool() -> None:
    """Look at what waits on this machine's disk while Redis is away.

    \b
    Example: bandit-service spool status
    """


@spool.command()
@shared_options
def status(**options: Any) -> None:
    """Say how many decisions and events wait, by site; needs no Redis.

    \b
    Example: bandit-service spool status
    """
    settings = quiet_settings_from(options)
    url = settings.redis_url or embedded_redis(settings).url
    with closing(open_spool(settings, url)) as waiting:
        counts = waiting.counts()
    for site, count in counts.items():
        click.echo(f"site {site}: {count} wait for Redis")
    if not counts:
        click.echo("Nothing waits.")
    for path, count in stranded(settings, url).items():
        click.echo(f"{count} entries wait in {path} for another address of Redis")


@spool.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared_options
def accept(*, yes: bool, **options: Any) -> None:
    """Serve from the Redis that is there now, though it is not the one from before.

    Do this after Redis was emptied or replaced on purpose. What it does not hold (keys, catalog,
    log, model) is gone; running processes go on with what it has.

    \b
    Example: bandit-service spool accept --yes
    """
    settings = quiet_settings_from(options)
    with reached_redis(settings) as url, closing(redis_store(settings, url)) as store:
        if not yes:
            click.confirm(f"Serve from what is at {store.describe()} now?", abort=True)
        store.accept()
        click.echo(f"Accepted the Redis at {store.describe()} as it is now.")
