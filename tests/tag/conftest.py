"""A real browser in front of a real service and a website of another origin.

The service stands on a real Redis and is spoken to over HTTP; what it logged is read from that
Redis. Answers can be held back and let go, so that no test waits for a clock that it need not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import make_server

from bandit_service.catalog.document import CatalogDocument
from bandit_service.catalog.model import Placement
from bandit_service.events.entries import (
    START,
    Decision,
    Entry,
    Event,
    PlacementChanged,
    Position,
    decode,
    encode,
)
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.runtime import now_ms
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.ports import Amendment, Document, SiteStore
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web.app import create_app
from tests.tag.website import Website

NOTICED: Final = "new Promise((done) => new IntersectionObserver(done).observe(document.body))"
"""Until observers of what is in view have had their turn."""
PATIENCE_S: Final = 30.0
"""How long anything may take on a busy machine."""


def live(*variants: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": "only", "status": "live", **variant} for variant in variants]


def catalog(images: str) -> CatalogDocument:
    """Placements of one variant, so that it is known what must be seen, and one of two."""
    picture = {"image_url": f"{images}/img/variant-320x180.svg", "alt": "The variant"}
    linked = {"headline": "A card", "target_url": "/there", **picture}
    long = "A much longer line than the page has room for, " * 3
    kinds = {
        "title-1.artwork": ("thumbnail", live(picture)),
        "title-1.headline": ("headline", live({"headline": "The variant's line"})),
        "title-2": ("card", live(linked)),
        "tall": ("thumbnail", live({"image_url": f"{images}/img/tall-180x640.svg"})),
        "gone": ("thumbnail", live({"image_url": f"{images}/img/gone"})),
        "long": ("headline", live({"headline": long})),
        "markup": ("headline", live({"headline": "Plain"})),
        "choice": ("headline", live({"headline": "Line A"}, {"id": "b", "headline": "Line B"})),
        "paused": ("headline", [{"id": "off", "headline": "Off", "status": "paused"}]),
    }
    body = {
        "personas": [{"id": "romantic", "rules": [{"trait": "genres", "any": ["romance"]}]}],
        "placements": [
            {"id": name, "kind": kind, "variants": variants}
            for name, (kind, variants) in kinds.items()
        ],
    }
    return msgspec.convert(body, CatalogDocument)


def store_markup(store: SiteStore, placement: Placement) -> None:
    """Store a headline with markup, which editors could write once."""
    variant = msgspec.structs.replace(placement.variants[0], headline=MARKUP)
    marked = msgspec.structs.replace(
        placement, revision=placement.revision + 1, variants=(variant,)
    )
    document = Document(marked.id, marked.revision, msgspec.json.encode(marked))
    entry = encode(PlacementChanged(placement=marked, at=now_ms(), by="long ago"))
    assert store.commit([Amendment(document, placement.revision, entry)])


MARKUP: Final = "<img src=x onerror=\"document.title='owned'\"><b>bold</b> & <script>1</script>"


class Asked(NamedTuple):
    """One request that reached the service."""

    method: str
    path: str
    body: Any


class Service:
    """The service on a port of its own."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.asked: list[Asked] = []
        self._app = create_app(services)
        self._lock = threading.Lock()
        self._stopped = False
        self._changed = threading.Condition()
        self._open: dict[str, threading.Event] = {}
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def hold(self, path: str) -> None:
        """Answer nothing under ``path`` until it is let go."""
        self._open[path] = threading.Event()

    def let_go(self, path: str) -> None:
        """Answer what was held back."""
        self._open[path].set()

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to be true of what was asked or logged; fail if it never is."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), self.asked

    def calls(self, path: str) -> list[Any]:
        """The bodies that were posted to a path."""
        return [one.body for one in self.asked if (one.method, one.path) == ("POST", path)]

    def decisions(self) -> list[Decision]:
        """The logged decisions."""
        return [entry for _, entry in self.log() if isinstance(entry, Decision)]

    def log(self) -> list[tuple[Position, Entry]]:
        """The whole log."""
        rows = self.services.store.site("main").read(START, limit=100_000)
        return [(position, decode(data)) for position, data in rows]

    def events(self) -> list[tuple[str, str]]:
        """Placement and type of the logged events."""
        entries = [entry for _, entry in self.log()]
        of = {e.id: e.placement for e in entries if isinstance(e, Decision)}
        return [(of[e.decision], e.type) for e in entries if isinstance(e, Event)]

    def stop(self) -> None:
        """Let everything go and close the port."""
        with self._lock:
            self._stopped = True  # a beacon may still come when the next test has begun
        for event in self._open.values():
            event.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        gate = self._open.get(path)
        if gate is not None:
            gate.wait(PATIENCE_S)
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = _Body(data)
        with self._lock:
            if self._stopped:
                start_response("503 Service Unavailable", [])
                return []
            chunks = [b"".join(self._app(environ, start_response))]
        body = None
        with suppress(msgspec.DecodeError):
            body = msgspec.json.decode(data)
        with self._changed:
            self.asked.append(Asked(environ["REQUEST_METHOD"], path, body))
            self._changed.notify_all()
        return chunks


class _Body:
    """A request's body that was read already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1) -> bytes:
        taken = self._data if size < 0 else self._data[:size]
        self._data = self._data[len(taken) :]
        return taken


class Visit:
    """A browser on the website, with the tag in its pages."""

    def __init__(self, browser: Browser, website: Website, service: Service) -> None:
        self._browser = browser
        self.website = website
        self.service = service
        key, _ = service.services.keys.create("main", "site", origins=(website.url,))
        service.services.refresh()
        self.key = key
        self.context: BrowserContext = browser.new_context(viewport={"width": 1000, "height": 700})
        self.context.set_default_timeout(PATIENCE_S * 1000)
        self.page: Page = self.context.new_page()
        self._console: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.page.on("console", lambda said: self._console.append((said.type, said.text)))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def tag(self, **attributes: str | None) -> str:
        """The script element; an attribute that is None is left out."""
        every: dict[str, str | None] = {
            "src": f"{self.service.url}/tag.js",
            "data-key": self.key,
            "data-consent": "yes",
            "data-deadline": "20000",  # whoever tests the deadline says so
            "data-debug": "",
            **{name.replace("_", "-"): value for name, value in attributes.items()},
        }
        shown = " ".join(f"{name}='{value}'" for name, value in every.items() if value is not None)
        return f"<script {shown} async></script>"

    def open(self, body: str, *, path: str = "/", tag: str | None = None, **headers: str) -> None:
        """Open a page with this body and the tag in its head."""
        self.page.goto(self.put(body, path=path, tag=tag, **headers))

    def put(self, body: str, *, path: str = "/", tag: str | None = None, **headers: str) -> str:
        head = f"<meta charset=utf-8><title>A page</title>{self.tag() if tag is None else tag}"
        html = f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>"
        return self.website.put(path, html, **headers)

    def state(self, selector: str, state: str) -> None:
        """Wait until an element is in a state."""
        self.page.wait_for_selector(f"{selector}[data-bandit-state={state}]", state="attached")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def warnings(self) -> list[str]:
        """What the tag warned of in the console."""
        return self._said("warning")

    def notes(self) -> list[str]:
        """What the tag told of itself, being debugged."""
        return self._said("info")

    def pass_time(self, ms: int) -> None:
        """Move the clock on, once what came into view has been noticed; it must be installed."""
        self.page.evaluate(NOTICED)
        self.page.clock.run_for(ms)
        self.page.evaluate(NOTICED)

    def asks_again(self) -> None:
        """Let the page ask for all of its slots again, and wait for what comes of it."""
        with self.page.expect_request("**/v1/decide/page") as asked:
            self.page.evaluate("bandit.refresh()")
        asked.value.response()
        self.page.evaluate(NOTICED)

    def complaints(self) -> list[str]:
        """What the browser itself called an error, but for the icon that no page has."""
        self.page.evaluate("0")
        found = [text for said, text in self._console if said == "error"]
        return [text for text in found if "404" not in text]

    def _said(self, kind: str) -> list[str]:
        self.page.evaluate("0")  # the browser's messages come with its answers
        return [text for said, text in self._console if said == kind and text.startswith("bandit:")]

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def website() -> Iterator[Website]:
    website = Website()
    yield website
    website.stop()


@pytest.fixture
def service(redis_store: RedisStore, website: Website, tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "traffic.toml").write_text('people = ["HeadlessChrome"]')
    services = Services(
        ServiceSettings(config_dir=str(tmp_path)),
        redis_store,
        site_settings=SiteSettings(policy=PolicySettings()),
    )
    services.ensure_snapshot("main")
    editor = services.editor("main", by="test")
    editor.put_document(catalog(website.url))
    store_markup(redis_store.site("main"), editor.placement("markup"))
    services.refresh()
    service = Service(services)
    yield service
    service.stop()


@pytest.fixture
def visit(browser: Browser, website: Website, service: Service) -> Iterator[Visit]:
    visit = Visit(browser, website, service)
    yield visit
    visit.close()
