"""What a script in a web page needs of the wire: a key in the body, what there is of a page, how
long ago something happened, and a word for "the page kept its own content"."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bandit_service.events.entries import DEFAULT_SHOWN, IF_SEEN, Decision, Event
from bandit_service.services import Services
from tests.conftest import Api, Clock, body_of, error_of, logged

SHOP: Final = "https://shop.example"
BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CRAWLER: Final = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
FILM: Final = {"slots": [{"placement": "film"}]}
CALLS: Final[dict[str, Any]] = {"/v1/decide/page": FILM, "/v1/events": {"events": []}}


@pytest.fixture
def key(services: Services) -> str:
    made, _ = services.keys.create("main", "site", origins=(SHOP,))
    services.refresh()
    return made


def beacon(
    client: FlaskClient, path: str, body: Any, origin: str = SHOP, agent: str = BROWSER
) -> TestResponse:
    """What ``navigator.sendBeacon`` sends of a text: no header that a page could choose."""
    headers = {"Origin": origin, "User-Agent": agent, "Content-Type": "text/plain;charset=UTF-8"}
    return client.post(path, data=json.dumps(body), headers=headers)


# -- a key in the body


@pytest.mark.parametrize("path", CALLS)
def test_a_key_in_the_body_does_as_well_as_one_in_the_header(
    client: FlaskClient, key: str, path: str
) -> None:
    response = beacon(client, path, {"key": key, **CALLS[path]})

    assert response.status_code in (200, 202)
    assert response.headers["Access-Control-Allow-Origin"] == SHOP


@pytest.mark.parametrize("path", CALLS)
def test_a_key_in_the_body_is_bound_to_its_origins_too(
    client: FlaskClient, services: Services, key: str, path: str
) -> None:
    before = services.store.site("main").length()

    for origin in ("https://evil.example", "null"):
        error_of(beacon(client, path, {"key": key, **CALLS[path]}, origin), 403)
    assert services.store.site("main").length() == before


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("sent", [None, "", "nobody", 5, ["k"], {"a": 1}, "x" * 100_000])
def test_a_body_without_a_valid_key_is_nobodys(
    client: FlaskClient, key: str, path: str, sent: object
) -> None:
    error_of(beacon(client, path, {"key": sent, **CALLS[path]}), 401)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"key"', b"\xff", b"[" * 5_000])
def test_what_is_no_json_has_no_key(client: FlaskClient, body: bytes) -> None:
    error_of(client.post("/v1/events", data=body, headers={"Origin": SHOP}), 401)


def test_a_key_in_the_header_wins(api: Api, client: FlaskClient, key: str) -> None:
    headers = {**api.auth["site"], "Origin": SHOP, "User-Agent": BROWSER}

    body_of(client.post("/v1/events", json={"key": "nobody", "events": []}, headers=headers), 202)
    response = client.post(
        "/v1/events", json={"key": key, "events": []}, headers={"Authorization": "Bearer nobody"}
    )
    error_of(response, 401)


def test_one_decision_alone_takes_its_key_from_the_header(client: FlaskClient, key: str) -> None:
    error_of(beacon(client, "/v1/decide", {"key": key, "placement": "film"}), 401)


# -- what there is of a page


MIXED: Final = [
    {"placement": "film"},
    {"placement": "nowhere"},
    {"placement": "dark"},
    {"placement": "poster"},
]


def test_a_partial_page_is_answered_where_it_can_be(api: Api, services: Services) -> None:
    answer = body_of(api.page(visitor="ann", slots=MIXED, partial=True))

    assert [slot["placement"] for slot in answer["slots"]] == ["film", "poster"]
    refused = [(r["index"], r["placement"], r["code"]) for r in answer["refused"]]
    assert refused == [
        (1, "nowhere", "not_found"),
        (2, "dark", "nothing_to_show"),
    ]
    assert all(r["message"] and r["hint"] for r in answer["refused"])
    decided = [entry.id for entry in logged(services) if isinstance(entry, Decision)]
    assert decided == [slot["decision"] for slot in answer["slots"]]


def test_a_partial_page_without_anything_to_show_is_an_answer_too(
    api: Api, services: Services
) -> None:
    before = len(logged(services))

    answer = body_of(api.page(slots=[{"placement": "nowhere"}], partial=True))

    assert (answer["slots"], len(answer["refused"])) == ([], 1)
    assert len(logged(services)) == before


def test_a_whole_page_is_still_refused_for_one_slot(api: Api) -> None:
    error_of(api.page(slots=MIXED), 404)


def test_a_crawler_gets_what_there_is_of_a_partial_page(client: FlaskClient, key: str) -> None:
    body = {"key": key, "slots": MIXED, "partial": True}

    answer = body_of(beacon(client, "/v1/decide/page", body, agent=CRAWLER))

    assert [slot["decision"] for slot in answer["slots"]] == ["canonical"] * 2
    assert [r["placement"] for r in answer["refused"]] == ["nowhere", "dark"]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"persona": "nobody"},
        {"context": {"hour": 25}},
        {"exclude": ["x" * 300]},
        {"candidates": []},
        {"placement": ""},
    ],
)
def test_a_slot_that_is_malformed_refuses_a_partial_page_too(api: Api, spoilt: Any) -> None:
    slots = [{"placement": "film"}, {"placement": "poster", **spoilt}]

    error_of(api.page(slots=slots, partial=True), 400)


def test_a_slot_is_decided_alike_in_a_partial_page(api: Api) -> None:
    page = {"visitor": "ann", "slots": [{"placement": "film"}]}

    whole, partly = (body_of(api.page(**page, partial=p))["slots"][0] for p in (False, True))

    assert whole["variant"] == partly["variant"]
    assert whole["probability"] == partly["probability"]


# -- what counts


def test_a_page_that_says_what_was_seen_is_logged_as_such(api: Api, services: Services) -> None:
    body_of(api.page(**FILM, counts="seen"))
    body_of(api.decide(counts="seen"))
    body_of(api.decide())

    flags = [entry.flags for entry in logged(services) if isinstance(entry, Decision)]
    assert flags == [[IF_SEEN], [IF_SEEN], []]


def test_any_other_way_of_counting_is_refused_by_name(api: Api) -> None:
    assert error_of(api.decide(counts="clicked"), 400)["field"] == "counts"


def test_that_a_default_was_shown_is_an_event_like_any_other(api: Api, services: Services) -> None:
    decision = body_of(api.decide())["decision"]

    answer = body_of(api.events({"decision": decision, "type": DEFAULT_SHOWN}), 202)

    assert answer == {"accepted": 1, "rejected": []}
    (event,) = (entry for entry in logged(services) if isinstance(entry, Event))
    assert (event.type, event.flags) == (DEFAULT_SHOWN, [])


# -- how long ago


def test_an_age_says_when_it_was_by_the_clock_of_the_service(
    api: Api, services: Services, clock: Clock
) -> None:
    decision = body_of(api.decide())["decision"]
    clock.advance(100)

    body_of(api.events({"decision": decision, "type": "click", "age": 12.5}), 202)

    (event,) = (entry for entry in logged(services) if isinstance(entry, Event))
    assert (event.at, event.received) == (clock() - 12_500, clock())


@pytest.mark.parametrize(
    "when", [{"age": -1}, {"age": 2_592_001}, {"age": 1e300}, {"age": 1, "at": 5}]
)
def test_an_age_that_cannot_be_is_rejected_with_a_remedy(api: Api, when: dict[str, float]) -> None:
    decision = body_of(api.decide())["decision"]

    (rejected,) = body_of(api.events({"decision": decision, "type": "click", **when}), 202)[
        "rejected"
    ]

    assert "age" in rejected["message"]
    assert rejected["hint"].startswith("send")
