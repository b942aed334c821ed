"""Events of one process on their way, and the thread that sends them.

Events that come together go together: while one request is under way the next one fills. What
fails is tried again and again, with pauses, in the order in which it came; what the service refuses
is not. Where it says that a key has used up its rate, requests get smaller, since one that holds
more than the whole rate would never pass.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from bandit_service.client.backoff import Backoff
from bandit_service.client.breaker import LONGEST_TOLD
from bandit_service.client.deadline import Deadline
from bandit_service.client.report import NO_DECISION, with_id, written
from bandit_service.client.session import EVENTS, Session, may_repeat, retry_after
from bandit_service.errors import BanditError, InvalidInput, NoAnswer, TooManyRequests
from bandit_service.serving.requests import EventRequest, EventsAnswer

BATCH: Final = 500
"""Most events of one request."""
MAX_EVENT_BYTES: Final = 2_048
"""Largest event, in bytes: the service takes none that is as large, and BATCH of them must fit."""
SEND_SECONDS: Final = 10.0
"""How long one request may take."""
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 10.0
"""Bounds of the pauses between tries, in seconds."""
LATE_SECONDS: Final = 10.0
"""An event that waited longer says itself when it happened. Others leave that to the service, whose
clock is right: it turns events from the future away."""

log = logging.getLogger("bandit_service.client")


class _Waiting(NamedTuple):
    """An event, and when it was reported, by a clock that never runs backwards."""

    event: EventRequest
    since: float


class Sender:
    """The events of one process, and the thread that sends them."""

    def __init__(self, session: Session, size: int) -> None:
        self._session = session
        self._size = size
        self._clock = session.means.clock
        self._changed = threading.Condition()
        self._events: deque[_Waiting] = deque()
        self._under_way = 0
        self._most = BATCH
        """How many events go into one request: fewer where the service says it was too many."""
        self._ends: Deadline | None = None
        self._given_up = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many events the service has not taken yet."""
        return len(self._events) + self._under_way

    def put(self, event: EventRequest) -> bool:
        """Take in an event, dropping the oldest where there is no room."""
        if event.decision == NO_DECISION:
            self._session.counter.add("events_rejected")
            return False
        event = with_id(event, lambda: uuid.uuid4().hex)
        if not self._sendable(event):
            return False
        with self._changed:
            if self._ends is not None:
                self._lose(1, "the queue is closed")
                return False
            if len(self._events) >= self._size:
                self._events.popleft()
                self._lose(1, "the queue is full, and the oldest go first")
            self._events.append(_Waiting(event, self._clock()))
            self._begin()
            self._changed.notify_all()
        return True

    def _begin(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="events", daemon=True)
        with suppress(RuntimeError):  # no thread can be started just now: the next event tries
            thread.start()
            self._thread = thread

    def flush(self, seconds: float) -> bool:
        """Wait until none are left, so many ``seconds`` at most; whether none are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting, seconds)

    def close(self, seconds: float) -> None:
        """Give what is left so many ``seconds``, and count what then still is as lost."""
        with self._changed:
            self._ends = self._ends or Deadline(seconds, self._clock)
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        with self._changed:
            left, self._given_up = self.waiting, True
            self._events.clear()
            self._under_way = 0
            if left:
                self._lose(left, "the service did not take them before the end")

    # -- in the thread

    def _run(self) -> None:
        while batch := self._next():
            try:
                if not self._deliver(batch):
                    return  # who closes the queue counts what is left
            except Exception:
                # Whatever it is, the events to come must not wait for ever.
                log.exception("events could not be sent")
                self._give_up(batch, "the client itself failed")
            with self._changed:
                self._under_way = 0
                self._changed.notify_all()

    def _next(self) -> list[_Waiting]:
        """The events of the next request; none once the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._ends is not None)
            count = min(len(self._events), self._most)
            batch = [self._events.popleft() for _ in range(count)]
            self._under_way = count
            return batch

    def _deliver(self, batch: list[_Waiting]) -> bool:
        """Send events until they are taken or refused; whether there was time for that."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, self._session.means.chance)
        while True:
            try:
                answer = self._send(batch)
            except BanditError as exc:
                if not _passes(exc):
                    self._give_up(batch, exc.message)
                    return True
                if not self._wait(backoff.pause(min(retry_after(exc) or 0.0, LONGEST_TOLD))):
                    return False
                if isinstance(exc, TooManyRequests):
                    batch = self._fewer(batch)
                self._session.counter.add("retries")
            else:
                self._most = min(self._most + 1, BATCH)
                self._took(answer)
                return True

    def _send(self, batch: list[_Waiting]) -> EventsAnswer:
        ends = self._ends
        seconds = SEND_SECONDS if ends is None else min(SEND_SECONDS, ends.left)
        body = written(lambda: {"events": [self._dated(each) for each in batch]})
        return self._session.ask(EVENTS, body, seconds=seconds, repeatable=True, once=True)

    def _dated(self, waiting: _Waiting) -> EventRequest:
        """The event, saying when it happened if that was some time ago."""
        event, since = waiting
        waited = self._clock() - since
        if event.at is not None or waited < LATE_SECONDS:
            return event
        return msgspec.structs.replace(event, at=self._session.means.wall() - waited)

    def _wait(self, pause: float) -> bool:
        """Let ``pause`` seconds pass; whether there is time for another try after them.

        Closing the queue cuts the pause short.
        """
        with self._changed:
            if self._ends is None:
                self._changed.wait_for(lambda: self._ends is not None, pause)
                return True
            if pause > self._ends.left:
                return False
            self._changed.wait_for(lambda: self._given_up, pause)
            return not self._given_up

    def _fewer(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Half of the events; the others wait again, before all that came later."""
        self._most = max(1, len(batch) // 2)
        with self._changed:
            self._events.extendleft(reversed(batch[self._most :]))
            self._under_way = self._most
        return batch[: self._most]

    def _took(self, answer: EventsAnswer) -> None:
        with self._changed:
            if not self._given_up:
                self._session.count_events(answer)
                self._under_way = 0

    def _give_up(self, batch: list[_Waiting], why: str) -> None:
        with self._changed:
            if not self._given_up:
                self._lose(len(batch), why)
                self._under_way = 0

    # -- before the thread

    def _sendable(self, event: EventRequest) -> bool:
        try:
            size = len(written(lambda: event))
        except InvalidInput as exc:
            self._lose(1, exc.message)
            return False
        if size > MAX_EVENT_BYTES:
            self._lose(1, "an event is larger than any that the service takes")
        return size <= MAX_EVENT_BYTES

    def _lose(self, events: int, why: str) -> None:
        self._session.counter.add("events_lost", events)
        self._session.notices.say(logging.WARNING, why, f"{events} events are lost: {why}")


def _passes(error: BanditError) -> bool:
    """Whether another try may fare better; unlike a visitor, an event can wait for that."""
    if isinstance(error, NoAnswer):
        return error.specific_code != "closed"
    return may_repeat(error, repeatable=True)
