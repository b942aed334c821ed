"""``demo``: Redis, service, learner, a website and a simulated audience, in one terminal.

The audience and the website live in ``simulations/``, which stands beside the package in a checkout
and is not installed with it; each is run as a process of its own and speaks HTTP like anybody else.

The website has an origin of its own, and so a port. It is part of the catalog's addresses, which
are content: another port would make new versions of every variant. So a demo that goes on from the
last one (``--keep``) serves the website where it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from bandit_service.catalog.document import CatalogDocument, read_document
from bandit_service.cli.options import settings_from
from bandit_service.cli.processes import (
    Child,
    free_port,
    terminated_as_interrupt,
    wait_until_ready,
)
from bandit_service.errors import BanditError, InvalidInput
from bandit_service.opening import opened_store
from bandit_service.services import Services
from bandit_service.serving.editing import CatalogEditor
from bandit_service.settings import ServiceSettings

_CAMPAIGNS = ("obd/all", "obd/men", "obd/women")
_SITE = "demo"


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after so long.")
@click.option(
    "--data", type=click.Choice(_CAMPAIGNS), help="Drive with a log of real visitors instead."
)
@click.option("--limit", type=int, help="With --data: send only so many visitors.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the audience.")
@click.option("--rate", type=float, help="Visits a second, at most.")
@click.option("--keep", is_flag=True, help="Go on from the last demo instead of starting anew.")
@click.option("--port", type=int, help="TCP port to serve on (default: a free one).")
@click.option("--website-port", type=int, help="TCP port of the website (default: a free one).")
@click.option("--workers", type=int, help="Web processes (default: one for each core).")
@click.option("--data-dir", help="Folder that the demo keeps its data in a subfolder of.")
def demo(
    seconds: float | None,
    data: str | None,
    limit: int | None,
    seed: int,
    rate: float | None,
    keep: bool,
    port: int | None,
    website_port: int | None,
    **options: Any,
) -> None:
    """Start everything with a simulated audience and a website, and watch it learn.

    \b
    Example: bandit-service demo --seconds 60
             bandit-service demo --data obd/men
    """
    if find_spec("simulations") is None:
        raise BanditError(
            "the audience of the demo is not installed", hint="run it in a checkout: make demo"
        )
    if limit is not None and data is None:
        raise InvalidInput("--limit needs --data", field="limit")
    settings = settings_from({"log_level": "warning", "site": _SITE, **options})
    settings = msgspec.structs.replace(
        settings,
        redis_url="",
        data_dir=str(settings.data_path / "demo"),
        port=port or free_port(),
        site_settings="demo/obd.toml" if data else "demo/site.toml",
        seed_catalog=False,
    )
    if not keep:
        shutil.rmtree(settings.data_path, ignore_errors=True)
    driver = _driver(data, seconds, seed, rate, limit)
    with terminated_as_interrupt():
        code = _run(settings, driver, website=data is None, website_port=website_port)
    sys.exit(code)


def _run(
    settings: ServiceSettings, driver: list[str], *, website: bool, website_port: int | None
) -> int:
    url = f"http://127.0.0.1:{settings.port}"
    children = [Child(_serve_command(settings), environ=_environ())]
    try:
        wait_until_ready(f"{url}/readyz", children[0])
        if website:
            children.append(_website(settings, url, website_port))
        site_key, editor_key = _keys(settings)
        click.echo(f"Desk       {url}/desk   sign in with the editor key")
        click.echo(f"Editor key {editor_key}\nSite key   {site_key}")
        command = [sys.executable, *driver, "--url", url, "--site-key", site_key]
        if "simulations.obd" in driver:
            command += ["--editor-key", editor_key]
        return _in_foreground(command)
    except KeyboardInterrupt:
        return 130
    finally:
        for child in reversed(children):
            child.stop()


def _website(settings: ServiceSettings, service: str, port: int | None) -> Child:
    """Start the website, with a catalog whose pictures are there, and say where it is."""
    with opened_store(settings) as store:
        services = Services(settings, store)
        editor = services.editor(_SITE, by="demo")
        before = _port_before(editor)
        port = port or before or free_port()
        address = f"http://127.0.0.1:{port}"
        editor.put_document(_catalog(settings, address))
        key, _ = services.keys.create(_SITE, "site", label="website", origins=(address,))
    command = (sys.executable, "-m", "simulations.website", "--service", service)
    options = ("--site-key", key, "--port", str(port), "--parent", str(os.getpid()))
    child = Child([*command, *options], environ=_environ())
    wait_until_ready(address, child)
    where = " (where it was)" if port == before else ""
    click.echo(f"Website    {address}{where}   pick who you are, look, click, come back")
    return child


def _catalog(settings: ServiceSettings, website: str) -> CatalogDocument:
    """The demo's catalog, with the addresses of a website that is there."""
    titles = import_module("simulations.website.titles")
    path = settings.config_path / "catalog.toml"
    text = titles.placed(path.read_text(encoding="utf-8"), website)
    return read_document(text.encode(), name=str(path))


def _port_before(editor: CatalogEditor) -> int | None:
    """The port of the website that the catalog speaks of, if it does."""
    for placement in editor.placements():
        for variant in placement.variants:
            address = urlsplit(variant.target_url or "")
            if address.hostname == "127.0.0.1" and address.port:
                return address.port
    return None


def _in_foreground(command: list[str]) -> int:
    """Run the audience; a Ctrl-C is its to answer, and ours to wait for."""
    process = subprocess.Popen(command)  # noqa: S603 - our own program, no shell
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            if process.poll() is None:
                process.terminate()


def _driver(
    data: str | None, seconds: float | None, seed: int, rate: float | None, limit: int | None
) -> list[str]:
    if data is not None:
        extra = [] if limit is None else ["--limit", str(limit)]
        return ["-m", "simulations.obd", data.removeprefix("obd/"), *extra]
    options = {"--seconds": seconds, "--seed": seed, "--rate": rate}
    given = [(name, str(value)) for name, value in options.items() if value is not None]
    return ["-m", "simulations.demo", *(word for pair in given for word in pair)]


def _serve_command(settings: ServiceSettings) -> list[str]:
    return [
        *(sys.executable, "-m", "bandit_service", "serve"),
        *("--parent", str(os.getpid())),
        *("--site", settings.site),
        *("--port", str(settings.port)),
        *("--workers", str(settings.workers)),
        *("--data-dir", settings.data_dir),
        *("--config-dir", str(settings.config_path)),
        *("--site-settings", settings.site_settings),
        *("--log-level", settings.log_level),
        "--seed-catalog" if settings.seed_catalog else "--no-seed-catalog",
    ]


def _keys(settings: ServiceSettings) -> tuple[str, str]:
    """Make the demo's keys; the running server's Redis is found by its folder."""
    with opened_store(settings) as store:
        services = Services(settings, store)
        site, _ = services.keys.create(_SITE, "site", label="demo")
        editor, _ = services.keys.create(_SITE, "editor", label="demo")
    return site, editor


def _environ() -> dict[str, str]:
    """The demo always has a Redis of its own."""
    dropped = ("REDIS_URL", "BANDIT_REDIS_URL")
    return {name: value for name, value in os.environ.items() if name not in dropped}
