"""Commands of the archive: ``archive`` keeps it, ``forget`` takes a visitor out of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import click

from bandit_service.archive.history import History
from bandit_service.cli.options import services_from, settings_from, shared_options, site_option
from bandit_service.cli.processes import stop_with_parent, terminated_as_interrupt
from bandit_service.opening import opened_store
from bandit_service.services import Services


@click.command()
@click.option("--once", is_flag=True, help="One round, instead of going on until stopped.")
@click.option(
    "--adopt",
    is_flag=True,
    help="Make this folder the archive of every site, whatever that loses, and stop.",
)
@click.option("--archive-dir", help="Folder of the archive.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
@shared_options
def archive(once: bool, adopt: bool, parent: int | None, **options: Any) -> None:
    """Archive the logs of all sites to Parquet, then trim them in Redis, until stopped.

    \b
    Example: bandit-service archive --once
    """
    settings = settings_from(options)
    stop_with_parent(parent)
    with opened_store(settings, guarded=not (once or adopt)) as store:
        services = Services(settings, store)
        if adopt:
            _adopt(services)
        elif once:
            _once(services)
        else:
            _until_stopped(services)


@click.command()
@click.argument("visitor")
@click.option("--archive-dir", help="Folder of the archive.")
@shared_options
@site_option
def forget(visitor: str, **options: Any) -> None:
    """Remove a visitor's profile, decisions and events from Redis and the archive.

    VISITOR is the id that the website sends. Stopped half-way, the same command completes it.

    \b
    Example: bandit-service forget your-id-of-the-visitor
    """
    with services_from(options) as services:
        gone = services.forget(services.settings.site, visitor)
    click.echo(
        f"Forgotten: {gone.decisions} decisions ({gone.stream} entries of the log in Redis, "
        f"{gone.archive} rows of the archive) and a profile of {gone.placements} placements."
    )
    click.echo(
        "What stays: what the model has learned, until bandit-service rebuild; decisions that are "
        "still open in the learner, until their window ends; copies made of Redis or the archive. "
        "Run it again if the visitor was here a moment ago."
    )


def missing_lines(history: History) -> Iterator[str]:
    """What a log lacks, a line for each reason."""
    missing = history.missing()
    for reason in sorted({reason for stretch in missing for reason in stretch.reasons}):
        stretches = [stretch for stretch in missing if reason in stretch.reasons]
        yield (
            f"The log was not whole ({reason}): entries after {stretches[0].after} "
            f"up to {stretches[-1].last} were removed from the archive."
        )


def _until_stopped(services: Services) -> None:
    """Archive until told to stop, and stop at once: whatever is left half done is done later."""
    with suppress(KeyboardInterrupt), terminated_as_interrupt():
        services.archive(threading.Event())


def _once(services: Services) -> None:
    for site, step in services.archive_once().items():
        click.echo(
            f"Site {site}: archived {step.archived}, trimmed {step.trimmed}, "
            f"expired {step.expired} entries."
        )


def _adopt(services: Services) -> None:
    for site in services.store.sites():
        lost = services.archiver(site).adopt()
        gaps = ", ".join(f"after {gap.after} up to {gap.last}" for gap in lost)
        click.echo(f"Site {site}: {services.settings.archive_path} is its archive from now on.")
        if gaps:
            click.echo(f"Lost: the log {gaps}.")
