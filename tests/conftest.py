"""What tests share: a real Redis for whoever asks, and a small site in memory under a web client.

A test that needs a server is skipped with a reason where there is none; with CI set it fails.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis
from playwright.sync_api import Browser
from werkzeug.test import TestResponse

from bandit_service.access import ROLES
from bandit_service.catalog.document import CatalogDocument
from bandit_service.datasets import Behaviour, Campaign, fetch_obd, obd_file
from bandit_service.errors import DatasetError, StorageError
from bandit_service.events.entries import START, Entry, decode
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.redis_binary import find_binary
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web.app import create_app
from tests.browsers import chromium

CROWDED: Final = ("e2e", "chaos", "simulations", "test_bench.py")
"""Tests that start many processes; of those only one runs at a time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run on several cores, a file's are on one, and all that crowd it are on one."""
    here = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(here)
        group = "crowded" if path.parts[0] in CROWDED else str(path)
        item.add_marker(pytest.mark.xdist_group(group))


hypothesis.register_profile("tests", deadline=None)  # a busy machine proves nothing
hypothesis.load_profile("tests")

START_MS: Final = 1_900_000_000_000
"""Where clocks begin: a Wednesday in March 2030, in ms since the Unix epoch."""

CATALOG: Final = {
    "personas": [
        {"id": "romantic", "rules": [{"trait": "genres", "any": ["romance"], "weight": 3.0}]},
        {"id": "comedy", "rules": [{"trait": "favourites", "tagged": ["funny"], "weight": 3.0}]},
    ],
    "placements": [
        {
            "id": "film",
            "kind": "headline",
            "tags": ["funny"],
            "variants": [
                {"id": "kiss", "headline": "A kiss", "tags": ["couple"], "status": "live"},
                {"id": "joke", "headline": "A joke", "tags": ["laughing"], "status": "live"},
                {"id": "chase", "headline": "A chase", "status": "live"},
                {"id": "idea", "headline": "An idea", "status": "draft"},
            ],
        },
        {
            "id": "poster",
            "kind": "card",
            "variants": [
                {
                    "id": "only",
                    "headline": "The one",
                    "image_url": "https://images.example/one.jpg",
                    "alt": "A door",
                    "target_url": "/one",
                    "attributes": {"faces": 2},
                    "status": "live",
                },
            ],
        },
        {
            "id": "dark",
            "kind": "headline",
            "variants": [{"id": "off", "headline": "Off", "status": "paused"}],
        },
    ],
}
"""The catalog of ``services``: placements with a choice, without one, and with nothing live."""


PATH: Final = {
    "placement": "film",
    "variant": "kiss",
    "version": "0123456789abcdef",
    "token": "bm8gdG9rZW4h",
    "reader": "ann",
    "picture": "none.jpg",
}
"""What stands in the braces of paths."""
Headers = dict[str, dict[str, str]]
"""Request headers, by the role of the key that they carry."""


class Clock:
    """A clock that moves only when it is told to, in ms since the Unix epoch."""

    def __init__(self, now: int = START_MS) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


class Api:
    """The client, with a website's key for hot calls and an editor's for all others."""

    def __init__(self, client: FlaskClient, auth: Headers) -> None:
        self.client = client
        self.auth = auth

    def post(self, path: str, body: Any) -> TestResponse:
        return self.client.post(path, json=body, headers=self.auth["site"])

    def decide(self, **body: Any) -> TestResponse:
        return self.post("/v1/decide", {"placement": "film", **body})

    def page(self, **body: Any) -> TestResponse:
        return self.post("/v1/decide/page", body)

    def events(self, *events: Any) -> TestResponse:
        return self.post("/v1/events", {"events": list(events)})

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers=self.auth["editor"])

    def put(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.client.put(path, json=body, headers=self._edit(headers))

    def edit(self, path: str, body: Any, **headers: str) -> TestResponse:
        """POST with an editor's key."""
        return self.client.post(path, json=body, headers=self._edit(headers))

    def upload(self, data: bytes, **headers: str) -> TestResponse:
        """Upload a picture with an editor's key."""
        return self.client.post("/v1/media", data=data, headers=self._edit(headers))

    def delete(self, path: str, **headers: str) -> TestResponse:
        return self.client.delete(path, headers=self._edit(headers))

    def _edit(self, headers: dict[str, str]) -> dict[str, str]:
        """``If_Match`` and the like, as headers, beside the key."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {**self.auth["editor"], **named}


def body_of(response: TestResponse, status: int = 200) -> Any:
    """The JSON of an answer that must have this status."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    return response.json


def error_of(response: TestResponse, status: int) -> dict[str, str]:
    """What an answer of this status says went wrong, in the one shape that errors have."""
    body = body_of(response, status)
    assert set(body) == {"error"}
    error = body["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "field", "hint"}
    assert all(isinstance(value, str) and value for value in error.values())
    return dict(error)


def logged(services: Services, site: str = "main") -> list[Entry]:
    """Everything in the log of a site."""
    return [decode(data) for _, data in services.store.site(site).read(START, limit=100_000)]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a redis-server that lives as long as the test session."""
    try:
        find_binary()
    except StorageError as exc:
        if os.environ.get("CI"):
            pytest.fail(exc.message)
        pytest.skip(exc.message)
    with EmbeddedRedis(data_dir=tmp_path_factory.mktemp("redis")) as embedded:
        yield embedded.url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; one a session, since Playwright runs once in a process."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Where the Open Bandit Dataset is: the user's cache (None); in CI it is fetched."""
    if os.environ.get("CI"):
        return fetch_obd(tmp_path_factory.mktemp("obd"), progress=lambda step: None)
    try:
        for campaign in get_args(Campaign):
            for behaviour in get_args(Behaviour):
                obd_file(campaign, behaviour)
    except DatasetError:
        pytest.skip("the Open Bandit Dataset is not cached: run `bandit-service data obd`")
    return None


@pytest.fixture
def server(redis_url: str, tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A redis-server of a test's own, in the folder ``data``, to be stopped and started again."""
    with EmbeddedRedis(data_dir=tmp_path / "data") as embedded:
        yield embedded


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[RedisStore]:
    """A store on a real Redis that holds nothing yet."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    store = RedisStore(redis_url)
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(clock: Clock, tmp_path: Path) -> Iterator[Services]:
    """Services on a store in memory, with CATALOG in the site ``main`` and a first snapshot."""
    services = Services(
        ServiceSettings(config_dir=str(tmp_path), data_dir=str(tmp_path / "data")),
        MemoryStore(clock=clock),
        clock=clock,
        entropy=random.Random(7).randbytes,
        site_settings=SiteSettings(),
    )
    services.ensure_snapshot("main")
    services.editor("main", by="test").put_document(msgspec.convert(CATALOG, CatalogDocument))
    services.refresh()
    yield services
    services.close()


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def auth(services: Services) -> Headers:
    """By role, the headers of a valid key of the site ``main``."""
    headers: Headers = {}
    for role in ROLES:
        key, _ = services.keys.create("main", role)
        headers[role] = {"Authorization": f"Bearer {key}"}
    services.refresh()
    return headers


@pytest.fixture
def api(client: FlaskClient, auth: Headers) -> Api:
    return Api(client, auth)
