"""Every route against every kind of key, generated from the table of routes.

A *holder* is a role and a state of its key. What each may do follows from the table alone, so a
route that is not in the table, or has no rule there, fails here.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bandit_service.access import ROLES, Role, digest_of
from bandit_service.services import Services
from bandit_service.web.hot import HotPath
from bandit_service.web.routes import ROUTES, Route
from tests.conftest import PATH, Clock, Headers, body_of, error_of
from tests.media.pictures import drawing, saved

SHOP: Final = "https://shop.example"
STATES: Final = ("valid", "wrong", "revoked", "expired", "rotated", "other site's")
BOUND: Final = ("of its origin", "of another origin", "of no origin")
"""States of a key that names origins."""

BODIES: dict[str, Any] = {
    "POST /v1/decide": {"placement": "film"},
    "POST /v1/decide/page": {"slots": [{"placement": "film"}]},
    "POST /v1/events": {"events": []},
    "PUT /v1/placements/{placement}": {"kind": "headline"},
    "PUT /v1/placements/{placement}/variants/{variant}": {"headline": "A", "status": "live"},
    "PUT /v1/placements/{placement}/finish": {"winner": "kiss"},
    "POST /v1/placements/{placement}/revert": {"revision": 1},
    "POST /v1/placements/{placement}/links": {"home": "https://shop.example"},
    "PUT /v1/personas": {"personas": []},
}
"""A body that is accepted, for each route that takes one."""

PICTURE: Final = saved(drawing(), "PNG")
"""A picture that is taken."""

MARKS: Final = ("A kiss", "A joke", "A chase", "The one", "images.example", "romantic")
"""What the site ``main`` holds and no other site knows of."""


class Holder(NamedTuple):
    """Who asks; ``role`` is None for those who have no key at all."""

    role: Role | None
    state: str

    def __str__(self) -> str:
        return "nobody" if self.role is None else f"{self.role}-{self.state}"

    @property
    def let_in(self) -> bool:
        """Whether the key is one, whatever it reaches."""
        return self.state in ("valid", "rotated", "other site's", *BOUND)


NOBODY: Final = Holder(None, "without")
HOLDERS: Final = (
    NOBODY,
    *(Holder(role, state) for role in ROLES for state in STATES),
    *(Holder("site", state) for state in BOUND),
)


def called(route: Route) -> str:
    return f"{route.method} {route.path}"


def ask(
    client: FlaskClient, route: Route, headers: dict[str, str], picture: str = "none.jpg"
) -> TestResponse:
    placement = "poster" if route.path.endswith("/links") else "film"
    path = route.path.format(**PATH | {"placement": placement, "picture": picture})
    if route.uploads:
        return client.open(path, method=route.method, data=PICTURE, headers=headers)
    body = BODIES.get(called(route))
    return client.open(path, method=route.method, json=body, headers=headers)


def headers_of(holder: Holder, services: Services, clock: Clock) -> dict[str, str]:
    """What a holder sends; its key is made here, and spoilt as its state says."""
    if holder.role is None:
        return {}
    site = "other" if holder.state == "other site's" else "main"
    origins = (SHOP,) if holder.state in BOUND else ()
    key, record = services.keys.create(site, holder.role, origins=origins)
    headers: dict[str, str] = {}
    if holder.state == "wrong":
        key = key[:-1] + ("a" if key[-1] != "a" else "b")
    elif holder.state == "revoked":
        services.keys.revoke(record.id)
    elif holder.state == "rotated":
        services.keys.rotate(record.id, overlap_ms=10_000)
        clock.advance(9)
    elif holder.state == "expired":
        services.keys.rotate(record.id, overlap_ms=10_000)
        clock.advance(10)
    elif holder.state == "of its origin":
        headers["Origin"] = SHOP
    elif holder.state == "of another origin":
        headers["Origin"] = "https://evil.example"
    services.refresh()
    return {"Authorization": f"Bearer {key}", **headers}


def holdings(services: Services) -> tuple[Any, ...]:
    """Everything of the site ``main`` that a request may change."""
    site = services.store.site("main")
    counted = (site.report(), site.summaries(), site.resumed())
    return (site.length(), site.catalog(0), site.head(), counted, site.mac_keys())


@pytest.mark.parametrize("holder", HOLDERS, ids=str)
@pytest.mark.parametrize("route", ROUTES, ids=called)
def test_a_route_answers_those_whose_key_reaches_it_and_nobody_else(
    client: FlaskClient, services: Services, clock: Clock, route: Route, holder: Holder
) -> None:
    # given
    headers = headers_of(holder, services, clock)
    picture = services.media.add(PICTURE).name
    before = holdings(services)

    # when
    response = ask(client, route, headers, picture)

    # then
    if "{token}" in route.path:
        error_of(response, 404)  # no key opens what a token does
    elif route.role is None:
        assert response.status_code == route.status
    elif holder.role is None or not holder.let_in:
        assert error_of(response, 401)["code"] == "not_authenticated"
    elif ROLES.index(holder.role) < ROLES.index(route.role):
        assert error_of(response, 403)["code"] == "not_allowed"
    elif holder.state in ("of another origin", "of no origin"):
        assert error_of(response, 403)["field"] == "Origin"
    elif holder.state == "other site's":
        assert response.status_code in (route.status, *route.errors)
        assert not [mark for mark in MARKS if mark in response.text]
    elif route.status == 204:
        assert (response.status_code, response.data) == (204, b"")
    else:
        body_of(response, route.status)

    # and whoever was not let into this site has changed nothing of it
    if response.status_code in (401, 403) or holder.state == "other site's":
        assert holdings(services) == before


def test_a_key_is_the_same_key_in_every_worker_and_after_a_restart(
    services: Services, auth: Headers
) -> None:
    again = Services(services.settings, services.store, clock=services.clock)
    again.refresh()

    for role in ROLES:
        sent = auth[role]["Authorization"]
        assert again.authenticate(sent, role) == services.authenticate(sent, role)


def test_a_record_of_before_there_were_origins_and_ends_is_a_key_of_a_server(
    client: FlaskClient, services: Services
) -> None:
    # given
    key = "bk_main_" + "o" * 43
    old = {"id": digest_of(key)[:8], "site": "main", "role": "site", "created": 1, "label": "x"}
    services.store.put_keys({digest_of(key): msgspec.json.encode(old)}, replaces={})
    services.refresh()

    # then
    headers = {"Authorization": f"Bearer {key}"}
    body_of(client.post("/v1/decide", json={"placement": "film"}, headers=headers))
    assert services.keys.records()[digest_of(key)].origins == ()


def test_a_key_reaches_its_own_site_alone(client: FlaskClient, services: Services) -> None:
    # given an editor of another site
    key, _ = services.keys.create("other", "admin")
    services.refresh()
    headers = {"Authorization": f"Bearer {key}"}

    # then it sees none of this one
    assert body_of(client.get("/v1/placements", headers=headers)) == {"placements": []}
    error_of(client.get("/v1/placements/film", headers=headers), 404)
    error_of(client.delete("/v1/placements/film", headers=headers), 404)
    error_of(client.post("/v1/decide", json={"placement": "film"}, headers=headers), 404)
    assert services.editor("main", by="test").placement("film").retired is False


# -- the table is complete


def test_the_table_names_exactly_the_routes_there_are(app: Flask) -> None:
    # given what Flask and the hot path in front of it answer
    served = {
        (method, re.sub("<[a-z]+:", "<", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if not rule.endpoint.startswith("desk.")  # has a table of its own: see tests/desk
    }
    assert isinstance(app.wsgi_app, HotPath)
    hot = {(method, path) for path in app.wsgi_app._handlers for method in ("POST", "OPTIONS")}

    # then
    assert not served & hot
    assert served | hot == {
        (route.method, route.path.replace("{", "<").replace("}", ">")) for route in ROUTES
    }
    assert len(ROUTES) == len(served | hot)


def test_every_route_that_takes_a_body_is_tried_with_one() -> None:
    assert set(BODIES) == {called(route) for route in ROUTES if route.takes}


OPEN: Final = {
    *("/openapi.json", "/healthz", "/readyz", "/metrics", "/media/{picture}"),
    *("/tag.js", "/tag-{version}.js", "/i/{token}/{reader}", "/c/{token}/{reader}"),
}
"""What anybody may ask, beside preflights; a route that is added here is added on purpose."""


@pytest.mark.parametrize("route", ROUTES, ids=called)
def test_a_route_that_needs_a_key_says_how_it_refuses(route: Route) -> None:
    assert ({401, 403} <= set(route.errors)) == (route.role is not None)
    assert (route.role is None) == (route.path in OPEN or route.method == "OPTIONS")
    assert route.role in (None, *ROLES)
    assert re.fullmatch(r"(/[a-z0-9.{}-]+)+", route.path)
    assert route.summary
