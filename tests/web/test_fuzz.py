"""A short, repeatable walk of the fuzzer through the API; ``make fuzz`` takes the long one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from bandit_service.web.openapi import document
from bandit_service.web.routes import ROUTES
from tests.web.fuzzing import Report, learn_all, run


@pytest.fixture(scope="module")
def report() -> Report:
    return run(seed=1, examples=8, steps=5)


def test_no_answer_breaks_a_promise_of_the_description(report: Report) -> None:
    assert report.failures == []


def test_no_answer_is_an_error_of_the_service(report: Report) -> None:
    assert [answer for answer in report.answers if re.search(r" 5\d\d$", answer)] == []


# The fuzzer reads /openapi.json to begin with, and leaves it out of what it tries. What a token
# opens it can only walk to, along links, and a short walk may not get there.
TRIED = [route for route in ROUTES if route.path != "/openapi.json" and "token" not in route.path]


@pytest.mark.parametrize("route", TRIED, ids=lambda route: f"{route.method} {route.path}")
def test_every_call_was_answered_with_success_too(report: Report, route: Any) -> None:
    assert report.answers[f"{route.method} {route.path} {route.status}"] > 0


@pytest.mark.parametrize("call", ["POST /v1/decide", "POST /v1/decide/page"])
def test_crawlers_were_answered_too(report: Report, call: str) -> None:
    assert report.answers[f"{call} canonical"] > 0


def test_whatever_was_logged_on_the_way_can_be_learned_from(report: Report) -> None:
    assert learn_all(report.services) > 50


BOUNDS: dict[str, set[str]] = {
    "string": {"maxLength"},
    "array": {"maxItems"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
}
REQUESTS = (
    *("DecideRequest", "PageRequest", "SlotRequest", "InlineVariant", "EventRequest"),
    *("PlacementSpec", "VariantSpec", "Finish", "Revert", "PersonasSpec", "Persona", "Rule"),
)
UNBOUNDED = {
    "EventRequest.at/0",
    "EventRequest.at/1",
    "EventRequest.at/2",
}
"""A time is checked as a whole: it may not lie in the future."""


def parts(name: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, by name; those it only refers to are left to themselves."""
    if not isinstance(schema, dict) or "$ref" in schema:
        return
    yield name, schema
    for n, branch in enumerate(schema.get("anyOf", [])):
        yield from parts(f"{name}/{n}", branch)
    yield from parts(f"{name}[]", schema.get("items"))
    yield from parts(f"{name}.*", schema.get("additionalProperties"))
    for field, inner in schema.get("properties", {}).items():
        yield from parts(f"{name}.{field}", inner)


def bounded(schema: dict[str, Any]) -> bool:
    if {"enum", "const", "pattern"} & set(schema):
        return True
    said = {keyword.replace("exclusiveM", "m") for keyword in schema}
    kinds = schema.get("type", [])
    wanted = [BOUNDS.get(kind, set()) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return all(bounds <= said for bounds in wanted)


def test_every_limit_of_a_body_is_in_the_description() -> None:
    schemas = document()["components"]["schemas"]

    # when every text, list and number is looked at that a request may hold
    found = [part for name in REQUESTS for part in parts(name, schemas[name])]

    # then each says how much of it there may be
    assert {name for name, schema in found if not bounded(schema)} == UNBOUNDED
