"""Commands that manage a site: its catalog, its keys, its data, its settings."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bandit_service.access import ROLES, Role
from bandit_service.catalog.document import write_document
from bandit_service.cli.options import services_from, shared_options, site_option
from bandit_service.datasets import fetch_obd
from bandit_service.errors import InvalidInput
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import catalog_from
from bandit_service.settings import read_service_settings, table


@click.group()
def catalog() -> None:
    """Read or change a site's placements, variants and personas as one file.

    \b
    Example: bandit-service catalog export > catalog.json
             bandit-service catalog import catalog.json
    """


@catalog.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@shared_options
@site_option
def import_catalog(file: Path, **options: Any) -> None:
    """Put a catalog from a TOML or JSON file; placements it does not name stay as they are.

    \b
    Example: bandit-service catalog import config/catalog.toml --site news
    """
    document = catalog_from(file)
    with services_from(options) as services:
        site = services.settings.site
        count = services.editor(site, by="cli").put_document(document)
    click.echo(f"Site {site}: {count} placements are as {file} says.")


@catalog.command("export")
@shared_options
@site_option
def export_catalog(**options: Any) -> None:
    """Write the catalog as JSON to standard output.

    \b
    Example: bandit-service catalog export --site news > news.json
    """
    with services_from(options) as services:
        editor = services.editor(services.settings.site, by="cli")
        sys.stdout.buffer.write(write_document(editor.personas(), editor.placements()))


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of websites and editors.

    \b
    Example: bandit-service keys create --role site --label "front page"
    """


@keys.command("create")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the key may do.")
@click.option("--label", default="", help="A note to recognise it by.")
@shared_options
@site_option
def create_key(role: Role, label: str, **options: Any) -> None:
    """Make a key and print it, this once; only a digest of it is stored.

    \b
    Example: bandit-service keys create --role editor --label "marketing"
    """
    with services_from(options) as services:
        key, record = services.keys.create(services.settings.site, role, label=label)
    click.echo(key)
    click.echo(f"{record.role} key {record.id} of site {record.site}; keep it safe.", err=True)


@keys.command("list")
@shared_options
def list_keys(**options: Any) -> None:
    """List the keys of all sites, without the keys themselves.

    \b
    Example: bandit-service keys list
    """
    with services_from(options) as services:
        records = sorted(services.keys.records().values(), key=lambda r: (r.site, r.created))
    shown = Table("id", "site", "role", "label", "created", "revoked")
    for record in records:
        shown.add_row(
            record.id,
            record.site,
            record.role,
            record.label,
            _day(record.created),
            _day(record.revoked),
        )
    Console().print(shown)


@keys.command("revoke")
@click.argument("key_id")
@shared_options
def revoke_key(key_id: str, **options: Any) -> None:
    """Revoke a key by its id; running servers refuse it within a moment.

    \b
    Example: bandit-service keys revoke 1f2e3d4c
    """
    with services_from(options) as services:
        record = services.keys.revoke(key_id)
    click.echo(f"Revoked the {record.role} key {record.id} of site {record.site}.")


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


def _day(ms: int | None) -> str:
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m-%d %H:%M}"
