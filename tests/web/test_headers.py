"""What browsers are told of every answer, and which pages may read it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bandit_service.errors import InvalidInput
from bandit_service.services import Services
from bandit_service.web.app import create_app
from bandit_service.web.routes import ROUTES
from tests.conftest import PATH, Api, Clock, Headers, body_of, error_of

SHOP: Final = "https://shop.example"
NEWS: Final = "http://localhost:3000"
EVIL: Final = "https://evil.example"
HOT: Final = ("/v1/decide", "/v1/decide/page", "/v1/events")
PUBLIC: Final = ("/tag.js", "/tag-{version}.js")
"""What pages of any origin may fetch."""
BODY: Final = {"placement": "film"}
READABLE: Final = "Access-Control-Allow-Origin"


def key_of(services: Services, *origins: str) -> tuple[str, str]:
    """A site key for pages of some origins, and its id."""
    key, record = services.keys.create("main", "site", origins=origins)
    services.refresh()
    return f"Bearer {key}", record.id


@pytest.fixture
def shop(services: Services) -> str:
    return key_of(services, SHOP)[0]


def ask(
    client: FlaskClient, key: str, origin: str | None, path: str = "/v1/decide", body: Any = BODY
) -> TestResponse:
    headers = {"Authorization": key} | ({} if origin is None else {"Origin": origin})
    return client.post(path, json=body, headers=headers)


def preflight(client: FlaskClient, origin: str | None, path: str = "/v1/decide") -> TestResponse:
    headers = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return client.options(path, headers=headers | ({} if origin is None else {"Origin": origin}))


def cors(response: TestResponse) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if name.lower().startswith("access-control-")
    }


def read_by(origin: str) -> dict[str, str]:
    """The CORS headers of an answer that pages of ``origin`` may read."""
    return {READABLE: origin, "Access-Control-Expose-Headers": "Retry-After"}


# -- every answer


def hygienic(response: TestResponse, *, public: bool = False) -> bool:
    """Whether an answer forbids browsers all they could do with it, once.

    Pages of other origins may fetch what is ``public``.
    """
    wanted = SECURITY | ({"Cross-Origin-Resource-Policy": "cross-origin"} if public else {})
    once = all(len(response.headers.getlist(name)) == 1 for name in wanted)
    return once and all(response.headers[name] == value for name, value in wanted.items())


SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize("holder", ["nobody", "site", "admin"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_every_answer_tells_browsers_to_run_frame_and_guess_nothing(
    client: FlaskClient, auth: Headers, route: Any, holder: str
) -> None:
    path = route.path.format(**PATH)

    for body in (None, {}, {"placement": "film", "slots": [], "events": []}):
        headers = auth.get(holder, {})
        response = client.open(path, method=route.method, json=body, headers=headers)

        embedded = route.path in (*PUBLIC, "/v1/events") and route.method != "OPTIONS"
        assert hygienic(response, public=embedded)
        assert "Set-Cookie" not in response.headers
        assert (route.role is None) or response.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/decide", 405),
        ("TRACE", "/v1/personas", 405),
        ("OPTIONS", "/v1/personas", 405),
        ("OPTIONS", "/v1/events", 204),
        ("HEAD", "/healthz", 200),
        ("GET", "/v1/placements/a%2f..%2f", 404),
    ],
)
def test_so_do_answers_to_what_is_not_there(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    response = client.open(path, method=method)

    assert response.status_code == status
    assert hygienic(response)


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/personas"])
def test_so_does_an_answer_that_failed_inside(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(services, "authenticate", broken)
    response = api.decide() if path == "/v1/decide" else api.get(path)

    assert response.status_code == 500
    assert hygienic(response)
    assert response.headers["Cache-Control"] == "no-store"


# -- asking whether one may ask


@pytest.mark.parametrize("path", HOT)
def test_a_preflight_of_an_origin_that_a_key_names_is_granted(
    client: FlaskClient, shop: str, path: str
) -> None:
    response = preflight(client, SHOP, path)

    assert (response.status_code, response.data) == (204, b"")
    assert cors(response) == {
        "Access-Control-Allow-Origin": SHOP,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "authorization, content-type",
        "Access-Control-Max-Age": "7200",
    }
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        EVIL,
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example/",
        "https://shop.example.evil.example",
        "https://evil.shop.example",
        "HTTPS://SHOP.EXAMPLE",
        "https://shop.example, https://evil.example",
    ],
)
@pytest.mark.parametrize("path", HOT)
def test_a_preflight_of_any_other_origin_is_granted_nothing(
    client: FlaskClient, shop: str, path: str, origin: str | None
) -> None:
    response = preflight(client, origin, path)

    assert response.status_code == 204
    assert cors(response) == {}
    assert response.headers["Vary"] == "Origin"


def test_a_preflight_asks_nothing_of_the_store(
    client: FlaskClient, services: Services, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "store", None)
    monkeypatch.setattr(services, "view", None)

    assert cors(preflight(client, SHOP))[READABLE] == SHOP


def test_an_origin_is_granted_nothing_once_no_valid_key_names_it(
    client: FlaskClient, services: Services, clock: Clock
) -> None:
    # given an origin that one key names which will end, and another that is revoked
    _, ending = key_of(services, SHOP)
    services.keys.rotate(ending, overlap_ms=5_000)
    (successor,) = (
        r.id for r in services.keys.records().values() if r.origins and r.expires is None
    )
    services.keys.revoke(successor)
    services.refresh()

    # then
    assert READABLE in cors(preflight(client, SHOP))
    clock.advance(5)
    assert cors(preflight(client, SHOP)) == {}


def test_management_is_not_for_pages(client: FlaskClient, services: Services, shop: str) -> None:
    editor, _ = services.keys.create("main", "editor")
    services.refresh()

    for route in ROUTES:
        if route.path not in (*HOT, *PUBLIC):
            path = route.path.format(**PATH)
            assert cors(preflight(client, SHOP, path)) == {}
            for key in (shop, f"Bearer {editor}"):
                headers = {"Authorization": key, "Origin": SHOP}
                assert cors(client.open(path, method=route.method, headers=headers)) == {}


# -- asking


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/decide", BODY),
        ("/v1/decide/page", {"slots": [BODY]}),
        ("/v1/events", {"events": []}),
    ],
)
def test_a_page_of_a_keys_origin_reads_what_it_is_answered(
    client: FlaskClient, services: Services, path: str, body: Any
) -> None:
    key, _ = key_of(services, SHOP, NEWS)

    for origin in (SHOP, NEWS):
        response = ask(client, key, origin, path, body)
        assert response.status_code in (200, 202)
        assert cors(response) == read_by(origin)
        assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [None, EVIL, "null", "http://shop.example", SHOP + "/"])
def test_a_key_of_other_origins_is_refused_with_a_hint_and_changes_nothing(
    client: FlaskClient, services: Services, shop: str, origin: str | None
) -> None:
    before = services.store.site("main").length()

    response = ask(client, shop, origin)

    error = error_of(response, 403)
    assert (error["code"], error["field"]) == ("not_allowed", "Origin")
    assert "origin" in error["hint"]
    assert cors(response) == {}
    assert services.store.site("main").length() == before


def test_the_key_of_one_page_is_of_no_use_in_another(
    client: FlaskClient, services: Services, shop: str
) -> None:
    news, _ = key_of(services, NEWS)

    # both pages may ask; each learns why the other's key is refused, and nothing else
    response = ask(client, shop, NEWS)
    assert cors(response) == read_by(NEWS)
    error_of(response, 403)
    assert cors(ask(client, news, NEWS)) == read_by(NEWS)


def test_a_key_for_servers_works_without_an_origin_and_no_page_can_read_its_answers(
    client: FlaskClient, services: Services, shop: str, auth: Headers
) -> None:
    server = auth["site"]["Authorization"]

    for origin in (None, EVIL, SHOP):
        for body, status in ((BODY, 200), ({"placement": "nowhere"}, 404), ([], 400)):
            response = ask(client, server, origin, body=body)
            assert response.status_code == status
            assert cors(response) == {}


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        ({"body": {"placement": "nowhere"}}, 404),
        ({"body": {"placement": "dark"}}, 409),
        ({"body": {"placement": 5}}, 400),
        ({"body": {"placement": "film", "x": "x" * 2**20}}, 413),
        ({"key": "Bearer nobody"}, 401),
        ({"key": ""}, 401),
    ],
)
def test_a_page_can_read_why_it_is_refused(
    client: FlaskClient, shop: str, spoil: dict[str, Any], status: int
) -> None:
    refused = ask(client, **{"key": shop, "origin": SHOP, **spoil})
    elsewhere = ask(client, **{"key": shop, "origin": EVIL, **spoil})

    error_of(refused, status)
    assert cors(refused) == read_by(SHOP)
    assert cors(elsewhere) == {}


def test_a_page_that_asks_too_often_can_read_when_to_come_again(services: Services) -> None:
    # given
    services.settings = msgspec.structs.replace(services.settings, events_rate="1/hour")
    key, _ = key_of(services, SHOP)
    client = create_app(services).test_client()
    event = {"decision": "A" * 32, "type": "click"}

    # when
    response = ask(client, key, SHOP, "/v1/events", {"events": [event, event]})

    # then browsers show the page the header too
    error_of(response, 429)
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["Access-Control-Expose-Headers"] == "Retry-After"
    assert cors(response) == read_by(SHOP)


def test_credentials_and_wildcards_are_never_granted(client: FlaskClient, shop: str) -> None:
    for response in (preflight(client, SHOP), ask(client, shop, SHOP)):
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "*" not in "".join(cors(response).values())


# -- keys with origins


def test_a_key_keeps_its_origins_as_browsers_send_them(services: Services) -> None:
    _, record = services.keys.create(
        "main", "site", origins=("HTTPS://Shop.Example:443", "https://shop.example", NEWS)
    )

    assert record.origins == (SHOP, NEWS)


@pytest.mark.parametrize("role", ["editor", "admin"])
def test_a_key_that_reaches_further_belongs_into_no_page(services: Services, role: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        services.keys.create("main", role, origins=(SHOP,))

    assert caught.value.field == "origin"
    assert services.keys.records() == {}


def test_a_rotated_key_has_a_successor_in_the_same_pages(
    client: FlaskClient, services: Services, clock: Clock
) -> None:
    # given
    old, key_id = key_of(services, SHOP)

    # when
    key, record, ending = services.keys.rotate(key_id, overlap_ms=60_000)
    services.refresh()
    new = f"Bearer {key}"

    # then both are valid for the overlap, and the new one alone from then on
    assert (record.origins, record.role, record.site) == ((SHOP,), "site", "main")
    assert ending.expires == clock() + 60_000
    for passed, old_status in ((0.0, 200), (59.999, 200), (0.001, 401), (3600.0, 401)):
        clock.advance(passed)
        assert ask(client, old, SHOP).status_code == old_status
        assert body_of(ask(client, new, SHOP))
        error_of(ask(client, new, EVIL), 403)
