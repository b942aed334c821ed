"""Whatever is sent: it is answered in the one shape of errors, and disturbs nothing.

Every bad request here is followed by good ones, and the log is counted before and after.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bandit_service.events.entries import START, Decision, Event, Tick, encode
from bandit_service.events.identity import SiteSecret
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.join import Outcome
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services
from bandit_service.serving.intake import FUTURE_MS
from bandit_service.serving.requests import MAX_BODY
from bandit_service.web.bodies import MAX_DRAINED
from tests.conftest import START_MS, Api, Clock, body_of, error_of, logged

Harmless = Callable[..., TestResponse]

HOT = ["/v1/decide", "/v1/decide/page", "/v1/events"]
MANAGED = ["/v1/placements/film", "/v1/placements/film/variants/kiss", "/v1/personas"]

SYNTAX = "a|b:c d\ne\tf\x00g\u2028h🎬"
"""What is syntax to Vowpal Wabbit, JSON, a terminal or an eye."""


@pytest.fixture
def harmless(api: Api, services: Services) -> Harmless:
    """Sends a request; checks what it logged, and that everything works as before."""

    def send(ask: Callable[[], TestResponse], *, logs: int = 0) -> TestResponse:
        log = services.store.site("main")
        before, catalog = log.length(), log.catalog(0)
        response = ask()
        assert log.length() == before + logs
        assert log.catalog(0) == catalog
        decision = body_of(api.decide(visitor="good"))["decision"]
        event = {"decision": decision, "type": "click"}
        assert body_of(api.events(event), 202) == {"accepted": 1, "rejected": []}
        body_of(api.get("/v1/placements/film"))
        assert log.length() == before + logs + 2
        return response

    return send


def raw(api: Api, path: str, data: bytes, **headers: str) -> TestResponse:
    """The bytes as they are, as whoever may send them."""
    method, role = ("POST", "site") if path in HOT else ("PUT", "editor")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"Content-Type": "application/json", **api.auth[role], **named}
    return api.client.open(path, method=method, data=data, headers=sent)


def unannounced(api: Api, path: str, data: bytes) -> TestResponse:
    """The bytes without a Content-Length, as a chunked request brings them."""
    method, role = ("POST", "site") if path in HOT else ("PUT", "editor")
    return api.client.open(
        path,
        method=method,
        input_stream=io.BytesIO(data),
        headers=api.auth[role],
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )


def learned(services: Services, settings: SiteSettings) -> tuple[SiteFold, list[Outcome]]:
    """The log folded to a time when every window is over; call ``close`` on the fold."""
    log = services.store.site("main")
    log.append(encode(Tick(at=0)))
    fold, outcomes = SiteFold(settings), []
    rows = zip(log.read(START, limit=10_000), logged(services), strict=True)
    for (position, _), entry in rows:
        outcomes += fold.apply(position, entry)
    last = fold.position._replace(ms=fold.position.ms + 10**7)
    return fold, outcomes + fold.apply(last, Tick(at=0))


# -- bodies that are no bodies

NO_JSON = {
    "nothing": b"",
    "spaces": b"  \n",
    "text": b"hello",
    "a form": b"placement=film",
    "an open end": b'{"placement": "film"',
    "two": b"{}{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"placement": "film"}'.encode("utf-16"),
    "single quotes": b"{'placement': 'film'}",
    "NaN": b'{"placement": NaN}',
    "infinity": b'{"placement": Infinity}',
    "a control character": b'{"placement": "a\nb"}',
    "zeros": b"\x00" * 100,
}


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("path", HOT + MANAGED)
def test_a_body_that_is_not_json_is_refused(
    api: Api, harmless: Harmless, path: str, data: bytes
) -> None:
    error = error_of(harmless(lambda: raw(api, path, data)), 400)

    assert error["code"] == "invalid_input"
    assert error["hint"]


@pytest.mark.parametrize("data", [b"[]", b"null", b"5", b'"film"', b"true"])
@pytest.mark.parametrize("path", HOT + MANAGED)
def test_a_body_that_is_no_object_is_refused(
    api: Api, harmless: Harmless, path: str, data: bytes
) -> None:
    error = error_of(harmless(lambda: raw(api, path, data)), 400)

    assert "object" in error["message"]


TEXT_FIELD = {
    "/v1/decide": b'{"placement": "%s"}',
    "/v1/decide/page": b'{"slots": [{"placement": "%s"}]}',
    "/v1/placements/film": b'{"kind": "headline", "name": "%s"}',
    "/v1/placements/film/variants/kiss": b'{"headline": "%s"}',
    "/v1/personas": b'{"personas": [{"id": "%s"}]}',
}


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\\ud800",
        b"\\udc00x",
        b"\\ud800\\ud800",
    ],
)
@pytest.mark.parametrize("path", TEXT_FIELD)
def test_text_that_is_no_unicode_is_refused(
    api: Api, harmless: Harmless, path: str, text: bytes
) -> None:
    error_of(harmless(lambda: raw(api, path, TEXT_FIELD[path] % text)), 400)


@pytest.mark.parametrize("path", HOT + MANAGED)
def test_a_body_that_is_nested_too_deeply_is_refused(
    api: Api, harmless: Harmless, path: str
) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    for data in (deep, b'{"x": ' + deep + b"}", b'{"events": ' + deep + b"}", b'{"a":' * 100_000):
        error_of(harmless(lambda data=data: raw(api, path, data)), 400)


@pytest.mark.parametrize("send", [raw, unannounced])
@pytest.mark.parametrize("path", HOT + MANAGED)
def test_a_body_of_five_megabytes_is_too_large(
    api: Api, harmless: Harmless, path: str, send: Callable[..., TestResponse]
) -> None:
    data = b'{"placement": "film", "x": "' + b"x" * 5_000_000 + b'"}'

    error = error_of(harmless(lambda: send(api, path, data)), 413)

    assert error["code"] == "too_large"
    assert str(MAX_BODY) in error["hint"]


@pytest.mark.parametrize("send", [raw, unannounced])
def test_a_body_of_just_the_limit_is_read_and_one_byte_more_is_not(
    api: Api, harmless: Harmless, send: Callable[..., TestResponse]
) -> None:
    full = b'{"placement": "film"}'.ljust(MAX_BODY)

    body_of(harmless(lambda: send(api, "/v1/decide", full), logs=1))
    error_of(harmless(lambda: send(api, "/v1/decide", full + b" ")), 413)


class Endless(io.RawIOBase):
    """A body without an end, which counts what is read of it."""

    def __init__(self) -> None:
        self.total = 0
        self.most = 0

    def read(self, size: int = -1, /) -> bytes:
        assert size >= 0, "all of it was asked for"
        self.total += size
        self.most = max(self.most, size)
        return b" " * size


@pytest.mark.parametrize("length", [None, "1000000000"], ids=["not said", "said to be long"])
def test_of_a_body_without_an_end_only_so_much_is_read(
    api: Api, harmless: Harmless, length: str | None
) -> None:
    # given
    body = Endless()
    environ = {"wsgi.input": body, **({} if length is None else {"CONTENT_LENGTH": length})}

    # when
    error_of(
        harmless(
            lambda: api.client.post(
                "/v1/decide", headers=api.auth["site"], environ_overrides=environ
            )
        ),
        413,
    )

    # then little was held at a time, and not all was waited for
    assert body.most <= MAX_BODY + 1
    assert body.total <= MAX_BODY + 1 + MAX_DRAINED


@pytest.mark.parametrize("length", ["many", "1.5", "-", "0x10"])
def test_a_length_that_is_no_number_is_refused(api: Api, harmless: Harmless, length: str) -> None:
    def ask() -> TestResponse:
        return api.client.post(
            "/v1/decide",
            data=b'{"placement": "film"}',
            headers=api.auth["site"],
            environ_overrides={"CONTENT_LENGTH": length},
        )

    assert error_of(harmless(ask), 400)["field"] == "Content-Length"


@pytest.mark.parametrize(
    "mimetype", ["text/plain", "application/x-www-form-urlencoded", "text/html"]
)
@pytest.mark.parametrize("path", MANAGED)
def test_management_insists_on_json(api: Api, harmless: Harmless, path: str, mimetype: str) -> None:
    error = error_of(harmless(lambda: raw(api, path, b"{}", Content_Type=mimetype)), 415)

    assert error["code"] == "unsupported_media_type"
    assert mimetype in error["message"]
    assert "application/json" in error["message"]


@pytest.mark.parametrize("mimetype", ["text/plain", "application/json; charset=utf-8", "nonsense"])
def test_a_page_may_send_whatever_content_type_its_beacon_has(
    api: Api, harmless: Harmless, mimetype: str
) -> None:
    data = b'{"placement": "film"}'

    body_of(harmless(lambda: raw(api, "/v1/decide", data, Content_Type=mimetype), logs=1))


# -- fields


@pytest.mark.parametrize(
    ("path", "body", "unknown"),
    [
        ("/v1/placements/film", {"kind": "headline", "colour": 1}, "colour"),
        ("/v1/placements/film", {"kind": "headline", "variants": [{"id": "a", "hue": 1}]}, "hue"),
        ("/v1/placements/film/variants/kiss", {"headline": "A", "colour": 1}, "colour"),
        ("/v1/placements/film/variants/kiss", {"headline": "A", "version": 7}, "version"),
        ("/v1/personas", {"personas": [], "colour": 1}, "colour"),
        ("/v1/personas", {"personas": [{"id": "a", "hue": 1}]}, "hue"),
        ("/v1/personas", {"personas": [{"id": "a", "rules": [{"trait": "t", "al": 1}]}]}, "al"),
    ],
)
def test_management_refuses_unknown_fields_by_name(
    api: Api, harmless: Harmless, path: str, body: Any, unknown: str
) -> None:
    error = error_of(harmless(lambda: api.put(path, body)), 400)

    assert f"`{unknown}`" in error["message"]


def test_decisions_and_events_ignore_unknown_fields(api: Api, harmless: Harmless) -> None:
    odd = {"colour": {"deep": [1, {"x": None}]}, "version": 7}

    decided = harmless(
        lambda: api.decide(**odd, candidates=[{"id": "x", "headline": "X", **odd}]), logs=1
    )
    decision = body_of(decided)["decision"]
    body_of(harmless(lambda: api.page(slots=[{"placement": "film", **odd}], **odd), logs=1))
    body = {"events": [{"decision": decision, "type": "click", **odd}], **odd}
    answer = body_of(harmless(lambda: api.post("/v1/events", body), logs=1), 202)
    assert answer == {"accepted": 1, "rejected": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"placement": 5}, "placement"),
        ({"placement": None}, "placement"),
        ({"placement": ""}, "placement"),
        ({"placement": "x" * 300}, "placement"),
        ({"visitor": 5}, "visitor"),
        ({"visitor": ""}, "visitor"),
        ({"visitor": "x" * 257}, "visitor"),
        ({"persona": "x" * 10_000}, "persona"),
        ({"traits": []}, "traits"),
        ({"traits": {"a": {"b": 1}}}, "traits[...]"),
        ({"traits": {"": 1}}, "traits"),
        ({"traits": {"x" * 65: 1}}, "traits"),
        ({"traits": {"a": [1, 10**40]}}, "traits.a"),
        ({"context": {"a": [1]}}, "context[...]"),
        ({"context": {"a": 10**40}}, "context.a"),
        ({"context": {"a": -(10**4000)}}, "context.a"),
        ({"context": {"hour": 24}}, "context.hour"),
        ({"context": {"hour": -1}}, "context.hour"),
        ({"context": {"hour": "noon"}}, "context.hour"),
        ({"context": {"hour": True}}, "context.hour"),
        ({"context": {"timezone": "Middle/Earth"}}, "context.timezone"),
        ({"context": {"timezone": "../../etc/passwd"}}, "context.timezone"),
        ({"context": {"timezone": ""}}, "context.timezone"),
        ({"context": {"timezone": "a\x00b"}}, "context.timezone"),
        ({"exclude": "joke"}, "exclude"),
        ({"exclude": [1]}, "exclude[0]"),
        ({"candidates": []}, "candidates"),
        ({"candidates": [{"headline": "X"}]}, "candidates.0.id"),
        ({"candidates": [{"id": "", "headline": "X"}]}, "candidates.0.id"),
        ({"candidates": [{"id": "x" * 300, "headline": "X"}]}, "candidates.0.id"),
        ({"candidates": [{"id": "x"}, {"id": "x"}]}, "candidates"),
        ({"candidates": [{"id": "x", "min_share": "all"}]}, "candidates[0].min_share"),
    ],
)
def test_a_wrong_field_of_a_decision_is_named(
    api: Api, harmless: Harmless, body: dict[str, Any], field: str
) -> None:
    error = error_of(harmless(lambda: api.decide(**body)), 400)

    assert error["field"] == field
    assert len(error["message"]) < 300


@pytest.mark.parametrize(
    ("candidate", "field"),
    [
        ({"image_url": "javascript:alert(1)"}, "candidates.0.image_url"),
        ({"target_url": "//elsewhere.example"}, "candidates.0.target_url"),
        ({"headline": "x" * 1001}, "candidates.0.headline"),
        ({"tags": ["a", "a"]}, "candidates.0.tags"),
        ({"attributes": {"a": 10**40}}, "candidates.0.attributes.a"),
        ({"min_share": 2}, "candidates.0.min_share"),
    ],
)
def test_an_inline_candidate_keeps_the_rules_of_the_catalog(
    api: Api, harmless: Harmless, candidate: dict[str, Any], field: str
) -> None:
    error = error_of(harmless(lambda: api.decide(candidates=[{"id": "x", **candidate}])), 422)

    assert (error["code"], error["field"]) == ("invalid_catalog", field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"context": {f"k{n}": n for n in range(10_000)}}, "context"),
        ({"traits": {f"k{n}": n for n in range(10_000)}}, "traits"),
        ({"context": {"a": "x" * 257}}, "context.a"),
        ({"traits": {"a": ["x" * 257]}}, "traits.a"),
        ({"traits": {"a": list(range(65))}}, "traits.a"),
        ({"exclude": ["x"] * 501}, "exclude"),
        ({"candidates": [{"id": f"c{n}", "headline": "X"} for n in range(101)]}, "candidates"),
    ],
)
def test_too_much_of_anything_is_too_large(
    api: Api, harmless: Harmless, body: dict[str, Any], field: str
) -> None:
    error = error_of(harmless(lambda: api.decide(**body)), 413)

    assert (error["code"], error["field"]) == ("too_large", field)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5000])
@pytest.mark.parametrize("field", ["context", "traits"])
def test_a_number_that_is_none_is_refused(
    api: Api, harmless: Harmless, field: str, number: str
) -> None:
    data = f'{{"placement": "film", "{field}": {{"a": {number}}}}}'.encode()

    error_of(harmless(lambda: raw(api, "/v1/decide", data)), 400)


def test_an_unknown_placement_is_not_found(api: Api, harmless: Harmless) -> None:
    error = error_of(harmless(lambda: api.decide(placement=SYNTAX)), 404)

    assert (error["code"], error["field"]) == ("not_found", "placement")


@pytest.mark.parametrize(
    "body",
    [{"placement": "dark"}, {"exclude": ["kiss", "joke", "chase"]}],
    ids=["paused", "barred"],
)
def test_a_placement_with_nothing_to_show_says_so(
    api: Api, harmless: Harmless, body: dict[str, Any]
) -> None:
    error = error_of(harmless(lambda: api.decide(**body)), 409)

    assert error["code"] == "nothing_to_show"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/placements/film/variants/" + "x" * 300, "variant"),
        ("/v1/placements/" + "x" * 300, "placement"),
        ("/v1/placements/a%20b", "placement"),
        ("/v1/placements/%F0%9F%8E%AC", "placement"),
        ("/v1/placements/film/variants/a%0Ab", "variant"),
    ],
)
def test_a_path_that_names_no_possible_id_is_refused(
    api: Api, harmless: Harmless, path: str, field: str
) -> None:
    body = {"headline": "X"} if "variants" in path else {"kind": "headline"}

    error = error_of(harmless(lambda: api.put(path, body)), 422)
    assert (error["code"], error["field"]) == ("invalid_catalog", field)
    assert len(error["message"]) < 300
    error_of(harmless(lambda: api.get(path)), 404)
    error_of(harmless(lambda: api.delete(path)), 404)


def test_a_page_with_too_many_slots_or_none_at_all_is_refused(api: Api, harmless: Harmless) -> None:
    slots = [{"placement": "film"}] * 51

    assert error_of(harmless(lambda: api.page(slots=slots)), 413)["field"] == "slots"
    error_of(harmless(api.page), 400)
    assert error_of(harmless(lambda: api.page(slots=[{}])), 400)["field"] == "slots[0]"


# -- what is strange and allowed


def test_syntax_in_names_and_values_is_only_text(
    api: Api, harmless: Harmless, services: Services
) -> None:
    # given syntax wherever text may be
    odd = {"id": SYNTAX, "headline": SYNTAX, "tags": [SYNTAX], "attributes": {SYNTAX: SYNTAX}}
    body: dict[str, Any] = {
        "visitor": SYNTAX,
        "context": {SYNTAX: SYNTAX, "|s x:9": "1 |p persona=root", "shared": "0:1:0.5 |a b"},
        "traits": {SYNTAX: [SYNTAX, "", "'"], "\n|t": True},
        "candidates": [odd, {"id": "\n" + SYNTAX, "headline": "X"}],
    }

    # when
    answer = body_of(harmless(lambda: api.decide(**body), logs=1))
    event = {"decision": answer["decision"], "type": "click", "id": SYNTAX}
    body_of(harmless(lambda: api.events(event), logs=1), 202)

    # then it was logged as it was sent, and learned from once
    entry = next(e for e in logged(services) if isinstance(e, Decision))
    assert entry.context[SYNTAX] == SYNTAX.lower()
    assert entry.traits[SYNTAX] == [SYNTAX.lower(), "", "'"]
    fold, outcomes = learned(services, SiteSettings())
    assert [o.reward for o in outcomes if o.decision.id == answer["decision"]] == [1.0]
    assert fold.trainer.outcomes == len(outcomes)
    fold.close()


def test_a_field_that_is_given_twice_counts_as_its_last(api: Api, harmless: Harmless) -> None:
    data = b'{"placement": "nowhere", "placement": "film"}'

    assert body_of(harmless(lambda: raw(api, "/v1/decide", data), logs=1))["placement"] == "film"


# -- events


def decided(api: Api) -> str:
    return str(body_of(api.decide())["decision"])


def rejected(response: TestResponse) -> dict[str, Any]:
    answer = body_of(response, 202)
    assert answer["accepted"] == 0
    (rejection,) = answer["rejected"]
    assert {"index", "code", "message"} <= set(rejection) <= {"index", "code", "message", "hint"}
    return dict(rejection)


def forgeries(decision: str) -> dict[str, str]:
    flipped = "B" if decision[20] == "A" else "A"
    other = SiteSecret(b"another site's secret of 32 byte")
    return {
        "made up": "made-up",
        "empty": "",
        "truncated": decision[:-1],
        "longer": decision + "A",
        "altered": decision[:20] + flipped + decision[21:],
        "not ascii": "é" * 32,
        "huge": "A" * 100_000,
        "another site's": other.new_decision(START_MS, b"123456789"),
    }


@pytest.mark.parametrize("kind", forgeries("A" * 32))
def test_an_event_of_a_decision_nobody_made_is_rejected(
    api: Api, harmless: Harmless, kind: str
) -> None:
    forged = forgeries(decided(api))[kind]

    rejection = rejected(harmless(lambda: api.events({"decision": forged, "type": "click"})))

    assert rejection["code"] == "unknown_decision"
    assert len(rejection["message"]) < 300


def test_a_decision_of_another_site_is_rejected(
    api: Api, client: FlaskClient, harmless: Harmless, services: Services
) -> None:
    # given a decision that another site of the same store made
    key, _ = services.keys.create("other", "site")
    services.refresh()
    body = {"placement": "p", "candidates": [{"id": "x", "headline": "X"}]}
    headers = {"Authorization": f"Bearer {key}"}
    theirs = body_of(client.post("/v1/decide", json=body, headers=headers))["decision"]
    assert services.store.site("other").length() == 1

    # when
    rejection = rejected(harmless(lambda: api.events({"decision": theirs, "type": "click"})))

    # then
    assert rejection["code"] == "unknown_decision"
    assert services.store.site("other").length() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"type": ""},
        {"type": "x" * 65},
        {"type": "a b"},
        {"type": "a|b"},
        {"type": "click\n"},
        {"type": None},
        {"value": "much"},
        {"value": 1e7},
        {"value": -1e300},
        {"value": 10**40},
        {"type": "watch", "value": -0.1},
        {"type": "watch", "value": 1.01},
        {"id": ""},
        {"id": "x" * 129},
        {"id": 5},
        {"at": "yesterday"},
        {"at": "2030-13-01T00:00:00Z"},
        {"at": True},
        {"at": -1},
        {"at": -1e300},
        {"at": "1969-12-31T23:59:59Z"},
        {"at": [1]},
    ],
    ids=str,
)
def test_an_event_with_a_wrong_field_is_rejected(
    api: Api, harmless: Harmless, fields: dict[str, Any]
) -> None:
    event = {"decision": decided(api), "type": "click", **fields}

    rejection = rejected(harmless(lambda: api.events(event)))

    assert rejection["code"] == "invalid_input"
    assert len(rejection["message"]) < 300


@pytest.mark.parametrize(
    "event",
    [
        b'{"decision": "\xff", "type": "click"}',
        b'{"decision": "d", "type": "click", "value": 1e400}',
        b'{"decision": "d", "type": "click", "at": ' + b"9" * 5000 + b"}",
        b'{"decision": ' + b"[" * 500 + b"]" * 500 + b"}",
        b"5",
        b"null",
        b'"click"',
        b"[]",
    ],
    ids=["not UTF-8", "1e400", "5000 digits", "nested", "5", "null", "text", "list"],
)
def test_an_event_that_cannot_be_read_does_not_take_others_with_it(
    api: Api, harmless: Harmless, event: bytes
) -> None:
    # given
    good = json.dumps({"decision": decided(api), "type": "click"}).encode()
    data = b'{"events": [' + good + b"," + event + b"," + good + b"]}"

    # when
    answer = body_of(harmless(lambda: raw(api, "/v1/events", data), logs=2), 202)

    # then
    assert answer["accepted"] == 2
    assert [rejection["index"] for rejection in answer["rejected"]] == [1]


def test_half_of_a_surrogate_pair_makes_the_whole_body_no_json(
    api: Api, harmless: Harmless
) -> None:
    data = (
        b'{"events": [{"decision": "%s", "type": "click", "id": "\\ud83c"}]}'
        % decided(api).encode()
    )

    error_of(harmless(lambda: raw(api, "/v1/events", data)), 400)


@pytest.mark.parametrize("body", [{}, {"events": 5}, {"events": {}}, {"events": None}])
def test_events_that_are_no_list_are_refused(api: Api, harmless: Harmless, body: Any) -> None:
    error_of(harmless(lambda: api.post("/v1/events", body)), 400)


def test_too_many_events_are_refused_together(api: Api, harmless: Harmless) -> None:
    event = {"decision": decided(api), "type": "click"}

    assert error_of(harmless(lambda: api.events(*[event] * 1001)), 413)["field"] == "events"
    answer = body_of(harmless(lambda: api.events(*[event] * 1000), logs=1000), 202)
    assert answer["accepted"] == 1000


@pytest.mark.parametrize("at", [0.001, 3600.0, 1e15, "9999-12-31T23:59:59Z"])
def test_an_event_from_the_future_is_rejected(
    api: Api, harmless: Harmless, at: float | str
) -> None:
    # given a moment beyond what clocks may differ by
    moment = at if isinstance(at, str) else (START_MS + FUTURE_MS) / 1000 + at

    # when
    event = {"decision": decided(api), "type": "click", "at": moment}
    rejection = rejected(harmless(lambda: api.events(event)))

    # then
    assert rejection["code"] == "future_event"


def test_clocks_may_differ_a_little(api: Api, harmless: Harmless, services: Services) -> None:
    moment = (START_MS + FUTURE_MS) / 1000
    event = {"decision": decided(api), "type": "click", "at": moment}

    assert body_of(harmless(lambda: api.events(event), logs=1), 202)["accepted"] == 1


def flags_of(services: Services, decision: str) -> list[list[str]]:
    return [e.flags for e in logged(services) if isinstance(e, Event) and e.decision == decision]


def test_an_event_from_before_its_decision_is_accepted_and_marked(
    api: Api, harmless: Harmless, services: Services
) -> None:
    decision = decided(api)
    event = {"decision": decision, "type": "click", "at": START_MS / 1000 - 60}

    assert body_of(harmless(lambda: api.events(event), logs=1), 202)["accepted"] == 1
    assert flags_of(services, decision) == [["before_decision"]]


def test_a_clock_that_went_back_after_the_decision_is_marked_and_loses_nothing(
    api: Api, harmless: Harmless, services: Services, clock: Clock
) -> None:
    # given
    decision = decided(api)
    clock.advance(-3600)

    # when
    event = {"decision": decision, "type": "click"}
    assert body_of(harmless(lambda: api.events(event), logs=1), 202)["accepted"] == 1

    # then it is marked, and still the reward of its decision
    assert flags_of(services, decision) == [["clock_went_back"]]
    fold, outcomes = learned(services, SiteSettings())
    assert [(o.kind, o.reward) for o in outcomes if o.decision.id == decision] == [
        ("rewarded", 1.0)
    ]
    fold.close()


@pytest.mark.parametrize("aggregation", ["earliest", "sum", "latest", "mean"])
def test_an_event_sent_twice_is_accepted_twice_and_learned_once(
    api: Api, harmless: Harmless, services: Services, aggregation: Any
) -> None:
    # given
    decision = decided(api)
    event = {"decision": decision, "type": "click", "id": "click-1"}

    # when it is sent twice at once, and again
    assert body_of(harmless(lambda: api.events(event, event), logs=2), 202)["accepted"] == 2
    assert body_of(harmless(lambda: api.events(event), logs=1), 202)["accepted"] == 1

    # then
    fold, outcomes = learned(
        services, SiteSettings(rewards=RewardSettings(aggregation=aggregation))
    )
    (outcome,) = [o for o in outcomes if o.decision.id == decision]
    assert outcome.reward == 1.0
    assert fold.join.counts.duplicate_events + fold.join.counts.late_events >= 2
    assert fold.trainer.outcomes == len(outcomes) == len({o.decision.unit for o in outcomes})
    fold.close()


def test_two_different_events_of_one_decision_both_count(api: Api, services: Services) -> None:
    # given
    decision = decided(api)
    events = [{"decision": decision, "type": "click", "id": str(n)} for n in range(2)]

    # when
    body_of(api.events(*events), 202)

    # then
    fold, outcomes = learned(services, SiteSettings(rewards=RewardSettings(aggregation="sum")))
    assert [o.reward for o in outcomes] == [2.0]
    fold.close()


def test_the_largest_values_that_are_accepted_leave_a_model_that_decides(
    api: Api, services: Services, clock: Clock
) -> None:
    # given rewards as large as they may be, of either sign
    for n in range(20):
        value = 1_000_000 if n % 2 else -1_000_000
        event = {"decision": decided(api), "type": "convert", "value": value}
        assert body_of(api.events(event), 202)["accepted"] == 1

    # when they were learned from
    clock.advance(3600)
    learner = services.learner("main")
    while learner.step():
        pass
    learner.finish()
    services.refresh()

    # then
    answer = body_of(api.decide())
    assert answer["snapshot"] != "none"
    assert 0 < answer["probability"] <= 1
    body_of(api.get("/v1/reports/placements/film"))
