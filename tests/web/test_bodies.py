"""Every route that takes a body, from the table: too large, too deep or wrong is refused."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from flask.testing import FlaskClient

from bandit_service.services import Services
from bandit_service.serving.requests import MAX_BODY
from bandit_service.web.routes import ROUTES, Route
from tests.conftest import PATH, Headers, error_of
from tests.web.test_roles import BODIES, called

DEPTH: Final = 10_000
TAKING: Final = [route for route in ROUTES if route.takes]

arrays: Final = b"[" * DEPTH + b"]" * DEPTH
objects: Final = b'{"a":' * DEPTH + b"1" + b"}" * DEPTH
REFUSED: Final = {
    "arrays": arrays,
    "objects": objects,
    "mixed": b'[{"a":' * DEPTH + b"1" + b"}]" * DEPTH,
    "open arrays": b"[" * DEPTH,
    "open objects": b'{"a":' * DEPTH,
    "an array": b"[]",
    "text": b'"text"',
    "a number": b"1e999",
    "a whole number without an end": b"9" * 100_000,
    "null": b"null",
    "not JSON": b"<xml/>",
    "bytes": bytes(range(256)),
}


@pytest.fixture
def length(services: Services) -> int:
    return services.store.site("main").length()


def send(
    client: FlaskClient, auth: Headers, route: Route, data: bytes, status: tuple[int, ...]
) -> dict[str, str]:
    path = route.path.format(**PATH)
    headers = {**auth["admin"], "Content-Type": "application/json"}
    response = client.open(path, method=route.method, data=data, headers=headers)
    assert response.status_code in status
    return error_of(response, response.status_code)


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("route", TAKING, ids=called)
def test_a_body_that_is_too_deep_or_of_a_wrong_type_is_refused(
    client: FlaskClient, auth: Headers, services: Services, length: int, route: Route, what: str
) -> None:
    error = send(client, auth, route, REFUSED[what], (400,))

    assert error["code"] == "invalid_input"
    assert error["hint"]
    assert len(error["message"]) < 1_000
    assert services.store.site("main").length() == length


@pytest.mark.parametrize("deep", [arrays, objects], ids=["arrays", "objects"])
@pytest.mark.parametrize("route", TAKING, ids=called)
def test_depth_within_any_field_is_refused(
    client: FlaskClient, auth: Headers, services: Services, length: int, route: Route, deep: bytes
) -> None:
    body = BODIES[called(route)]
    fields = {field for kind in (body, *_records(body)) for field in kind}

    for field in (*fields, "unknown", "traits", "context", "variants", "attributes", "tags"):
        data = json.dumps({**body, field: "HERE"}).encode().replace(b'"HERE"', deep)
        send(client, auth, route, data, (400, 422))
    assert services.store.site("main").length() == length


def _records(body: Any) -> list[dict[str, Any]]:
    return [item for value in body.values() if isinstance(value, list) for item in value]


@pytest.mark.parametrize("route", TAKING, ids=called)
def test_a_body_beyond_the_limit_is_too_large_whatever_it_says(
    client: FlaskClient, auth: Headers, services: Services, length: int, route: Route
) -> None:
    fine = json.dumps(BODIES[called(route)]).encode()

    for data in (fine.ljust(MAX_BODY + 1), b"x" * (MAX_BODY + 1), b"[" * (MAX_BODY + 1)):
        error = send(client, auth, route, data, (413,))
        assert error["code"] == "too_large"
        assert str(MAX_BODY) in error["hint"]
    assert services.store.site("main").length() == length
