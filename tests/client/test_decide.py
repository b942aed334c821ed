"""Decisions, from services that are well and from all that are not."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from bandit_service import errors
from bandit_service.client import (
    DEFAULT,
    Client,
    Default,
    InlineVariant,
    PageAnswer,
    Slot,
    Visitor,
)
from bandit_service.client.connection import MAX_ANSWER
from bandit_service.client.resolver import Address
from bandit_service.client.session import Means
from bandit_service.errors import BanditError, InvalidInput, NoAnswer, PayloadTooLarge
from bandit_service.serving.requests import MAX_BODY
from tests.client.conftest import KEY, Clock, Connect, Serve, Took
from tests.client.servers import (
    ANSWER,
    Behaviour,
    Request,
    Server,
    announces,
    answers,
    closes,
    decides,
    floods,
    hangs,
    head,
    refuses,
    resets,
    says,
    trickles,
)

SOMEBODY = Visitor("v1")
LATE = 2.0
"""More than any short deadline, and less than any server hangs, in seconds."""


def why(client: Client) -> dict[str, int]:
    """Why defaults were answered."""
    return client.counts.defaults


# -- a service that is well


def test_an_answer_has_the_wires_own_type_and_the_request_its_own_words(
    serve: Serve, connect: Connect
) -> None:
    server = serve(decides)
    visitor = Visitor(
        "v1", traits={"genres": ["romance"]}, context={"device": "tv"}, user_agent="Firefox"
    )

    answer = connect(server).decide(Slot("film", exclude=["joke"], context={"row": 2}), visitor)

    assert answer == ANSWER
    (request,) = server.requests
    assert request.line == "POST /v1/decide HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "placement": "film",
        "visitor": "v1",
        "persona": None,
        "traits": {"genres": ["romance"]},
        "context": {"device": "tv", "user_agent": "Firefox", "row": 2},
        "exclude": ["joke"],
        "candidates": None,
        "counts": None,
    }


def test_candidates_go_with_the_request(serve: Serve, connect: Connect) -> None:
    server = serve(decides)
    candidates = [InlineVariant(id="a", headline="A"), InlineVariant(id="b", headline="B")]

    connect(server).decide(Slot("film", candidates=candidates))

    sent = msgspec.convert(server.requests[0].json["candidates"], list[InlineVariant])
    assert sent == candidates


def test_what_tells_people_from_crawlers_is_taken_from_the_visitors_own_headers() -> None:
    headers = {"User-Agent": "Googlebot", "Purpose": "prefetch", "Cookie": "secret"}

    visitor = Visitor.of(headers, "v1")

    assert visitor == Visitor("v1", user_agent="Googlebot", purpose="prefetch")
    assert Visitor.of({"Sec-Purpose": "a", "Purpose": "b"}).purpose == "a"
    assert Visitor.of({}) == Visitor()


def test_a_page_is_asked_for_in_one_request(serve: Serve, connect: Connect) -> None:
    server = serve(decides)
    client = connect(server)

    page = client.decide_page(["film", Slot("poster")], SOMEBODY)

    assert page == PageAnswer(slots=[ANSWER, ANSWER])
    (request,) = server.requests
    assert request.path == "/v1/decide/page"
    assert [slot["placement"] for slot in request.json["slots"]] == ["film", "poster"]
    assert client.counts.decisions == 2


def test_a_path_in_the_address_comes_before_every_call(serve: Serve) -> None:
    server = serve(decides)

    with Client(f"{server.url}/bandit/", KEY) as client:
        client.decide("film", strict=True)

    assert server.requests[0].path == "/bandit/v1/decide"


def test_requests_share_a_connection(serve: Serve, connect: Connect) -> None:
    server = serve(decides)
    client = connect(server)

    for _ in range(20):
        client.decide("film", strict=True)

    assert (len(server.requests), server.connections) == (20, 1)


def test_threads_share_a_client(serve: Serve, connect: Connect) -> None:
    server = serve(decides)
    client = connect(server)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: client.decide("film", Visitor(str(n))), range(400)))

    assert found == [ANSWER] * 400
    assert sorted(int(r.json["visitor"]) for r in server.requests) == list(range(400))
    assert server.connections <= 8
    assert client.counts.decisions == 400


def test_a_connection_that_the_service_closed_is_not_used_again(
    serve: Serve, connect: Connect
) -> None:
    server = serve(decides)
    client = connect(server)
    client.decide("film", strict=True)

    server.hang_up()
    answer = client.decide("film", strict=True)  # nobody named: it would not be asked for twice

    assert answer == ANSWER
    assert (len(server.requests), server.connections) == (2, 2)


def test_a_connection_that_waited_long_is_not_used_again(serve: Serve, clock: Clock) -> None:
    server = serve(decides)
    with Client(server.url, KEY, means=Means(clock=clock)) as client:
        client.decide("film", strict=True)
        clock.now += 9.9
        client.decide("film", strict=True)
        clock.now += 10.1
        client.decide("film", strict=True)

    assert server.connections == 2


def test_connections_beyond_those_to_keep_are_closed(serve: Serve) -> None:
    server = serve(decides)
    together = threading.Barrier(4)

    def decide(_: int) -> None:
        together.wait()
        client.decide("film", strict=True)

    with Client(server.url, KEY, deadline=5.0, connections=1) as client:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(decide, range(4)))
        before = server.connections
        client.decide("film", strict=True)

    assert server.connections == before


# -- services that are not


def test_a_default_has_the_shape_of_an_answer(serve: Serve, connect: Connect) -> None:
    client = connect(serve(hangs), deadline=0.05)
    default = Default(headline="The film", image_url="/f.jpg", alt="A film", target_url="/f")

    answer = client.decide("film", SOMEBODY, default=default)

    assert (answer.decision, answer.reason, answer.logged) == (DEFAULT, DEFAULT, False)
    assert (answer.placement, answer.probability) == ("film", 1.0)
    shown = answer.variant
    assert (shown.kind, shown.headline, shown.image_url) == ("card", "The film", "/f.jpg")
    assert (shown.alt, shown.target_url) == ("A film", "/f")


@pytest.mark.parametrize(
    ("default", "kind"),
    [
        (Default(), "headline"),
        (Default(headline="a"), "headline"),
        (Default(image_url="/a"), "thumbnail"),
    ],
)
def test_a_default_is_of_the_kind_that_it_holds(default: Default, kind: str) -> None:
    assert default.answer("film").variant.kind == kind


def test_every_slot_of_a_page_gets_its_own_default(serve: Serve, connect: Connect) -> None:
    client = connect(serve(refuses(500, "error")))

    page = client.decide_page(["film", Slot("poster", Default(headline="Mine"))])

    assert [slot.placement for slot in page.slots] == ["film", "poster"]
    assert [slot.variant.headline for slot in page.slots] == [None, "Mine"]
    assert {slot.reason for slot in page.slots} == {DEFAULT}
    assert why(client) == {"unavailable": 2}


@pytest.mark.parametrize("behaviour", [hangs, trickles, floods])
def test_no_service_keeps_a_visitor_waiting_beyond_the_deadline(
    serve: Serve, connect: Connect, behaviour: Behaviour
) -> None:
    client = connect(serve(behaviour), deadline=0.1)

    with Took() as took:
        answer = client.decide("film", SOMEBODY)

    assert answer.reason == DEFAULT
    assert took.seconds < LATE
    assert why(client) == {"timeout": 1} or behaviour is floods


def test_a_call_may_have_a_deadline_of_its_own(serve: Serve, connect: Connect) -> None:
    client = connect(serve(hangs), deadline=60.0)

    with Took() as took:
        client.decide("film", deadline=0.05)

    assert took.seconds < LATE


def test_a_service_that_does_not_accept_connections_keeps_nobody_waiting() -> None:
    # a listener whose queue is full answers nobody
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        with Client(f"http://127.0.0.1:{port}", KEY, deadline=0.1) as client, Took() as took:
            answer = client.decide("film")
        for each in waiting:
            each.close()

    assert answer.reason == DEFAULT
    assert took.seconds < LATE
    assert why(client) == {"timeout": 1}


def test_a_name_server_that_hangs_keeps_nobody_waiting(serve: Serve) -> None:
    server, found = serve(decides), threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        found.wait(20)
        return [Address(socket.AF_INET, ("127.0.0.1", server.port))]

    with Client("http://service.example", KEY, deadline=0.1, means=Means(lookup=lookup)) as client:
        with Took() as took:
            assert client.decide("film").reason == DEFAULT
        found.set()
        answer = client.decide("film", deadline=5.0)

    assert took.seconds < LATE
    assert answer == ANSWER


def test_the_first_of_several_addresses_that_takes_a_connection_is_used(serve: Serve) -> None:
    server, dead = serve(decides), serve(decides)
    dead.deafen()
    ports = dead.port, server.port

    def lookup(host: str, port: int) -> list[Address]:
        return [Address(socket.AF_INET, ("127.0.0.1", port)) for port in ports]

    with Client("http://service.example", KEY, means=Means(lookup=lookup)) as client:
        assert client.decide("film", deadline=5.0) == ANSWER


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (closes, "broken"),
        (resets, "broken"),
        (says(b"\x00\xff\xfe not HTTP\r\n\r\n"), "broken"),
        (says(head(5_000) + b'{"decision":'), "broken"),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"), "broken"),
        (announces(MAX_ANSWER + 1), "broken"),
        (floods, "broken"),
        (says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000), "broken"),
        (answers(b"{"), "unusable_answer"),
        (answers(b"\xff\xfe"), "unusable_answer"),
        (answers(b"[" * 100_000), "unusable_answer"),
        (answers({"variant": "kiss"}), "unusable_answer"),
        (answers(b"<h1>Sign in</h1>"), "unusable_answer"),
        (answers(b"", 302, {"Location": "https://sign.in"}), "unusable_answer"),
        (answers(b"<h1>Not Found</h1>", 404), "unusable_answer"),
        (answers(b"<h1>Bad Gateway</h1>", 502), "unavailable"),
        (answers(b"", 429), "unavailable"),
        (refuses(500, "error"), "unavailable"),
        (refuses(503, "storage_unavailable"), "storage_unavailable"),
    ],
)
def test_what_is_no_answer_is_the_websites_default(
    serve: Serve, connect: Connect, behaviour: Behaviour, code: str
) -> None:
    client = connect(serve(behaviour))

    answer = client.decide("film")

    assert answer.reason == DEFAULT
    assert why(client) == {code: 1}
    with pytest.raises(BanditError) as raised:
        client.decide("film", strict=True)
    assert raised.value.specific_code == code


def test_a_redirect_is_named_and_not_followed(serve: Serve, connect: Connect) -> None:
    server = serve(answers(b"", 301, {"Location": "https://elsewhere.example/"}))

    with pytest.raises(NoAnswer, match=r"301, pointing to 'https://elsewhere\.example/'"):
        connect(server).decide("film", strict=True)

    assert len(server.requests) == 1


def test_nothing_that_listens_is_the_websites_default(serve: Serve, connect: Connect) -> None:
    server = serve(decides)
    server.deafen()
    client = connect(server)

    with Took() as took:
        assert client.decide("film").reason == DEFAULT

    assert took.seconds < LATE
    assert why(client) == {"unreachable": 1}


def test_a_page_with_too_few_answers_is_none(serve: Serve, connect: Connect) -> None:
    client = connect(serve(answers({"slots": [msgspec.to_builtins(ANSWER)]})))

    page = client.decide_page(["film", "poster"])

    assert [slot.reason for slot in page.slots] == [DEFAULT, DEFAULT]
    assert why(client) == {"unusable_answer": 2}


def test_an_answer_that_comes_too_late_is_never_taken_for_that_of_the_next_request(
    serve: Serve, connect: Connect
) -> None:
    # given a service that answers the first request only when the second one came
    second_came = threading.Event()
    late = msgspec.structs.replace(ANSWER, placement="late")

    def too_late(server: Server, sock: socket.socket, request: Request) -> None:
        second_came.wait(20)
        answers(msgspec.to_builtins(late))(server, sock, request)

    def in_time(server: Server, sock: socket.socket, request: Request) -> None:
        second_came.set()
        decides(server, sock, request)

    client = connect(serve(too_late, in_time))

    assert client.decide("film", deadline=0.1).reason == DEFAULT
    for _ in range(3):
        assert client.decide("film").placement == "film"


# -- twice


@pytest.mark.parametrize("behaviour", [closes, resets, answers(b"", 502), says(head(9) + b"{")])
def test_what_may_have_been_decided_is_asked_for_again_only_for_a_known_visitor(
    serve: Serve, connect: Connect, behaviour: Behaviour
) -> None:
    known, unknown = serve(behaviour, decides), serve(behaviour, decides)

    assert connect(known).decide("film", SOMEBODY) == ANSWER
    assert connect(unknown).decide("film").reason == DEFAULT

    assert [request.body for request in known.requests] == [known.requests[0].body] * 2
    assert len(unknown.requests) == 1


def test_what_the_service_says_it_did_not_decide_is_asked_for_again(
    serve: Serve, connect: Connect
) -> None:
    server = serve(refuses(503, "storage_unavailable"), decides)
    client = connect(server)

    assert client.decide("film") == ANSWER
    assert (len(server.requests), client.counts.retries) == (2, 1)


def test_a_visitor_waits_for_two_tries_at_most(serve: Serve, connect: Connect) -> None:
    server = serve(refuses(503, "storage_unavailable"))

    connect(server).decide("film", SOMEBODY)

    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_what_was_refused_is_not_asked_for_again(
    serve: Serve, connect: Connect, status: int
) -> None:
    server = serve(refuses(status, "no"))

    connect(server).decide("film", SOMEBODY)

    assert len(server.requests) == 1


def test_there_is_no_second_try_where_there_is_no_time_for_it(
    serve: Serve, still: Means, clock: Clock
) -> None:
    server = serve(closes)
    with Client(server.url, KEY, deadline=0.025, means=still) as client:
        client.decide("film", SOMEBODY)

    assert (len(server.requests), clock.slept) == (1, [])


# -- a rest


def test_a_service_that_keeps_failing_is_not_asked_for_a_while(
    serve: Serve, still: Means, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(hangs)
    with (
        caplog.at_level(logging.INFO, logger="bandit_service.client"),
        Client(server.url, KEY, deadline=0.02, means=still) as client,
    ):
        # given failures
        for _ in range(5):
            client.decide("film")
        asked = len(server.requests)

        # when it is not asked
        for _ in range(100):
            assert client.decide("film").reason == DEFAULT
        assert len(server.requests) == asked
        assert why(client) == {"timeout": 5, "resting": 100}

        # then it is asked again later, by one call, and by all once that was answered
        server.behave(decides)
        clock.now += 1.0
        assert client.decide("film", deadline=5.0) == ANSWER
        assert client.decide("film", deadline=5.0) == ANSWER
    said = [record.message for record in caplog.records]
    assert said == [
        f"{server.url} did not answer in time; the default is shown",
        f"{server.url} did not answer in time; not asking for 0.7 s",
        f"{server.url} answers again",
    ]


def test_who_says_when_to_come_again_is_not_asked_before(
    serve: Serve, still: Means, clock: Clock
) -> None:
    server = serve(answers(b"busy", 503, {"Retry-After": "7"}), decides)
    with Client(server.url, KEY, deadline=5.0, means=still) as client:
        assert client.decide("film", SOMEBODY).reason == DEFAULT
        clock.now += 6.9
        assert client.decide("film", SOMEBODY).reason == DEFAULT
        assert len(server.requests) == 1
        clock.now += 0.2
        assert client.decide("film", SOMEBODY) == ANSWER


def test_a_service_that_refuses_is_well(serve: Serve, connect: Connect) -> None:
    server = serve(refuses(404, "not_found"))
    client = connect(server)

    for _ in range(20):
        client.decide("nope")

    assert len(server.requests) == 20
    assert why(client) == {"not_found": 20}


def test_an_outage_of_decisions_does_not_stop_events(serve: Serve, connect: Connect) -> None:
    server = serve(refuses(503, "x"))
    client = connect(server)
    for _ in range(10):
        client.decide("film")
    asked = len(server.requests)

    client.event("d" * 32, "click", deadline=0.05)

    assert asked < 10
    assert server.requests[-1].path == "/v1/events"


# -- mistakes


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, errors.NotAuthenticated),
        (403, errors.NotAllowed),
        (404, errors.NotFound),
        (405, errors.MethodNotAllowed),
        (409, errors.NothingToShow),
        (413, PayloadTooLarge),
        (422, errors.InvalidCatalog),
        (429, errors.TooManyRequests),
        (503, errors.StorageError),
    ],
)
def test_a_refusal_is_the_error_that_the_service_raised(
    serve: Serve, connect: Connect, status: int, kind: type[BanditError]
) -> None:
    server = serve(refuses(status, kind.code, field="context.hour", hint="do this"))

    with pytest.raises(kind, match="it said no") as raised:
        connect(server, strict=True).decide("film")

    assert type(raised.value) is kind
    assert raised.value.hint == "do this"
    assert raised.value.field == ("context.hour" if status != 429 else None)


def test_a_mistake_is_said_once_a_minute_with_its_hint(
    serve: Serve, still: Means, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(refuses(404, "not_found", hint="register it"))
    with Client(server.url, KEY, deadline=5.0, means=still) as client:
        for _ in range(30):
            client.decide("nope")
        clock.now += 60.0
        client.decide("nope")

    text = f"a request to {server.url} failed: it said no (register it); the default is shown"
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert [record.message for record in caplog.records] == [
        text,
        f"{text} (29 times more since it was last said)",
    ]


@pytest.mark.parametrize(
    "traits",
    [
        {"a": object()},
        {"a": "\ud800"},
        {"a": b"\xff".decode("utf-8", "surrogateescape")},
        ["romance"],
        "romance",
        7,
    ],
)
def test_what_json_cannot_carry_is_a_mistake_like_others(
    serve: Serve, connect: Connect, traits: Any
) -> None:
    server = serve(decides)
    client, visitor = connect(server), Visitor("v1", traits=traits)

    assert client.decide("film", visitor).reason == DEFAULT
    assert client.decide_page(["film"], visitor).slots[0].reason == DEFAULT
    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        client.decide("film", visitor, strict=True)

    assert server.requests == []


def test_a_request_that_is_too_large_is_not_sent(serve: Serve, connect: Connect) -> None:
    server = serve(decides)
    client = connect(server, strict=True)

    with pytest.raises(PayloadTooLarge, match="1048"):
        client.decide("film", Visitor(traits={"a": "x" * MAX_BODY}))

    assert server.requests == []


def test_a_closed_client_answers_defaults(serve: Serve, connect: Connect) -> None:
    server = serve(decides)
    client = connect(server)
    client.decide("film")

    client.close()

    assert client.decide("film").reason == DEFAULT
    assert why(client) == {"closed": 1}
    server.deafen()  # the connection that waited is closed too
    with pytest.raises(NoAnswer, match="closed"):
        client.check()


def test_the_key_is_nowhere_to_be_read(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(refuses(401, "not_authenticated"), closes)
    client = connect(server)
    raised = []
    for _ in range(3):
        client.decide("film")
        with pytest.raises(BanditError) as caught:
            client.decide("film", strict=True)
        raised.append(repr(caught.value) + str(caught.value.__cause__))

    assert repr(client) == f"Client('{server.url}', key=…)"
    assert caplog.records
    for text in (caplog.text, *raised, repr(vars(client)), repr(client.counts)):
        assert KEY not in text


# -- check


def test_a_check_says_what_is_wrong_and_decides_nothing(serve: Serve, connect: Connect) -> None:
    taken = answers({"accepted": 0, "rejected": []}, 202)
    server = serve(taken, decides, refuses(404, "not_found"))
    client = connect(server)

    with pytest.raises(errors.NotFound):
        client.check("film", "nope")

    assert [request.path for request in server.requests] == [
        "/v1/events",
        "/v1/decide",
        "/v1/decide",
    ]
    assert server.requests[0].json == {"events": []}
    assert [r.json["context"] for r in server.requests[1:]] == [{"purpose": "prefetch"}] * 2
    assert client.counts.decisions == 0
