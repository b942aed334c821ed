"""Commands that manage a site: its catalog, its data, its settings. Its keys: see ``keys``."""

from __future__ import annotations

import os
import sys
from html import escape
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bandit_service.catalog.document import write_document
from bandit_service.cli.options import services_from, shared_options, site_option
from bandit_service.datasets import fetch_obd
from bandit_service.errors import InvalidInput
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import catalog_from
from bandit_service.serving.links import LinkSpec, make_links
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


@catalog.command("links")
@click.argument("placement")
@click.option("--home", required=True, help="The website's own address: https://shop.example.")
@click.option("--channel", default="email", show_default=True, help="The context's channel.")
@click.option("--persona", help="The persona of all readers, where the e-mail is for one.")
@click.option("--days", type=float, default=365.0, show_default=True, help="How long they count.")
@click.option("--service", default="", help="Where this service is: https://bandit.example.")
@shared_options
@site_option
def make_mail_links(
    placement: str,
    home: str,
    channel: str,
    persona: str | None,
    days: float,
    service: str,
    **options: Any,
) -> None:
    """Make the addresses of a picture and a click, for e-mails, where no script runs.

    \b
    Example: bandit-service catalog links the-long-summer --home https://shop.example
    """
    spec = LinkSpec(home=home, channel=channel, persona=persona, days=days)
    with services_from(options) as services:
        site, now = services.settings.site, services.clock()
        editor = services.editor(site, by="cli")
        secret = services.view(site).secret
        stored = editor.placement(placement)
        links = make_links(
            secret,
            site,
            stored,
            spec,
            personas={one.id for one in editor.personas().personas},
            now=now,
        )
    base, alt = escape(service.rstrip("/")), escape(stored.name or stored.id)
    click.echo(f'<a href="{base}{links.click}"><img src="{base}{links.picture}" alt="{alt}"></a>')
    click.echo("Put the reader's opaque id in the place of {reader}, the same in both.", err=True)


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
