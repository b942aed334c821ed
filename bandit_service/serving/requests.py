"""The bodies of the website's calls, and the limits that they keep.

Unknown fields are ignored here: a website must not go dark because it sends more than it needs to.
Sizes are refused, not cut: a feature that is silently shortened teaches the model something false.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bandit_service.catalog.checks import MAX_BITS
from bandit_service.catalog.model import Scalar, TraitValue, VariantSpec
from bandit_service.errors import InvalidInput, PayloadTooLarge

MAX_BODY: Final = 1_048_576
"""Largest body of any request, in bytes."""
MAX_KEYS: Final = 64
"""Most traits, and most context features, of one request."""
MAX_VALUES: Final = 64
"""Most values of one trait that is a list."""
MAX_NAME: Final = 64
MAX_VALUE: Final = 256
"""Longest name and value of a trait or context feature, in characters."""
MAX_VISITOR: Final = 256
MAX_CANDIDATES: Final = 100
MAX_EXCLUDE: Final = 500
MAX_EXCLUDED_ID: Final = 256
MAX_SLOTS: Final = 50
MAX_EVENTS: Final = 1_000
MAX_EVENT_VALUE: Final = 1_000_000.0
"""Largest value of an event, of either sign: one event must not drown all that was learned."""

ContextValue = Scalar | None


class InlineVariant(VariantSpec, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A candidate that comes with a request; its status is ignored."""


class DecideRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ask for a variant of one placement."""

    placement: str
    visitor: str | None = None
    """The site's own id of the visitor; makes the choice stable within a time slot."""
    persona: str | None = None
    """The persona, if the site knows it; otherwise it is resolved from the traits."""
    traits: dict[str, TraitValue] = {}
    """What the site knows of the visitor: favourites, genres, country, role, …"""
    context: dict[str, ContextValue] = {}
    """The situation: device, country, hour (0 to 23) or timezone, weekday, channel, …"""
    exclude: list[str] = []
    """Ids of variants that must not be shown."""
    candidates: list[InlineVariant] | None = None
    """The variants to choose among, instead of the placement's own."""


class SlotRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One slot of a page; ``visitor``, ``traits`` and ``context`` are the page's unless given."""

    placement: str
    persona: str | None = None
    traits: dict[str, TraitValue] | None = None
    context: dict[str, ContextValue] | None = None
    exclude: list[str] = []
    candidates: list[InlineVariant] | None = None


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a variant of each of several placements, for one visitor."""

    slots: list[SlotRequest]
    visitor: str | None = None
    persona: str | None = None
    traits: dict[str, TraitValue] = {}
    context: dict[str, ContextValue] = {}

    def requests(self) -> list[DecideRequest]:
        """The page as one request a slot."""
        return [
            DecideRequest(
                placement=slot.placement,
                visitor=self.visitor,
                persona=slot.persona if slot.persona is not None else self.persona,
                traits=self.traits if slot.traits is None else slot.traits,
                context=self.context if slot.context is None else {**self.context, **slot.context},
                exclude=slot.exclude,
                candidates=slot.candidates,
            )
            for slot in self.slots
        ]


class EventRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Something a visitor did after a decision."""

    decision: str
    type: str
    """impression, click, watch, like, dislike, convert, or a type of the site's own."""
    value: float | None = None
    """Multiplies what the type is worth: the share watched, say."""
    at: str | int | float | None = None
    """When it happened: RFC 3339 or seconds since the Unix epoch; left out: now."""
    id: str | None = None
    """Idempotency id: the same id for the same decision counts once."""


class EventsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Several events; each is accepted or rejected by itself."""

    events: list[msgspec.Raw]


class VariantAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The variant to show."""

    id: str
    version: int
    kind: str
    headline: str | None = None
    image_url: str | None = None
    alt: str | None = None
    target_url: str | None = None
    tags: tuple[str, ...] = ()
    attributes: dict[str, Scalar] = {}


class DecideAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What to show, and why."""

    decision: str
    """Names this decision; events refer to it."""
    placement: str
    variant: VariantAnswer
    persona: str
    persona_confidence: float
    probability: float
    """The probability with which this variant was drawn."""
    match: float
    """The reward expected of this variant."""
    snapshot: str
    """The state of learning that chose."""
    reason: str
    logged: bool = True
    """Whether this is a decision in the log; events about one that is not are turned away."""


class PageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer a slot, in the order of the request."""

    slots: list[DecideAnswer]


class Rejection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why one event of a request was not accepted."""

    index: int
    code: str
    message: str
    hint: str | None = None


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were logged, and which were not."""

    accepted: int
    rejected: list[Rejection]


def check_request(request: DecideRequest) -> None:
    """Raise InvalidInput or PayloadTooLarge, naming the field, if a limit is not kept.

    Traits and context have a check of their own: ``check_features``.
    """
    check_text(request.placement, 64, "placement")
    if request.visitor is not None:
        check_text(request.visitor, MAX_VISITOR, "visitor")
    _check_count(request.exclude, MAX_EXCLUDE, "exclude")
    for variant in request.exclude:
        check_text(variant, MAX_EXCLUDED_ID, "exclude")
    if request.candidates is not None:
        _check_count(request.candidates, MAX_CANDIDATES, "candidates")
        if not request.candidates:
            raise InvalidInput(
                "candidates is an empty list",
                field="candidates",
                hint="send at least one variant, or leave the field out",
            )


def check_features(request: DecideRequest) -> None:
    """Raise InvalidInput or PayloadTooLarge if traits or context break a limit."""
    _check_count(request.traits, MAX_KEYS, "traits")
    _check_count(request.context, MAX_KEYS, "context")
    _check_features(request.traits, "traits")
    _check_features(request.context, "context")


def check_text(text: str, limit: int, field: str) -> None:
    """Raise InvalidInput unless ``text`` has 1 to ``limit`` characters."""
    if not 1 <= len(text) <= limit:
        raise InvalidInput(
            f"{field} has {len(text)} characters", field=field, hint=f"use 1 to {limit}"
        )


def _check_count(values: Mapping[str, Any] | list[Any], limit: int, field: str) -> None:
    if len(values) > limit:
        raise PayloadTooLarge(
            f"{field} has {len(values)} entries", field=field, hint=f"send at most {limit}"
        )


def _check_features(features: Mapping[str, TraitValue], field: str) -> None:
    for name, value in features.items():
        if not 1 <= len(name) <= MAX_NAME:
            raise InvalidInput(
                f"a name in {field} has {len(name)} characters",
                field=field,
                hint=f"use 1 to {MAX_NAME}",
            )
        if isinstance(value, list):
            _check_count(value, MAX_VALUES, f"{field}.{name}")
            for item in value:
                _check_value(item, f"{field}.{name}")
        else:
            _check_value(value, f"{field}.{name}")


def _check_value(value: Scalar | None, field: str) -> None:
    if isinstance(value, str):
        if len(value) > MAX_VALUE:
            raise PayloadTooLarge(
                f"{field} has {len(value)} characters", field=field, hint=f"use at most {MAX_VALUE}"
            )
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{field} is not a finite number", field=field, hint="leave it out")
    elif isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise InvalidInput(
            f"{field} is a number of {value.bit_length()} bits",
            field=field,
            hint=f"use at most {MAX_BITS}, or send it as text",
        )
