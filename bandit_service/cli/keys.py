"""Commands that manage keys: those of websites and editors, and those that sign decision ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from bandit_service.access import ROLES, Role
from bandit_service.cli.options import services_from, shared_options, site_option
from bandit_service.events.mac_keys import ACTIVATION_MS, MAX_MAC_KEYS
from bandit_service.folds.learner import stored_settings
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
"""Seconds in a unit of time."""


class Duration(click.ParamType[int]):
    """A time such as 90s, 30m, 1h or 7d, in ms."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The ms of ``value``; those are taken as they are."""
        if isinstance(value, int):
            return value
        number, unit = str(value)[:-1], str(value)[-1:]
        if not (number.isascii() and number.isdigit() and len(number) <= 9 and unit in _UNITS):
            self.fail(f"{value!r} is not a time; write 90s, 30m, 1h or 7d", param, ctx)
        return int(number) * _UNITS[unit] * 1000


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke the keys of websites and editors.

    \b
    Example: bandit-service keys create --role site --origin https://shop.example
    """


@keys.command("create")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the key may do.")
@click.option("--label", default="", help="A note to recognise it by.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    help="Where the web pages are from that hold it; may be repeated. Without: for servers alone.",
)
@shared_options
@site_option
def create_key(role: Role, label: str, origins: tuple[str, ...], **options: Any) -> None:
    """Make a key and print it, this once; only a digest of it is stored.

    \b
    Example: bandit-service keys create --role editor --label "marketing"
    """
    with services_from(options) as services:
        key, record = services.keys.create(
            services.settings.site, role, label=label, origins=origins
        )
    click.echo(key)
    whose = f"for pages of {', '.join(record.origins)}" if record.origins else "keep it safe"
    click.echo(f"{record.role} key {record.id} of site {record.site}; {whose}.", err=True)


@keys.command("list")
@shared_options
def list_keys(**options: Any) -> None:
    """List the keys of all sites, without the keys themselves.

    \b
    Example: bandit-service keys list
    """
    with services_from(options) as services:
        records = sorted(services.keys.records().values(), key=lambda r: (r.site, r.created))
    shown = Table()
    for name in ("id", "site", "role", "label", "origins", "created", "expires", "revoked"):
        shown.add_column(name, overflow="fold")  # nothing is cut, however narrow the terminal
    for record in records:
        shown.add_row(
            record.id,
            record.site,
            record.role,
            record.label,
            "\n".join(record.origins),
            _minute(record.created),
            _minute(record.expires),
            _minute(record.revoked),
        )
    Console().print(shown)


@keys.command("rotate")
@click.argument("key_id")
@click.option(
    "--overlap",
    type=Duration(),
    default="1h",
    show_default=True,
    help="How long both keys are valid: 90s, 30m, 1h, 7d.",
)
@shared_options
def rotate_key(key_id: str, overlap: int, **options: Any) -> None:
    """Make a successor of a key, which may do the same, and let the old one expire.

    \b
    Example: bandit-service keys rotate 1f2e3d4c --overlap 1h
    """
    with services_from(options) as services:
        key, record, ending = services.keys.rotate(key_id, overlap_ms=overlap)
    click.echo(key)
    click.echo(
        f"{record.role} key {record.id} of site {record.site}; "
        f"{ending.id} is valid until {_minute(ending.expires)} UTC.",
        err=True,
    )


@keys.command("revoke")
@click.argument("key_id")
@shared_options
def revoke_key(key_id: str, **options: Any) -> None:
    """Revoke a key by its id; running servers refuse it within 2 seconds.

    \b
    Example: bandit-service keys revoke 1f2e3d4c
    """
    with services_from(options) as services:
        record = services.keys.revoke(key_id)
    click.echo(f"Revoked the {record.role} key {record.id} of site {record.site}.")


@keys.command("rotate-mac")
@click.option(
    "--keep",
    type=int,
    default=MAX_MAC_KEYS,
    show_default=True,
    help="How many keys verify from now on, the new one included.",
)
@click.option("--force", is_flag=True, help="Drop keys even if events may come that need them.")
@shared_options
@site_option
def rotate_mac(keep: int, force: bool, **options: Any) -> None:
    """Add a new key to those that sign a site's decision ids; the old ones go on verifying.

    If a key is known to somebody else, rotate twice, the second time with --keep 2 --force.

    \b
    Example: bandit-service keys rotate-mac --site news
    """
    with services_from(options) as services:
        site = services.settings.site
        ring = services.mac_keys.rotate(site, _settings_of(services, site), keep=keep, forced=force)
    click.echo(
        f"Site {site}: a new key signs decision ids in {ACTIVATION_MS // 1000} seconds; "
        f"{len(ring)} keys verify them."
    )


def _settings_of(services: Services, site: str) -> SiteSettings:
    """The settings that ``site`` is served by."""
    store = services.store.site(site)
    head = store.head()
    return services.site_settings if head is None else stored_settings(store, head.name)


def _minute(ms: int | None) -> str:
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m-%d %H:%M}"
