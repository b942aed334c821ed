"""Events that are sent from a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import pytest

from bandit_service.client import Client, Default, EventQueue
from bandit_service.client.sender import BATCH
from bandit_service.client.session import Means
from tests.client.conftest import KEY, Clock, Serve, Took
from tests.client.servers import (
    ANSWER,
    Behaviour,
    Request,
    Server,
    accepts,
    answers,
    closes,
    hangs,
    refuses,
    resets,
)

AT_ONCE = Means(chance=lambda: 0.0)
"""Chance that draws no pauses."""
LONG = 15.0
"""How long to wait for what comes at once, in seconds."""


@contextmanager
def queue_of(
    server: Server, *, size: int = 10_000, means: Means = AT_ONCE
) -> Iterator[tuple[EventQueue, Client]]:
    with Client(server.url, KEY, means=means) as client:
        queue = client.queue(size=size)
        yield queue, client
        queue.close(0.0)


def numbers(server: Server) -> list[int]:
    return [int(name) for name in server.event_ids]


class Gate:
    """Accepts events once it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.met = threading.Event()

    def __call__(self, server: Server, sock: socket.socket, request: Request) -> None:
        self.met.set()
        self.open.wait(20)
        accepts(server, sock, request)


def pass_through(gate: Gate, queue: EventQueue, count: int) -> None:
    """Report events 0, 1, …; the first is under way until all the others wait."""
    queue.event(ANSWER, "click", id="0")
    assert gate.met.wait(LONG)
    for n in range(1, count):
        queue.event(ANSWER, "click", id=str(n))
    gate.open.set()
    assert queue.flush(LONG)


def test_nobody_waits_for_a_service_that_hangs(serve: Serve) -> None:
    with queue_of(serve(hangs)) as (queue, client):
        with Took() as took:
            assert all(queue.event(ANSWER, "click") for _ in range(100))

        assert took.seconds < 2.0
        assert queue.waiting == 100
        assert client.counts.events_lost == 0
    assert client.counts.events_lost == 100


def test_events_arrive_in_order_with_ids_of_their_own(serve: Serve) -> None:
    server = serve(accepts)
    with queue_of(server) as (queue, client):
        for n in range(50):
            queue.event(ANSWER, "watch", value=n / 50)
        assert queue.flush(LONG)
        assert queue.waiting == 0

    events = [event for request in server.reported for event in request]
    assert [event["value"] for event in events] == [n / 50 for n in range(50)]
    assert len({event["id"] for event in events}) == 50
    assert {event["at"] for event in events} == {None}
    assert client.counts.events_accepted == 50


def test_what_comes_while_a_request_is_under_way_goes_together(serve: Serve) -> None:
    gate = Gate()
    server = serve(gate)
    with queue_of(server) as (queue, _):
        pass_through(gate, queue, 700)

    assert [len(events) for events in server.reported] == [1, BATCH, 199]
    assert numbers(server) == list(range(700))


@pytest.mark.parametrize(
    "behaviour",
    [closes, resets, answers(b"<h1>Bad Gateway</h1>", 502), answers(b"<h1>We move</h1>", 404)],
)
def test_events_outlast_an_outage_and_each_has_one_id(serve: Serve, behaviour: Behaviour) -> None:
    server = serve(*[behaviour] * 4, accepts)
    with queue_of(server) as (queue, client):
        queue.event(ANSWER, "click")
        assert queue.flush(LONG)

    assert len(server.event_ids) == 5
    assert len({*server.event_ids}) == 1
    assert client.counts.events_accepted == 1
    assert client.counts.events_lost == 0
    assert client.counts.retries >= 4


def test_where_there_is_no_room_the_oldest_go_and_it_is_said(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    server = serve(gate)
    with queue_of(server, size=10) as (queue, client):
        queue.event(ANSWER, "click", id="0")
        assert gate.met.wait(LONG)
        for n in range(1, 31):
            assert queue.event(ANSWER, "click", id=str(n))
        gate.open.set()
        assert queue.flush(LONG)

    assert numbers(server) == [0, *range(21, 31)]
    assert (client.counts.events_accepted, client.counts.events_lost) == (11, 20)
    assert [r.message for r in caplog.records] == [
        "1 events are lost: the queue is full, and the oldest go first"
    ]


def test_what_is_refused_is_lost_and_what_follows_is_not(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(refuses(400, "invalid_input"), accepts)
    with queue_of(server) as (queue, client):
        queue.event(ANSWER, "click", id="0")
        assert queue.flush(LONG)
        queue.event(ANSWER, "click", id="1")
        assert queue.flush(LONG)

    assert numbers(server) == [0, 1]
    assert (client.counts.events_accepted, client.counts.events_lost) == (1, 1)
    assert "1 events are lost: it said no" in caplog.text


def test_more_than_a_whole_rate_is_sent_in_smaller_requests(serve: Serve) -> None:
    # given a key that may report three events at a time
    def meagre(server: Server, sock: socket.socket, request: Request) -> None:
        many = len(request.json["events"]) > 3
        no = {"error": {"code": "too_many_requests", "message": "no", "hint": "send several"}}
        told = answers(no, 429, {"Retry-After": "0"}) if many else accepts
        told(server, sock, request)

    gate = Gate()
    server = serve(gate, meagre)
    with queue_of(server) as (queue, client):
        pass_through(gate, queue, 40)

    accepted = [events for events in server.reported if len(events) <= 3]
    assert [int(event["id"]) for events in accepted for event in events] == list(range(40))
    assert (client.counts.events_accepted, client.counts.events_lost) == (40, 0)


def test_an_event_that_waited_long_says_when_it_happened(serve: Serve, clock: Clock) -> None:
    gate = Gate()
    server = serve(gate)
    means = Means(clock=clock, wall=lambda: clock.now + 1e9, sleep=clock.sleep, chance=lambda: 0.0)
    with queue_of(server, means=means) as (queue, _):
        queue.event(ANSWER, "click", id="0")
        assert gate.met.wait(LONG)
        queue.event(ANSWER, "click", id="1")
        queue.event(ANSWER, "click", id="2", at="2030-01-01T00:00:00Z")
        happened = clock.now + 1e9
        clock.now += 9.0
        queue.event(ANSWER, "click", id="3")
        clock.now += 2.0
        gate.open.set()
        assert queue.flush(LONG)

    # the first may have gone twice: its request was under way for 11 seconds
    said = {event["id"]: event["at"] for events in server.reported for event in events}
    assert (said["1"], said["2"], said["3"]) == (happened, "2030-01-01T00:00:00Z", None)


def test_closing_sends_what_is_left(serve: Serve) -> None:
    server = serve(closes, accepts)
    with Client(server.url, KEY) as client, client.queue() as queue:
        for n in range(20):
            queue.event(ANSWER, "click", id=str(n))

    assert sorted({*numbers(server)}) == list(range(20))
    assert client.counts.events_accepted == 20
    assert not queue.event(ANSWER, "click")
    assert client.counts.events_lost == 1


@pytest.mark.parametrize("behaviour", [hangs, closes, answers(b"", 503, {"Retry-After": "60"})])
def test_closing_does_not_wait_for_ever_and_says_what_is_lost(
    serve: Serve, behaviour: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(serve(behaviour).url, KEY) as client:
        queue = client.queue()
        for _ in range(20):
            queue.event(ANSWER, "click")
        with Took() as took:
            queue.close(0.2)

    assert took.seconds < 5.0
    assert queue.waiting == 0
    assert client.counts.events_lost == 20
    assert "the service did not take them before the end" in caplog.text


def test_a_queue_of_nothing_closes_at_once_and_twice(serve: Serve) -> None:
    with Client(serve(accepts).url, KEY) as client, client.queue() as queue:
        queue.close()
        queue.close()

    assert client.counts.events_lost == 0


@pytest.mark.parametrize(
    "decided",
    [Default().answer("film"), msgspec.structs.replace(ANSWER, logged=False), "canonical", None],
)
def test_what_was_no_decision_is_not_reported(serve: Serve, decided: str | None) -> None:
    server = serve(accepts)
    with queue_of(server) as (queue, client):
        assert not queue.event(decided, "click")

    assert server.requests == []
    assert client.counts.events_rejected == 1


@pytest.mark.parametrize("kind", ["\ud800", "x" * 3_000])
def test_an_event_that_can_never_be_taken_costs_no_other(serve: Serve, kind: str) -> None:
    server = serve(accepts)
    with queue_of(server) as (queue, client):
        assert not queue.event(ANSWER, kind)
        assert queue.event(ANSWER, "click", id="1")
        assert queue.flush(LONG)

    assert numbers(server) == [1]
    assert client.counts.events_lost == 1


def test_threads_share_a_queue(serve: Serve) -> None:
    server = serve(accepts)
    with queue_of(server) as (queue, client), ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: queue.event(ANSWER, "click", id=str(n)), range(2_000)))
        assert queue.flush(LONG)

    assert sorted(numbers(server)) == list(range(2_000))
    assert client.counts.events_accepted == 2_000


def test_the_thread_survives_what_should_not_be(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    # given a clock that fails once
    server, broken = serve(accepts), threading.Event()

    def wall() -> float:
        if not broken.is_set():
            broken.set()
            raise ArithmeticError("the clock is broken")
        return 1e9

    with queue_of(server, means=Means(wall=wall)) as (queue, client):
        queue.event(ANSWER, "click", id="0")
        assert queue.flush(LONG)
        queue.event(ANSWER, "click", id="1")
        assert queue.flush(LONG)

    assert "the clock is broken" in caplog.text
    assert (client.counts.events_accepted, client.counts.events_lost) == (1, 1)


def test_who_is_told_when_to_come_again_waits_until_then(serve: Serve) -> None:
    came: list[float] = []

    def busy_at_first(server: Server, sock: socket.socket, request: Request) -> None:
        came.append(time.monotonic())
        told = accepts if len(came) > 1 else answers(b"busy", 503, {"Retry-After": "1"})
        told(server, sock, request)

    with queue_of(serve(busy_at_first)) as (queue, client):
        queue.event(ANSWER, "click")
        assert queue.flush(LONG)

    assert came[1] - came[0] > 0.9
    assert client.counts.retries <= 2
