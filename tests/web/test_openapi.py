"""The description of the API is valid, and every answer is what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from bandit_service.services import Services
from bandit_service.web.routes import ROUTES
from tests.conftest import PATH, Api, Clock, body_of
from tests.media.pictures import drawing, photo, saved


@pytest.fixture
def described(client: FlaskClient) -> Any:
    return body_of(client.get("/openapi.json"))


def operation(described: Any, method: str, path: str) -> tuple[str, Any]:
    """The templated path and the operation that a request is one of."""
    for template, operations in described["paths"].items():
        pattern = re.sub(
            r"{\w+}", "[^/]+", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
        )
        if re.fullmatch(pattern, path) and method.lower() in operations:
            return template, operations[method.lower()]
    raise AssertionError(f"{method} {path} is not described")


def violations(described: Any, schema: Any, value: Any) -> list[str]:
    whole = {**schema, "components": described["components"]}
    return [error.message for error in OAS31Validator(whole).iter_errors(value)]


def check(described: Any, response: TestResponse) -> str:
    """Hold an answer against its description; which operation and status it was."""
    request = response.request
    template, described_as = operation(described, request.method, request.path)
    status = str(response.status_code)
    assert status in described_as["responses"], f"{request.method} {template} may not give {status}"
    content = described_as["responses"][status].get("content")
    if content is None:
        assert response.data == b""
    else:
        assert response.mimetype in content
        if response.mimetype == "application/json":
            schema = content["application/json"]["schema"]
            assert violations(described, schema, response.json) == []
    return f"{request.method} {template} {status}"


# -- the document


def test_the_description_is_valid_openapi(described: Any) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


def test_every_route_is_described(described: Any) -> None:
    found = {
        (method.upper(), path)
        for path, operations in described["paths"].items()
        for method in operations
    }

    assert found == {(route.method, route.path) for route in ROUTES}


def test_every_operation_has_a_name_of_its_own(described: Any) -> None:
    names = [op["operationId"] for path in described["paths"].values() for op in path.values()]

    assert len(set(names)) == len(names) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_says_who_may_call_it_and_how_it_fails(described: Any, route: Any) -> None:
    op = described["paths"][route.path][route.method.lower()]

    assert op["security"] == ([{"key": []}] if route.role else [])
    assert {int(status) for status in op["responses"]} == {route.status, *route.errors}
    assert ("requestBody" in op) == bool(route.takes or route.uploads)
    assert {p["name"] for p in op["parameters"] if p["in"] == "path"} == set(
        re.findall(r"{(\w+)}", route.path)
    )
    assert ("If-Match" in {p["name"] for p in op["parameters"]}) == route.conditional


def test_every_reference_leads_somewhere(described: Any) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    names = {reference.removeprefix("#/components/schemas/") for reference in references(described)}

    assert names == set(described["components"]["schemas"])


# -- the answers


FILM = "/v1/placements/film"
CARD: dict[str, Any] = {
    "kind": "card",
    "name": "Card",
    "tags": ["t"],
    "variants": [
        {
            "id": "a",
            "headline": "A",
            "image_url": "/a.jpg",
            "alt": "a",
            "target_url": "/a",
            "tags": ["x"],
            "attributes": {"n": 1, "f": 0.5, "b": True, "s": "s"},
            "status": "live",
            "min_share": 0.2,
            "max_share": 0.8,
            "live_from": "2030-01-01T00:00:00Z",
            "live_until": "2030-12-31T00:00:00+01:00",
        }
    ],
    "finish": {"when_clear": True, "at": "2030-06-01T00:00:00.5Z"},
}
"""A placement that uses every field."""


def website(api: Api) -> Iterator[TestResponse]:
    """Decides and reports what happened, and is wrong at times."""
    inline = [{"id": "x", "headline": "X"}]
    broken = [{"id": "x", "image_url": "nonsense"}]
    first = api.decide(visitor="ann", traits={"genres": ["romance"], "age": 3})
    yield first
    yield api.decide(candidates=inline)
    yield api.page(visitor="ann", slots=[{"placement": "film"}, {"placement": "poster"}])
    click = {"decision": body_of(first)["decision"], "type": "click", "id": "1"}
    yield api.events(click, {"decision": "forged"})
    for slot in (
        {"placement": "nowhere"},
        {"placement": "dark"},
        {"persona": "x"},
        {"candidates": broken},
    ):
        yield api.decide(**slot)
        yield api.page(slots=[{"placement": "film", **slot}])
    yield api.post("/v1/events", {})


def editor(api: Api) -> Iterator[TestResponse]:
    """Creates, reads, changes and retires."""
    rules = [{"trait": "t", "any": ["a", 1, True, 0.5]}, {"trait": "n", "at_least": 1}]
    yield api.put("/v1/placements/card", CARD)
    yield api.get("/v1/placements/card")
    yield api.put("/v1/placements/card/variants/b", {"headline": "B", "image_url": "/b"})
    yield api.get("/v1/placements/card/variants/a")
    yield api.get("/v1/placements")
    yield api.delete("/v1/placements/card/variants/b")
    yield api.delete("/v1/placements/card")
    yield api.put("/v1/placements/card", CARD)
    yield api.put("/v1/placements/card/finish", {"winner": "a", "at": "2030-05-01T00:00:00Z"})
    yield api.delete("/v1/placements/card/finish")
    yield api.get("/v1/placements/card/history")
    yield api.get("/v1/placements/card/history?limit=2&before=4")
    yield api.edit("/v1/placements/card/revert", {"revision": 1})
    for image, kind in ((photo(), "JPEG"), (drawing(), "PNG")):
        added = api.upload(saved(image, kind))
        yield added
        yield api.client.get(f"/media/{body_of(added, 201)['name']}")
    yield api.put("/v1/personas", {"personas": [{"id": "p", "rules": rules}]})
    yield api.get("/v1/personas")


def full(api: Api) -> TestResponse:
    """Goes back to a placement that was full, after visitors saw a variant that it did not have."""
    many = [{"id": f"v{n}", "headline": "V"} for n in range(500)]
    path = "/v1/placements/full"
    api.put(path, {"kind": "headline", "variants": many[:1]})
    api.put(path, {"kind": "headline", "variants": many})
    api.edit(f"{path}/revert", {"revision": 1})
    api.put(f"{path}/variants/new", {"headline": "New", "status": "live"})
    body_of(api.decide(placement="full"))
    return api.edit(f"{path}/revert", {"revision": 2})


def careless_editor(api: Api) -> Iterator[TestResponse]:
    """Is wrong about everything in turn."""
    bodies: dict[str, tuple[Any, Any]] = {
        FILM: ({"kind": "headline"}, {"kind": "headline", "tags": [""]}),
        FILM + "/variants/x": ({"headline": "X"}, {}),
        FILM + "/finish": ({"winner": "kiss"}, {"winner": "nobody"}),
        "/v1/personas": ({"personas": []}, {"personas": [{"id": "unknown"}]}),
    }
    for path, (right, wrong) in bodies.items():
        yield api.put(path, right, If_Match='"stale"')
        yield api.put(path, right, Content_Type="text/plain")
        yield api.put(path, {"mood": 1})
        yield api.put(path, wrong)
    yield api.edit(FILM + "/revert", {"revision": 1}, If_Match='"stale"')
    yield api.edit(FILM + "/revert", {"revision": 0})
    yield api.edit(FILM + "/revert", 1)
    yield full(api)
    yield api.upload(b"<svg/>")
    yield api.client.post(
        "/v1/media", headers=api.auth["editor"], environ_overrides={"CONTENT_LENGTH": "many"}
    )
    yield api.edit(FILM + "/revert", {"revision": 1}, Content_Type="text/plain")
    yield api.get(FILM + "/history?limit=none")
    yield api.get("/v1/placements/x/history")
    yield api.put("/v1/placements/x/finish", {"winner": "kiss"})
    yield api.delete("/v1/placements/x/finish")
    yield api.delete(FILM + "/finish", If_Match='"stale"')
    yield api.put("/v1/placements/x/variants/y", {"headline": "Y"})
    for path in ("/v1/placements/x", FILM + "/variants/x"):
        yield api.get(path)
        yield api.delete(path)
    for path in (FILM, FILM + "/variants/kiss"):
        yield api.delete(path, If_Match='"stale"')


def marketer(api: Api) -> Iterator[TestResponse]:
    """Makes addresses for an e-mail, whose readers come while there is something to show."""
    path, poster = "/v1/placements/poster", body_of(api.get("/v1/placements/poster"))
    home = {"home": "https://shop.example"}
    made = api.client.post(f"{path}/links", json=home, headers=api.auth["editor"])
    yield made
    for spoilt, headers in (
        ({"home": "/"}, {}),
        (home, {"Content-Type": "text/plain"}),
    ):
        yield api.client.post(
            f"{path}/links", json=spoilt, headers={**api.auth["editor"], **headers}
        )
    yield api.client.post("/v1/placements/x/links", json=home, headers=api.auth["editor"])
    addresses = [body_of(made)[name].format(reader="ann") for name in ("picture", "click")]
    for address in addresses:
        yield api.client.get(address)
    (variant,) = poster["variants"]
    content = {name: variant[name] for name in ("headline", "image_url")}
    api.put(f"{path}/variants/only", {**content, "status": "paused"})
    yield api.client.get(addresses[0])
    api.put(f"{path}/variants/only", {**content, "status": "live"})


def analyst(api: Api) -> Iterator[TestResponse]:
    """Reads every report, and one that is not there."""
    for report in ("overview", "personas", "placements/film", "placements/x", "tags", "learning"):
        yield api.get(f"/v1/reports/{report}")


def anyone(api: Api) -> Iterator[TestResponse]:
    """Sends too much, without a key, or with one that does not reach."""
    for route in ROUTES:
        path = route.path.format(**PATH)
        yield api.client.open(path, method=route.method)
        if route.role == "editor":
            yield api.client.open(path, method=route.method, headers=api.auth["site"])
        if route.takes or route.uploads:
            much = b"x" * (2**21 if route.takes else 2**24)
            yield api.client.open(path, method=route.method, data=much, headers=api.auth["admin"])


def test_every_answer_of_a_session_is_as_described(
    api: Api, described: Any, services: Services, clock: Clock
) -> None:
    # when everybody does what they do, and analysts also look at what was learned
    answers = [
        a for who in (analyst, website, marketer, editor, careless_editor, anyone) for a in who(api)
    ]
    clock.advance(3600)
    learner = services.learner("main")
    while learner.step():
        pass
    learner.finish()
    answers += analyst(api)

    # and a page uses a key of another page's
    key, _ = services.keys.create("main", "site", origins=("https://shop.example",))
    page = {"Authorization": f"Bearer {key}", "Origin": "https://elsewhere.example"}
    answers += [
        api.client.open(route.path, method=route.method, headers=page)
        for route in ROUTES
        if route.role == "site"
    ]

    # then every answer is as described
    seen = {check(described, answer) for answer in answers}

    # and there was every success, and every failure that keys and a working store can have
    every = {
        f"{route.method} {route.path} {status}"
        for route in ROUTES
        for status in (route.status, *route.errors)
        if status not in (429, 503)
    }
    assert seen == every


def test_a_wrong_answer_would_be_noticed(api: Api, described: Any) -> None:
    # given
    _, op = operation(described, "POST", "/v1/decide")
    schema = op["responses"]["200"]["content"]["application/json"]["schema"]
    answer = body_of(api.decide())
    assert violations(described, schema, answer) == []

    # then
    assert violations(described, schema, {**answer, "probability": "high"})
    assert violations(described, schema, {k: v for k, v in answer.items() if k != "decision"})
    assert violations(described, schema, {**answer, "variant": {}})
