"""Events that are sent while the caller waits."""

from __future__ import annotations

import msgspec
import pytest

from bandit_service.client import Client, Default, EventRequest, EventsAnswer, Rejection
from bandit_service.client.session import Means
from bandit_service.errors import NoAnswer, NotAuthenticated
from bandit_service.serving.requests import MAX_EVENTS
from tests.client.conftest import KEY, Clock, Connect, Serve, Took
from tests.client.servers import (
    ANSWER,
    Behaviour,
    Server,
    accepts,
    answers,
    closes,
    hangs,
    refuses,
    resets,
)


def test_an_event_is_sent_in_the_wires_own_words_with_an_id(serve: Serve, connect: Connect) -> None:
    server = serve(accepts)
    client = connect(server)

    answer = client.event(ANSWER, "watch", value=0.5, at=1_800_000_000.5)

    assert answer == EventsAnswer(accepted=1, rejected=[])
    ((event,),) = server.reported
    name = event.pop("id")
    assert isinstance(name, str)
    assert len(name) == 32
    assert event == {
        "decision": ANSWER.decision,
        "type": "watch",
        "value": 0.5,
        "at": 1_800_000_000.5,
        "age": None,
    }
    assert client.counts.events_accepted == 1


def test_two_events_have_two_ids_and_a_callers_own_id_is_kept(
    serve: Serve, connect: Connect
) -> None:
    server = serve(accepts)
    client = connect(server)

    client.event("d" * 32, "click")
    client.event("d" * 32, "click")
    client.event("d" * 32, "click", id="mine")

    names = [event["id"] for ((event),) in server.reported]
    assert len({*names}) == 3
    assert names[2] == "mine"


@pytest.mark.parametrize(
    "behaviour", [closes, resets, answers(b"", 502), answers(b"", 503), refuses(503, "storage")]
)
def test_an_event_that_may_have_been_taken_is_sent_again_as_it_was(
    serve: Serve, connect: Connect, behaviour: Behaviour
) -> None:
    server = serve(behaviour, behaviour, accepts)
    client = connect(server)

    answer = client.event(ANSWER, "click")

    assert answer.accepted == 1
    first, second, third = server.requests
    assert first.body == second.body == third.body
    assert first.json["events"][0]["id"]
    assert client.counts.retries == 2
    assert (client.counts.events_accepted, client.counts.events_lost) == (1, 0)


def test_who_has_used_up_a_rate_comes_again_when_told(
    serve: Serve, still: Means, clock: Clock
) -> None:
    no = {"error": {"code": "too_many_requests", "message": "no", "hint": "wait"}}
    server = serve(answers(no, 429, {"Retry-After": "1"}), accepts)
    with Client(server.url, KEY, means=still) as client:
        answer = client.event(ANSWER, "click")

    assert answer.accepted == 1
    assert clock.slept == [1.0]


def test_who_is_told_to_wait_beyond_the_deadline_does_not(
    serve: Serve, still: Means, clock: Clock
) -> None:
    server = serve(answers(b"", 503, {"Retry-After": "Wed, 01 Jan 2070 00:00:00 GMT"}))
    with Client(server.url, KEY, means=still) as client:
        answer = client.event(ANSWER, "click")

    assert (answer.accepted, [each.code for each in answer.rejected]) == (0, ["unavailable"])
    assert (len(server.requests), clock.slept) == (1, [])


def test_a_service_that_hangs_costs_no_more_than_the_deadline(
    serve: Serve, connect: Connect
) -> None:
    client = connect(serve(hangs), events_deadline=0.1)

    with Took() as took:
        answer = client.event(ANSWER, "click")

    assert took.seconds < 2.0
    assert answer.accepted == 0
    (rejection,) = answer.rejected
    assert (rejection.index, rejection.code) == (0, "timeout")
    assert client.counts.events_lost == 1


def test_a_refusal_is_told_or_raised(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(serve(refuses(401, "not_authenticated", hint="make a key")))

    answer = client.event(ANSWER, "click")

    assert answer.rejected == [
        Rejection(index=0, code="not_authenticated", message="it said no", hint="make a key")
    ]
    assert "it said no (make a key); events are lost" in caplog.text
    with pytest.raises(NotAuthenticated):
        client.event(ANSWER, "click", strict=True)


def test_an_event_that_the_service_turns_away_is_said(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    why = {"index": 0, "code": "unknown_decision", "message": "never issued", "hint": "as it was"}
    client = connect(serve(answers({"accepted": 0, "rejected": [why]}, 202)))

    answer = client.event("x" * 32, "click")

    assert answer.rejected == [msgspec.convert(why, Rejection)]
    assert "turned an event away: never issued (as it was)" in caplog.text
    assert client.counts.events_rejected == 1


@pytest.mark.parametrize(
    "decided",
    [
        Default().answer("film"),
        msgspec.structs.replace(ANSWER, logged=False),
        "default",
        "canonical",
        "",
        None,
    ],
)
def test_what_was_no_decision_is_not_reported(
    serve: Serve, connect: Connect, decided: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(accepts)
    client = connect(server, strict=True)

    answer = client.event(decided, "click")

    assert [each.code for each in answer.rejected] == ["not_a_decision"]
    assert server.requests == []
    assert client.counts.events_rejected == 1
    assert not caplog.records


def test_many_events_go_in_several_requests_and_keep_their_places(
    serve: Serve, connect: Connect
) -> None:
    # given a service that turns the second event of every request away
    def picky(server: Server, sock: object, request: object) -> None:
        count = len(server.requests[-1].json["events"])
        why = {"index": 1, "code": "crawler", "message": "no"}
        answers({"accepted": count - 1, "rejected": [why]}, 202)(server, sock, request)  # type: ignore[arg-type]

    server = serve(picky)
    events = [EventRequest(decision="d" * 32, type="click", id=str(n)) for n in range(1_202)]
    events[0] = EventRequest(decision="default", type="click")

    answer = connect(server).events(events)

    assert [len(batch) for batch in server.reported] == [MAX_EVENTS, 201]
    assert answer.accepted == 1_199
    assert [(each.index, each.code) for each in answer.rejected] == [
        (0, "not_a_decision"),
        (2, "crawler"),
        (1_002, "crawler"),
    ]


def test_no_events_are_no_request(serve: Serve, connect: Connect) -> None:
    server = serve(accepts)

    assert connect(server).events([]) == EventsAnswer(accepted=0, rejected=[])

    assert server.requests == []


def test_what_json_cannot_carry_is_told(serve: Serve, connect: Connect) -> None:
    client = connect(serve(accepts))

    answer = client.event(ANSWER, "\ud800")

    assert [each.code for each in answer.rejected] == ["invalid_input"]
    assert client.counts.events_lost == 1


def test_a_closed_client_raises_where_it_is_strict(serve: Serve, connect: Connect) -> None:
    client = connect(serve(accepts), strict=True)
    client.close()

    with pytest.raises(NoAnswer, match="closed"):
        client.event(ANSWER, "click")
