"""Commands of the catalog: a site's placements, variants and personas as one file."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from bandit_service.catalog.document import write_document
from bandit_service.catalog.sheets.preview import Preview
from bandit_service.catalog.sheets.problems import Problem
from bandit_service.catalog.sheets.writing import write_sheet
from bandit_service.cli.options import services_from, shared_options, site_option
from bandit_service.errors import InvalidInput
from bandit_service.printable import printable
from bandit_service.services import Services, bytes_of, catalog_from
from bandit_service.serving.importing import refusal
from bandit_service.serving.links import LinkSpec, make_links

MAX_SHOWN: Final = 100
"""Rows, and problems, that are printed."""
_DONE: Final = {
    "create": "new",
    "change": "changed",
    "new_version": "new version",
    "nothing": "as it is",
}


@click.group()
def catalog() -> None:
    """Read or change a site's placements, variants and personas as one file.

    \b
    Example: bandit-service catalog export > catalog.json
             bandit-service catalog import catalog.json
             bandit-service catalog import creatives.csv --dry-run
    """


@catalog.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    help="Of the times in a CSV file that name no offset, such as Europe/Lisbon.",
)
@shared_options
@site_option
def import_catalog(file: Path, dry_run: bool, timezone: str, **options: Any) -> None:
    """Put a catalog from a TOML, JSON or CSV file: all of it, or nothing if anything is wrong.

    Placements that it does not name stay as they are; so do variants that a CSV file has no row
    for.

    \b
    Example: bandit-service catalog import creatives.csv --dry-run --site news
    """
    with services_from(options) as services:
        if file.suffix.lower() == ".csv":
            _import_sheet(services, file, _zone(timezone), dry_run=dry_run)
        else:
            _import_document(services, file, dry_run=dry_run)


@catalog.command("export")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "csv"]),
    default="json",
    show_default=True,
    help="JSON is all of it; CSV has a row for each variant, for spreadsheets.",
)
@shared_options
@site_option
def export_catalog(kind: str, **options: Any) -> None:
    """Write the catalog to standard output.

    \b
    Example: bandit-service catalog export --site news > news.json
    """
    with services_from(options) as services:
        editor = services.editor(services.settings.site, by="cli")
        placements = editor.placements()
        if kind == "csv":
            data = write_sheet(placements)
        else:
            data = write_document(editor.personas(), placements)
        sys.stdout.buffer.write(data)


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


def _import_document(services: Services, file: Path, *, dry_run: bool) -> None:
    site = services.settings.site
    editor = services.editor(site, by="cli")
    document = catalog_from(file)
    if not dry_run:
        count = editor.put_document(document)
        click.echo(f"Site {site}: {count} placements are as {file} says.")
        return
    for old, new in editor.check_document(document):
        state = "new" if old is None else "as it is" if old is new else "changed"
        click.echo(f"{new.id}: {state}")
    click.echo(f"Nothing was changed. {file} has no mistake.")


def _import_sheet(services: Services, file: Path, zone: ZoneInfo, *, dry_run: bool) -> None:
    site = services.settings.site
    importer = services.importer(site, by="cli")
    data = bytes_of(file)
    look = importer.look(data, zone=zone)
    _show(look.preview)
    if look.preview.problems:
        raise refusal(look.preview)
    if dry_run:
        click.echo(f"Nothing was changed. {file} has no mistake.")
        return
    importer.apply(data, zone=zone, tag=look.tag)
    click.echo(f"Site {site}: {len(look.preview.rows)} variants are as {file} says.")


def _show(preview: Preview) -> None:
    """Print what an import would do; problems go to standard error."""
    divided = "tabs" if preview.delimiter == "\t" else repr(preview.delimiter)
    click.echo(f"Read as {preview.encoding}, divided by {divided}.")
    doing = [planned for planned in preview.rows if planned.action != "nothing"]
    for planned in doing[:MAX_SHOWN]:
        fields = f" ({', '.join(planned.fields)})" if planned.fields else ""
        arm = f"{planned.variant}@{planned.version}"
        done = _DONE[planned.action]
        click.echo(f"row {planned.row}: {planned.placement} {arm}: {done}{fields}")
    if len(doing) > MAX_SHOWN:
        click.echo(f"… and {len(doing) - MAX_SHOWN} rows more")
    counts = (f"{count} {_DONE[action]}" for action, count in preview.counts.items())
    click.echo(f"Variants: {', '.join(counts)}.")
    for problem in preview.problems[:MAX_SHOWN]:
        click.echo(_told(problem), err=True)


def _told(problem: Problem) -> str:
    place = "file" if problem.row is None else f"row {problem.row}"
    column = "" if problem.column is None else f", {printable(problem.column)}"
    hint = "" if problem.hint is None else f" ({problem.hint})"
    return f"{place}{column}: {printable(problem.message)}{hint}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:  # not there, no name, no file
        raise InvalidInput(
            f"there is no time zone {name[:80]!r}",
            field="timezone",
            hint="use an IANA name such as Europe/Lisbon",
        ) from exc
