"""Events on their way to the service: each with an id, those of no decision left out.

The id is what makes a try again safe: the service counts an id once for its decision. Events of
answers that were no decisions (the website's default, a crawler's canonical variant, one that was
not logged) are turned away here, in the words that the service would use: they cost no request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from bandit_service.client.default import DEFAULT
from bandit_service.errors import InvalidInput
from bandit_service.events.identity import CANONICAL
from bandit_service.serving.requests import (
    MAX_EVENTS,
    DecideAnswer,
    EventRequest,
    Rejection,
)

NO_DECISION: Final = ""
"""Stands for the decision of an answer that was none."""
_NO_DECISIONS: Final = (DEFAULT, CANONICAL, NO_DECISION)
_encoder: Final = msgspec.json.Encoder()


class Batch(NamedTuple):
    """Events that are sent in one request."""

    places: list[int]
    """Where each stood among those that were reported."""
    events: list[EventRequest]

    @property
    def body(self) -> bytes:
        """The request's body.

        Raises:
            InvalidInput: if an event holds what JSON cannot carry.
        """
        return written(lambda: {"events": self.events})

    def at_their_places(self, rejected: Iterable[Rejection]) -> list[Rejection]:
        """The service's rejections, by the places of what was reported."""
        return [
            msgspec.structs.replace(each, index=self.places[each.index])
            for each in rejected
            if each.index < len(self.places)
        ]

    def rejected(self, code: str, message: str, hint: str | None = None) -> list[Rejection]:
        """All of them turned away."""
        return [
            Rejection(index=place, code=code, message=message, hint=hint) for place in self.places
        ]


def decision_of(decided: DecideAnswer | str | None) -> str:
    """The decision's id; NO_DECISION where there was none that events could be about.

    None is what a website finds that has lost it: a session that ended, say.
    """
    if decided is None:
        return NO_DECISION
    if isinstance(decided, str):
        return NO_DECISION if decided in _NO_DECISIONS else decided
    return decided.decision if decided.logged else NO_DECISION


def batches(events: Iterable[EventRequest], new_id: Callable[[], str]) -> Iterator[Batch]:
    """The events that are about decisions, with ids, in as many requests as they need."""
    batch = Batch([], [])
    for place, event in enumerate(events):
        if event.decision in _NO_DECISIONS:
            continue
        batch.places.append(place)
        batch.events.append(with_id(event, new_id))
        if len(batch.events) == MAX_EVENTS:
            yield batch
            batch = Batch([], [])
    if batch.events:
        yield batch


def with_id(event: EventRequest, new_id: Callable[[], str]) -> EventRequest:
    """The event with an idempotency id."""
    return event if event.id else msgspec.structs.replace(event, id=new_id())


def turned_away(events: Iterable[EventRequest]) -> Batch:
    """The events that are about no decision."""
    found = [(n, event) for n, event in enumerate(events) if event.decision in _NO_DECISIONS]
    return Batch([n for n, _ in found], [event for _, event in found])


def written(make: Callable[[], object]) -> bytes:
    """What ``make`` makes, as a request's body.

    Raises:
        InvalidInput: if it cannot be made of what was given, or holds what JSON cannot carry.
    """
    try:
        return _encoder.encode(make())
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise InvalidInput(
            f"the request cannot be written as JSON: {exc}",
            hint="traits and context are mappings from texts to texts, numbers, booleans and lists",
        ) from exc
