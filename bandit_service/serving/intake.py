"""Taking in events: each is checked by itself, and what passes is in the log before the answer.

Whether an event is in time, a duplicate or worth anything is decided by the join, from the log:
here only what could never be right is turned away. Nothing is looked up: a decision id carries its
own proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from bandit_service.errors import InvalidInput, PayloadTooLarge
from bandit_service.events.entries import DEFAULT_SHOWN, Event, encode
from bandit_service.events.identity import CANONICAL
from bandit_service.serving.requests import (
    EVENT_TYPE,
    MAX_AGE,
    MAX_EVENT_ID,
    MAX_EVENT_VALUE,
    MAX_EVENTS,
    EventRequest,
    EventsAnswer,
    EventsRequest,
    Rejection,
    check_text,
)
from bandit_service.serving.view import SiteView

FUTURE_MS: Final = 60_000
"""How far ahead of ours a sender's clock may be, in milliseconds."""

_decoder: Final = msgspec.json.Decoder(EventRequest)


def take_events(view: SiteView, request: EventsRequest, *, now: int) -> EventsAnswer:
    """Log the events that are in order, and say what is wrong with the others.

    Raises:
        PayloadTooLarge: if there are more than MAX_EVENTS.
        StorageError: if the log did not take them; the sender may send all of them again.
    """
    check_count(request)
    accepted: list[Event] = []
    rejected: list[Rejection] = []
    for index, raw in enumerate(request.events):
        try:
            accepted.append(_check(view, raw, now))
        except InvalidInput as exc:
            rejected.append(
                Rejection(index=index, code=exc.specific_code, message=exc.message, hint=exc.hint)
            )
    _append(view, accepted)
    return EventsAnswer(accepted=len(accepted), rejected=rejected)


def check_count(request: EventsRequest) -> None:
    """Raise PayloadTooLarge if there are more than MAX_EVENTS."""
    if len(request.events) > MAX_EVENTS:
        raise PayloadTooLarge(
            f"{len(request.events)} events are too many",
            field="events",
            hint=f"send at most {MAX_EVENTS} at once",
        )


def _append(view: SiteView, events: Sequence[Event]) -> None:
    if events:
        view.append([encode(event) for event in events])


def _check(view: SiteView, raw: msgspec.Raw, now: int) -> Event:
    try:
        event = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidInput(
            f"not an event: {exc}", hint="see EventRequest in /openapi.json"
        ) from exc
    if not EVENT_TYPE.fullmatch(event.type):
        raise InvalidInput(
            f"type {event.type[:80]!r} cannot be used",
            hint="use 1 to 64 letters, digits, '_', '.' or '-'",
        )
    if event.id is not None:
        check_text(event.id, MAX_EVENT_ID, "id")
    if event.value is not None and not math.isfinite(event.value):
        raise InvalidInput("value is not a finite number", hint="leave it out, or send a number")
    if event.value is not None and abs(event.value) > MAX_EVENT_VALUE:
        raise InvalidInput(
            f"a value of {event.value:g} is too large", hint=f"use at most {MAX_EVENT_VALUE:g}"
        )
    if event.type == "watch" and event.value is not None and not 0.0 <= event.value <= 1.0:
        raise InvalidInput(
            f"a watch of {event.value:g} is outside 0 to 1", hint="send the share that was watched"
        )
    decided = _decided(view, event.decision)
    at = _happened(event, now)
    return Event(
        decision=event.decision,
        type=event.type,
        at=at,
        received=now,
        value=event.value,
        id=event.id,
        flags=_flags(view, event.type, at, decided, now),
    )


def _decided(view: SiteView, decision: str) -> int:
    """When a decision was made, in ms; proof that this site made it."""
    if decision == CANONICAL:
        raise InvalidInput(
            "this answer was not a decision: it went to a crawler or a prefetcher",
            code="not_a_decision",
            hint="report events only of answers with 'logged': true",
        )
    decided = view.secret.decision_time(decision)
    if decided is None:
        raise InvalidInput(
            "this site never issued that decision id",
            code="unknown_decision",
            hint="send 'decision' as /v1/decide answered it, with a key of the same site",
        )
    return decided


def _flags(view: SiteView, event_type: str, at: int, decided: int, now: int) -> list[str]:
    flags = []
    if decided > now:
        flags.append("clock_went_back")
    elif at < decided:
        flags.append("before_decision")
    if event_type not in (*view.settings.rewards.worth, DEFAULT_SHOWN):
        flags.append("unknown_type")
    return flags


def _happened(event: EventRequest, now: int) -> int:
    """When an event happened, in ms."""
    if event.age is not None:
        if event.at is not None:
            raise InvalidInput("both at and age say when it was", hint="send one of them")
        if not 0.0 <= event.age <= MAX_AGE:
            raise InvalidInput(
                f"an age of {event.age:g} is out of bounds",
                hint=f"send seconds: 0 to {MAX_AGE} ({MAX_AGE // 86_400} days)",
            )
        return now - round(event.age * 1000)
    at = now if event.at is None else _time(event.at)
    if at < 0:
        raise InvalidInput("at lies before 1970", hint="send seconds since then, or RFC 3339")
    if at > now + FUTURE_MS:
        raise InvalidInput(
            "at lies in the future", code="future_event", hint="send UTC, or leave it out"
        )
    return at


def _time(at: str | int | float) -> int:
    try:
        if isinstance(at, str):
            moment = datetime.fromisoformat(at)
            return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
        return round(at * 1000)
    except (ValueError, OverflowError) as exc:
        raise InvalidInput(
            f"at {str(at)[:40]!r} is not a time",
            hint="send RFC 3339, such as 2030-01-31T12:00:00Z, or seconds since the Unix epoch",
        ) from exc
