"""What one process has of a client: connections, breakers, counts; and asking, with retries.

What is sent twice must not count twice. A request is tried again when

- it surely was not carried out: no connection, a connection that broke before all of it was sent,
  or an answer of 429 or 503 in the service's own words; or
- it may have been, and to carry it out twice is the same (``repeatable``). For events, because the
  client gives each an id, and the service counts an id once. For a decision, because it names its
  visitor: a visitor's views of a placement within a time slot are one unit of learning with one
  draw, so the second is a repeated view, and almost always of the same variant (one that the
  service meanwhile learned away from is logged as switched, and teaches nothing). Without a visitor
  each would be a unit of its own, the first of them never shown to anybody and counted as one that
  nobody clicked: not repeated.

A pause comes before each new try (``backoff``), never shorter than a ``Retry-After``; where it does
not fit into the deadline, the last error is the answer at once. Decisions are tried twice: a
visitor waits. A library for retries was rejected: they import asyncio, which alone takes as long as
all of this, and the rules above would still be ours.

Decisions and events have a breaker each, because events alone have a rate that they can use up.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

import msgspec

from bandit_service.client.backoff import Backoff
from bandit_service.client.breaker import Breaker
from bandit_service.client.connection import Connection, Reply, Unanswered, Unsent
from bandit_service.client.counts import Counter
from bandit_service.client.deadline import Deadline
from bandit_service.client.notices import Notices
from bandit_service.client.place import Place
from bandit_service.client.pool import Pool
from bandit_service.client.reply import answer_in
from bandit_service.client.resolver import Lookup, Resolver, look_up
from bandit_service.errors import (
    BanditError,
    NoAnswer,
    PayloadTooLarge,
    StorageError,
    TooManyRequests,
)
from bandit_service.serving.page_requests import PageAnswer
from bandit_service.serving.requests import (
    MAX_BODY,
    DecideAnswer,
    EventsAnswer,
    Rejection,
)

Answer = TypeVar("Answer")

DECISION_TRIES: Final = 2
"""How often a decision is asked for."""
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 1.0
"""Bounds of the pauses between tries, in seconds."""
LEAST_SECONDS: Final = 0.01
"""What must be left of a deadline for another try."""

_ORDINARY: Final = ("crawler", "prefetch", "not_a_decision")
"""Why events are turned away without anybody's mistake."""

log = logging.getLogger("bandit_service.client")


class Call(msgspec.Struct, Generic[Answer], frozen=True):
    """One of the service's calls."""

    path: str
    decoder: Any
    """Decodes what it answers; a decoder of ``Answer``."""
    kind: Literal["decisions", "events"]
    tries: int | None
    """How often it is made at most; None: until the deadline."""


DECIDE: Final = Call[DecideAnswer](
    "/v1/decide", msgspec.json.Decoder(DecideAnswer), "decisions", DECISION_TRIES
)
DECIDE_PAGE: Final = Call[PageAnswer](
    "/v1/decide/page", msgspec.json.Decoder(PageAnswer), "decisions", DECISION_TRIES
)
EVENTS: Final = Call[EventsAnswer]("/v1/events", msgspec.json.Decoder(EventsAnswer), "events", None)


class Means(NamedTuple):
    """What time and chance are, for tests to say otherwise. Times are in seconds."""

    clock: Callable[[], float] = time.monotonic
    """Never runs backwards."""
    wall: Callable[[], float] = time.time
    """Since the Unix epoch."""
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    """From 0 to 1."""
    lookup: Lookup = look_up


class Session:
    """For all threads of a process."""

    def __init__(
        self, place: Place, key: str, *, tls: ssl.SSLContext | None, size: int, means: Means
    ) -> None:
        """Ask at ``place`` with ``key``, keeping ``size`` connections while nobody asks."""
        self.counter = Counter()
        self.notices = Notices(means.clock)
        self.means = means
        self._place = place
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": "bandit-service-client",
        }
        resolver = Resolver(place.host, place.port, lookup=means.lookup, clock=means.clock)
        self._pool = Pool(
            partial(Connection.to, place, resolver, tls), size=size, clock=means.clock
        )
        self._breakers = {
            kind: Breaker(clock=means.clock, chance=means.chance)
            for kind in ("decisions", "events")
        }
        self._closed = False

    def ask(
        self,
        call: Call[Answer],
        body: bytes,
        *,
        seconds: float,
        repeatable: bool,
        once: bool = False,
    ) -> Answer:
        """Make a call, within so many ``seconds``, and again where that is safe and of use.

        ``repeatable`` says whether carrying it out twice is the same; ``once`` that the caller
        itself sees to further tries.

        Raises:
            NoAnswer: if there is no answer that can be used.
            BanditError: the error that the service answered with.
        """
        deadline = Deadline(seconds, self.means.clock)
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, self.means.chance)
        made = 0
        while True:
            made += 1
            try:
                return self._try(call, body, deadline)
            except BanditError as exc:
                pause = backoff.pause(retry_after(exc))
                last = once or made == call.tries or pause + LEAST_SECONDS > deadline.left
                if last or not may_repeat(exc, repeatable=repeatable):
                    raise
            self.counter.add("retries")
            self.means.sleep(pause)

    def say_of(self, error: BanditError, consequence: str) -> None:
        """Say in the log what went wrong with a call, and what follows."""
        if isinstance(error, NoAnswer):
            if error.specific_code != "resting":  # that it failed was said
                text = f"{error.message}; {consequence}"
                self.notices.say(logging.WARNING, error.specific_code, text)
            return
        text = f"a request to {self._place} failed: {_hinted(error)}; {consequence}"
        self.notices.say(logging.ERROR, f"{error.specific_code} {error.message}", text)

    def count_events(self, answer: EventsAnswer) -> None:
        """Count what became of events, and say what is wrong with those that were turned away."""
        self.counter.add("events_accepted", answer.accepted)
        self.counter.add("events_rejected", len(answer.rejected))
        for code, each in {each.code: each for each in answer.rejected}.items():
            if code not in _ORDINARY:
                text = f"{self._place} turned an event away: {_hinted(each)}"
                self.notices.say(logging.ERROR, f"event {code}", text)

    def close(self) -> None:
        """Close the connections; calls are refused from now on."""
        self._closed = True
        self._pool.close()

    def _try(self, call: Call[Answer], body: bytes, deadline: Deadline) -> Answer:
        """Make a call once, unless the breaker refuses it, and tell the breaker."""
        self._check(body)
        breaker = self._breakers[call.kind]
        turn = breaker.admit()
        if turn is None:
            raise NoAnswer(
                f"{self._place} failed so often that it is not asked for {breaker.rest:.1f} s",
                code="resting",
                retry_after=breaker.rest,
            )
        try:
            reply = self._post(call.path, body, deadline)
            answer: Answer = answer_in(
                reply, call.decoder, asked=str(self._place), now=self.means.wall()
            )
        except BanditError as exc:
            self._tell(breaker, turn, exc)
            raise
        if breaker.succeeded(turn):
            log.info("%s answers again", self._place)
        return answer

    def _check(self, body: bytes) -> None:
        if self._closed:
            raise NoAnswer("this client is closed", code="closed")
        if len(body) > MAX_BODY:
            raise PayloadTooLarge(
                f"the request has {len(body)} bytes", hint=f"send at most {MAX_BODY}"
            )

    def _tell(self, breaker: Breaker, turn: int, exc: BanditError) -> None:
        if not isinstance(exc, NoAnswer | StorageError | TooManyRequests):
            breaker.succeeded(turn)  # it refused this call, so it is well
        elif breaker.failed(turn, told=retry_after(exc) or 0.0):
            log.warning("%s; not asking for %.1f s", exc.message, breaker.rest)

    def _post(self, path: str, body: bytes, deadline: Deadline) -> Reply:
        try:
            connection = self._pool.take(deadline)
            reply = connection.post(self._place.prefix + path, body, self._headers, deadline)
        except Unsent as exc:
            raise self._no_answer(exc, "unreachable", arrived=False) from exc
        except Unanswered as exc:
            raise self._no_answer(exc, "broken", arrived=True) from exc
        self._pool.give(connection)
        return reply

    def _no_answer(self, exc: Exception, code: str, *, arrived: bool) -> NoAnswer:
        late = isinstance(exc.__cause__, TimeoutError)
        return NoAnswer(
            f"{self._place} did not answer" + (" in time" if late else f": {exc}"),
            code="timeout" if late else code,
            arrived=arrived,
            hint="is it running, and reachable from here?",
        )


def _hinted(what: BanditError | Rejection) -> str:
    """What went wrong, with the remedy where one is known."""
    return f"{what.message} ({what.hint})" if what.hint else what.message


def may_repeat(error: BanditError, *, repeatable: bool) -> bool:
    """Whether what failed so may be sent again, and may then fare better."""
    if isinstance(error, NoAnswer):
        passing = error.specific_code in ("unreachable", "broken", "unavailable")
        return passing and (repeatable or not error.arrived)
    return isinstance(error, StorageError | TooManyRequests)


def retry_after(error: BanditError) -> float | None:
    """In how many seconds to come again, if the error says so."""
    return error.retry_after if isinstance(error, NoAnswer | TooManyRequests) else None
