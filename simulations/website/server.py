"""Serves Lantern on the loopback address, under a strict Content-Security-Policy.

    python -m simulations.website --service http://127.0.0.1:8080 --site-key KEY --port 8090

Every page is made anew, with a nonce of its own, as a careful website would make it; the policy
allows the service, this site, and nothing else.
"""

from __future__ import annotations

import secrets
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bandit_service.cli.processes import stop_on_signals, stop_with_parent
from simulations.website.artwork import drawn
from simulations.website.titles import decided, pictures, read_catalog, rows

PAGES = Path(__file__).parent / "pages"


class Person(NamedTuple):
    """Whom a visitor may play."""

    id: str
    name: str
    genres: str
    """What it likes, with blanks between."""


PEOPLE = (
    Person("nobody", "nobody in particular", ""),
    Person("romantic", "a romantic", "romance drama"),
    Person("comedy", "a comedy fan", "comedy sitcom"),
    Person("action", "an action fan", "action adventure"),
    Person("thriller", "a thriller reader", "thriller crime"),
    Person("family", "here with my children", "family animation"),
)


class Answer(NamedTuple):
    """What a path is answered with."""

    status: int
    kind: str
    text: str
    caching: str = "no-store"


class Lantern:
    """The site: pages and pictures by path."""

    def __init__(self, *, service: str, key: str) -> None:
        """A site that asks ``service`` with ``key``, a key for pages of its origin."""
        self._catalog = read_catalog()
        self._pictures = pictures(self._catalog)
        self._known = {"service": service, "key": key, "people": PEOPLE}
        self._templates = Environment(
            loader=FileSystemLoader(PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self.policy = (
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self'; "
            f"style-src 'self'; script-src 'nonce-{{nonce}}'; connect-src {service}"
        )

    def answer(self, path: str, nonce: str) -> Answer:
        """The answer to a GET."""
        if path == "/":
            return self._page("front.html", nonce, rows=rows(self._catalog))
        if path.startswith("/titles/"):
            return self._title(path.removeprefix("/titles/"), nonce)
        if path.startswith("/art/") and (picture := self._pictures.get(path.removeprefix("/art/"))):
            return Answer(200, "image/svg+xml", drawn(picture), "max-age=3600")
        kind = {"/site.css": "text/css", "/site.js": "text/javascript"}.get(path)
        if kind is not None:
            return Answer(200, kind, (PAGES / path.removeprefix("/")).read_text("utf-8"))
        return Answer(404, "text/plain", f"there is nothing at {path[:200]}")

    def _title(self, name: str, nonce: str) -> Answer:
        every = {title.id: title for row in rows(self._catalog) for title in row.titles}
        title = (every | decided(self._catalog)).get(name)
        if title is None:
            return Answer(404, "text/plain", f"there is no title {name[:200]}")
        return self._page("title.html", nonce, title=title)

    def _page(self, template: str, nonce: str, **more: Any) -> Answer:
        page = self._templates.get_template(template)
        return Answer(200, "text/html", page.render(nonce=nonce, **self._known, **more))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Lantern, *words: Any) -> None:
        self._site = site
        super().__init__(*words)

    def do_GET(self) -> None:
        nonce = secrets.token_urlsafe(16)
        answer = self._site.answer(self.path.partition("?")[0], nonce)
        data = answer.text.encode()
        self.send_response(answer.status)
        for name, value in (
            ("Content-Type", f"{answer.kind}; charset=utf-8"),
            ("Content-Length", str(len(data))),
            ("Cache-Control", answer.caching),
            ("Content-Security-Policy", self._site.policy.format(nonce=nonce)),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


class Website(ThreadingHTTPServer):
    """The site on a port of the loopback address."""

    daemon_threads = True

    def __init__(self, site: Lantern, *, port: int) -> None:
        super().__init__(("127.0.0.1", port), partial(_Handler, site))


@click.command(help="Serve the demo's streaming site on the loopback address.")
@click.option("--service", required=True, help="Address of the service, http://host:port.")
@click.option("--site-key", required=True, help="A key of the role `site`, for this site's origin.")
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="TCP port to serve on.")
@click.option("--parent", type=int, help="Stop when this process is no longer the parent.")
def main(*, service: str, site_key: str, port: int, parent: int | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = threading.Event()
    stop_on_signals(stop)
    stop_with_parent(parent)
    try:
        website = Website(Lantern(service=service, key=site_key), port=port)
    except OSError as exc:
        sys.exit(f"Error: port {port} cannot be served on: {exc.strerror}")
    thread = threading.Thread(target=website.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    stop.wait()
    website.shutdown()
    website.server_close()
