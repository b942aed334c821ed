"""Commands about data and settings. A site's catalog: see ``catalog``; its keys: see ``keys``."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bandit_service.datasets import fetch_obd
from bandit_service.errors import InvalidInput
from bandit_service.policy.settings import SiteSettings
from bandit_service.settings import read_service_settings, table


@click.group()
def data() -> None:
    """Fetch public data sets into a cache folder.

    \b
    Example: bandit-service data obd
    """


@data.command("obd")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Where to keep it.")
def fetch_open_bandit(cache_dir: Path | None) -> None:
    """Fetch the sample of the Open Bandit Dataset: 10,000 logged impressions a campaign.

    \b
    Example: bandit-service data obd
    """
    folder = fetch_obd(cache_dir, progress=lambda line: click.echo(line, err=True))
    click.echo(folder)


@click.command("settings")
@click.option("--config-dir", help="Folder with service.toml, site.toml and catalog.toml.")
def settings_table(config_dir: str | None) -> None:
    """List every setting with its variable, its value here and what it means.

    \b
    Example: bandit-service settings
    """
    if config_dir is not None and not Path(config_dir).is_dir():
        raise InvalidInput(f"{config_dir} is not a folder", field="config_dir")
    here = read_service_settings(os.environ, {"config_dir": config_dir})
    shown = Table("setting", "variable", "value", "meaning")
    for row in table():
        shown.add_row(row.name, row.variable, str(getattr(here, row.name)), row.help)
    Console().print(shown)
    Console().print(f"Rewards and policy: [bold]{here.config_path / here.site_settings}[/bold]")
    defaults = msgspec.json.format(msgspec.json.encode(SiteSettings()), indent=2)
    Console().print(f"Their defaults:\n{defaults.decode()}")
