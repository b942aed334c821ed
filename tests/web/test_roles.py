"""Every route against every kind of key, generated from the table of routes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bandit_service.access import ROLES
from bandit_service.services import Services
from bandit_service.web.hot import HotPath
from bandit_service.web.routes import ROUTES, Route
from tests.conftest import Headers, body_of, error_of

HOLDERS = ("nobody", "stranger", "revoked", *ROLES)

BODIES: dict[str, Any] = {
    "POST /v1/decide": {"placement": "film"},
    "POST /v1/decide/page": {"slots": [{"placement": "film"}]},
    "POST /v1/events": {"events": []},
    "PUT /v1/placements/{placement}": {"kind": "headline"},
    "PUT /v1/placements/{placement}/variants/{variant}": {"headline": "A", "status": "live"},
    "PUT /v1/personas": {"personas": []},
}
"""A body that is accepted, for each route that takes one."""


def called(route: Route) -> str:
    return f"{route.method} {route.path}"


def ask(client: FlaskClient, route: Route, headers: dict[str, str]) -> TestResponse:
    path = route.path.format(placement="film", variant="kiss")
    body = BODIES.get(called(route))
    return client.open(path, method=route.method, json=body, headers=headers)


@pytest.fixture
def holders(services: Services, auth: Headers) -> Headers:
    """Headers by who sends them: those with a key of each role, and those who should not get in."""
    key, record = services.keys.create("main", "admin")
    services.keys.revoke(record.id)
    services.refresh()
    stranger = {"Authorization": "Bearer bk_main_" + "x" * 43}
    return {
        **auth,
        "nobody": {},
        "stranger": stranger,
        "revoked": {"Authorization": f"Bearer {key}"},
    }


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("route", ROUTES, ids=called)
def test_a_route_answers_those_whose_key_reaches_it(
    client: FlaskClient, holders: Headers, route: Route, holder: str
) -> None:
    # when
    response = ask(client, route, holders[holder])

    # then
    if route.role is None:
        assert response.status_code == route.status
    elif holder not in ROLES:
        assert error_of(response, 401)["code"] == "not_authenticated"
    elif ROLES.index(holder) < ROLES.index(route.role):
        assert error_of(response, 403)["code"] == "not_allowed"
    elif route.status == 204:
        assert (response.status_code, response.data) == (204, b"")
    else:
        body_of(response, route.status)


@pytest.mark.parametrize("holder", ["nobody", "stranger", "revoked", "site"])
def test_who_may_not_change_the_catalog_changes_nothing(
    client: FlaskClient, holders: Headers, services: Services, holder: str
) -> None:
    # given
    log = services.store.site("main")
    before = (log.length(), log.catalog(0))

    # when
    for route in ROUTES:
        if route.role == "editor":
            ask(client, route, holders[holder])

    # then
    assert (log.length(), log.catalog(0)) == before


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
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert isinstance(app.wsgi_app, HotPath)
    hot = {("POST", path) for path in app.wsgi_app._handlers}

    # then
    assert not served & hot
    assert served | hot == {
        (route.method, route.path.replace("{", "<").replace("}", ">")) for route in ROUTES
    }
    assert len(ROUTES) == len(served | hot)


def test_every_route_that_takes_a_body_is_tried_with_one() -> None:
    assert set(BODIES) == {called(route) for route in ROUTES if route.takes}


@pytest.mark.parametrize("route", ROUTES, ids=called)
def test_a_route_that_needs_a_key_says_how_it_refuses(route: Route) -> None:
    assert ({401, 403} <= set(route.errors)) == (route.role is not None)
    assert route.role in (None, *ROLES)
    assert re.fullmatch(r"(/[a-z0-9.{}]+)+", route.path)
    assert route.summary
