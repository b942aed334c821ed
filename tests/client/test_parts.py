"""The parts that are easier to see alone: pauses, look-ups, notices, dates."""

from __future__ import annotations

import http.client
import logging
import socket
import threading

import pytest

from bandit_service.client.backoff import Backoff
from bandit_service.client.connection import Reply
from bandit_service.client.deadline import Deadline
from bandit_service.client.notices import MAX_SUBJECTS, Notices
from bandit_service.client.reply import _seconds, answer_in
from bandit_service.client.resolver import FRESH_SECONDS, Address, Resolver, look_up
from bandit_service.client.session import DECIDE
from bandit_service.errors import TooManyRequests
from tests.client.conftest import Clock

HERE = Address(socket.AF_INET, ("127.0.0.1", 1))


# -- pauses


def test_pauses_double_up_to_a_longest() -> None:
    backoff = Backoff(0.1, 0.5, lambda: 1.0)

    assert [backoff.pause() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_a_pause_is_any_part_of_its_bound_and_never_shorter_than_told() -> None:
    drawn = iter([0.0, 0.5, 0.5])
    backoff = Backoff(1.0, 8.0, lambda: next(drawn))

    assert [backoff.pause(), backoff.pause(), backoff.pause(3.0)] == [0.0, 1.0, 3.0]


# -- look-ups


class Names:
    """A name server."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: list[Address] | Exception = [HERE]
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, host: str, port: int) -> list[Address]:
        self.asked += 1
        self.may_answer.wait(20)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def resolver(names: Names, clock: Clock) -> Resolver:
    return Resolver("service.example", 1, lookup=names, clock=clock)


def test_a_name_is_looked_up_once_in_a_while(
    resolver: Resolver, names: Names, clock: Clock
) -> None:
    for _ in range(5):
        assert resolver.addresses(Deadline(5.0)) == [HERE]

    assert names.asked == 1


def test_what_was_found_is_used_while_the_name_server_is_away(
    resolver: Resolver, names: Names, clock: Clock
) -> None:
    resolver.addresses(Deadline(5.0))
    names.may_answer.clear()
    clock.now += 10 * FRESH_SECONDS

    found = [resolver.addresses(Deadline(0.0)) for _ in range(5)]

    assert found == [[HERE]] * 5
    assert names.asked == 2  # one look-up is under way, and no more
    names.may_answer.set()


def test_a_name_that_cannot_be_found_is_named_and_looked_up_again(
    resolver: Resolver, names: Names
) -> None:
    names.answer = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(OSError, match=r"service\.example cannot be found: .*not known"):
        resolver.addresses(Deadline(5.0))

    names.answer = [HERE]
    assert resolver.addresses(Deadline(5.0)) == [HERE]


def test_a_name_that_no_server_can_be_asked_for_is_named_too(names: Names, clock: Clock) -> None:
    resolver = Resolver("a" * 64 + ".example", 1, lookup=look_up, clock=clock)

    with pytest.raises(OSError, match="cannot be found"):
        resolver.addresses(Deadline(5.0))


def test_where_no_thread_can_be_started_the_look_up_is_made_here(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ending(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", ending)

    assert resolver.addresses(Deadline(5.0)) == [HERE]


# -- notices


def test_each_subject_is_said_once_a_minute_for_itself(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices(clock)
    for _ in range(3):
        notices.say(logging.WARNING, "a", "an a")
        notices.say(logging.WARNING, "b", "a b")
    clock.now += 60.0
    notices.say(logging.WARNING, "a", "an a")

    assert [record.message for record in caplog.records] == [
        "an a",
        "a b",
        "an a (2 times more since it was last said)",
    ]


def test_subjects_are_not_remembered_without_end(clock: Clock) -> None:
    notices = Notices(clock)

    for n in range(3 * MAX_SUBJECTS):
        notices.say(logging.DEBUG, str(n), "text")

    assert len(notices._spoken) <= MAX_SUBJECTS


# -- Retry-After


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Fri, 13 Feb 2009 23:31:35 GMT", 5.0),
        ("Fri, 13 Feb 2009 23:31:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("Fri, 99 Feb 2009 23:31:35 GMT", None),
    ],
)
def test_when_to_come_again_is_understood_as_seconds_and_as_a_date(
    said: str | None, seconds: float | None
) -> None:
    assert _seconds(said, now=1_234_567_890.0) == seconds


@pytest.mark.parametrize("said", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_rate_that_is_used_up_for_ever_is_a_day(said: str) -> None:
    headers = http.client.HTTPMessage()
    headers["Retry-After"] = said
    body = b'{"error": {"code": "too_many_requests", "message": "no"}}'

    with pytest.raises(TooManyRequests) as raised:
        answer_in(Reply(429, headers, body), DECIDE.decoder, asked="it", now=0.0)

    assert raised.value.retry_after == 86_400
