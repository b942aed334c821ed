"""Options that several commands share, and what they make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bandit_service.access import check_site
from bandit_service.logs import configure_logs
from bandit_service.opening import opened_store
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings, read_service_settings

Command = TypeVar("Command", bound=Callable[..., Any])

_SHARED = (
    click.option("--redis-url", help="Redis to use instead of an embedded one."),
    click.option("--data-dir", help="Folder of the embedded Redis."),
    click.option("--config-dir", help="Folder with service.toml, site.toml and catalog.toml."),
    click.option("--site-settings", help="File in the configuration folder: rewards and policy."),
    click.option("--log-level", help="debug, info, warning or error."),
)


def shared_options(command: Command) -> Command:
    """Where the data and the settings are."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def site_option(command: Command) -> Command:
    """Which site a command speaks of."""
    return click.option("--site", help="The site to speak of (default: the setting 'site').")(
        command
    )


def settings_from(options: dict[str, Any]) -> ServiceSettings:
    """The settings under the options of a command; also starts logging."""
    settings = read_service_settings(os.environ, options)
    check_site(settings.site)
    configure_logs(settings.log_level)
    return settings


def quiet_settings_from(options: dict[str, Any]) -> ServiceSettings:
    """The same for commands that have nothing to log unless something is wrong."""
    return settings_from({"log_level": "warning", **_given(options)})


@contextmanager
def services_from(options: dict[str, Any]) -> Iterator[Services]:
    """Services under the options of a command, quiet about being started."""
    settings = quiet_settings_from(options)
    with opened_store(settings) as store:
        services = Services(settings, store)
        try:
            yield services
        finally:
            services.close()


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; call what it gives with each advance.

    ``total`` is None where nobody knows how much there is. The bar appears with the first advance,
    so that work that turns out to be short shows none.
    """
    bar = Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task(label, total=total)

    def advance(count: int) -> None:
        bar.start()
        bar.advance(task, count)

    try:
        yield advance
    finally:
        bar.stop()


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
