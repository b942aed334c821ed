"""What crawlers and prefetchers are answered over HTTP, and what stays untouched by them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from bandit_service.events.entries import Decision
from bandit_service.services import Services
from tests.conftest import Api, Headers, body_of, error_of, logged
from tests.serving.test_crawlers import CHROME, GOOGLE

PAGE = {"Origin": "https://shop.example"}
CURL = {"User-Agent": "curl/8.5.0"}


def decisions(services: Services) -> list[Decision]:
    return [entry for entry in logged(services) if isinstance(entry, Decision)]


@pytest.fixture
def ask(client: FlaskClient, auth: Headers) -> Any:
    """Call a path with a website's key and further headers."""

    def call(path: str, body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(path, json=body, headers={**auth["site"], **CURL, **named})

    return call


def test_a_crawler_gets_the_canonical_variant_and_leaves_no_decision(
    api: Api, services: Services, ask: Any
) -> None:
    # given
    film = body_of(api.get("/v1/placements/film"))
    body = {"kind": "headline", "tags": film["tags"], "canonical": "chase"}
    body_of(api.put("/v1/placements/film", body))

    # when
    answers = [
        body_of(ask("/v1/decide", {"placement": "film", "visitor": "v"}, **PAGE, User_Agent=GOOGLE))
        for _ in range(5)
    ]

    # then
    assert {answer["variant"]["id"] for answer in answers} == {"chase"}
    assert answers[0]["reason"] == "canonical"
    assert answers[0]["probability"] == 1.0
    assert answers[0]["logged"] is False
    assert (answers[0]["persona"], answers[0]["persona_confidence"]) == ("unknown", 0.0)
    assert decisions(services) == []


def test_the_header_of_a_prefetch_counts_like_a_crawler(services: Services, ask: Any) -> None:
    page = {"Origin": "https://shop.example", "User_Agent": CHROME}

    for purpose in ({"Sec_Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}):
        answer = body_of(ask("/v1/decide", {"placement": "film"}, **page, **purpose))
        assert answer["reason"] == "canonical"
    assert decisions(services) == []

    assert body_of(ask("/v1/decide", {"placement": "film"}, **page))["logged"] is True
    assert len(decisions(services)) == 1


def test_a_server_that_asks_for_its_visitor_is_not_taken_for_a_crawler(
    services: Services, ask: Any
) -> None:
    answer = body_of(ask("/v1/decide", {"placement": "film"}))

    assert answer["reason"] != "canonical"
    assert len(decisions(services)) == 1


@pytest.mark.parametrize("said", [{"user_agent": GOOGLE}, {"purpose": "prefetch"}])
def test_a_server_passes_on_what_its_visitor_is(
    services: Services, ask: Any, said: dict[str, str]
) -> None:
    answer = body_of(ask("/v1/decide", {"placement": "film", "context": said}))

    assert answer["reason"] == "canonical"
    assert decisions(services) == []


def test_a_page_is_believed_by_its_headers_alone(services: Services, ask: Any) -> None:
    body = {"placement": "film", "context": {"user_agent": GOOGLE, "purpose": "prefetch"}}

    assert body_of(ask("/v1/decide", body, **PAGE, User_Agent=CHROME))["reason"] != "canonical"


def test_what_a_server_says_of_a_browser_is_neither_a_feature_nor_logged(
    services: Services, ask: Any
) -> None:
    context = {"device": "tv", "user_agent": CHROME + "x" * 900, "purpose": "navigate"}

    answer = body_of(ask("/v1/decide", {"placement": "film", "context": context}))
    page = body_of(ask("/v1/decide/page", {"slots": [{"placement": "film", "context": context}]}))

    assert answer["logged"] is page["slots"][0]["logged"] is True
    assert [entry.context for entry in decisions(services)] == [{"device": "tv"}] * 2


def test_every_slot_of_a_crawlers_page_is_canonical(services: Services, ask: Any) -> None:
    slots: list[Any] = [{"placement": "film", "exclude": ["kiss"]}, {"placement": "poster"}]

    by_header = ask("/v1/decide/page", {"slots": slots}, **PAGE, User_Agent=GOOGLE)
    slots[1]["context"] = {"user_agent": GOOGLE}
    by_slot = ask("/v1/decide/page", {"slots": slots})

    for response in (by_header, by_slot):
        answers = body_of(response)["slots"]
        assert [answer["variant"]["id"] for answer in answers] == ["joke", "only"]
        assert {answer["reason"] for answer in answers} == {"canonical"}
    assert decisions(services) == []


def test_a_crawlers_page_keeps_the_limit_of_slots(ask: Any) -> None:
    slots = [{"placement": "film"}] * 51

    response = ask("/v1/decide/page", {"slots": slots}, **PAGE, User_Agent=GOOGLE)

    assert error_of(response, 413)["field"] == "slots"


def test_a_crawler_is_refused_what_anybody_is(ask: Any) -> None:
    asked = {**PAGE, "User_Agent": GOOGLE}

    assert error_of(ask("/v1/decide", {"placement": "none"}, **asked), 404)
    assert error_of(ask("/v1/decide", {"placement": "dark"}, **asked), 409)
    assert error_of(ask("/v1/decide", {"placement": ""}, **asked), 400)


def test_a_crawler_without_a_key_learns_nothing(client: FlaskClient) -> None:
    headers = {**PAGE, "User-Agent": GOOGLE}

    error_of(client.post("/v1/decide", json={"placement": "film"}, headers=headers), 401)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"User_Agent": GOOGLE}, "crawler"),
        ({"User_Agent": CHROME, "Sec_Purpose": "prefetch"}, "prefetch"),
    ],
)
def test_what_a_crawler_reports_is_turned_away_by_name(
    services: Services, ask: Any, headers: dict[str, str], code: str
) -> None:
    # given a decision of a person's
    decision = body_of(ask("/v1/decide", {"placement": "film"}))["decision"]
    before = len(logged(services))

    # when
    events = [{"decision": decision, "type": kind} for kind in ("impression", "click")]
    answer = body_of(ask("/v1/events", {"events": events}, **PAGE, **headers), 202)

    # then
    assert answer["accepted"] == 0
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(0, code), (1, code)]
    assert all(rejection["hint"] for rejection in answer["rejected"])
    assert len(logged(services)) == before


def test_events_of_a_canonical_answer_are_turned_away_whoever_reports_them(
    services: Services, ask: Any
) -> None:
    context = {"user_agent": GOOGLE}
    shown = body_of(ask("/v1/decide", {"placement": "film", "context": context}))

    answer = body_of(
        ask("/v1/events", {"events": [{"decision": shown["decision"], "type": "click"}]}), 202
    )

    assert answer["accepted"] == 0
    assert answer["rejected"][0]["code"] == "not_a_decision"


def test_crawlers_are_counted_and_decisions_are_not(client: FlaskClient, ask: Any) -> None:
    asked = {**PAGE, "User_Agent": GOOGLE}
    slots = [{"placement": "film"}, {"placement": "poster"}]
    ask("/v1/decide", {"placement": "film"}, **asked)
    ask("/v1/decide/page", {"slots": slots}, **asked)
    ask("/v1/decide", {"placement": "film"}, **PAGE, User_Agent=CHROME, Sec_Purpose="prefetch")
    ask("/v1/events", {"events": [{"decision": "x", "type": "click"}] * 4}, **asked)

    figures = client.get("/metrics").text

    assert 'bandit_crawlers_total{kind="crawler"} 3.0' in figures
    assert 'bandit_crawlers_total{kind="prefetch"} 1.0' in figures
    assert 'bandit_events_total{answer="crawler"} 4.0' in figures
    assert 'bandit_decisions_total{reason="learned"} 0.0' in figures
