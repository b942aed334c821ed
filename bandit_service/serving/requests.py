"""The bodies of the website's calls, and the limits that they keep.

Unknown fields are ignored here: a website must not go dark because it sends more than it needs to.
Sizes are refused, not cut: a feature that is silently shortened teaches the model something false.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from bandit_service.catalog.limits import (
    MAX_BITS,
    MAX_INLINE_ID,
    NAMED,
    Attribute,
    Count,
    Number,
    PositiveShare,
    Share,
    Whole,
    said,
    too_far,
    whole,
)
from bandit_service.catalog.model import Creative, Kind, Scalar, TraitValue
from bandit_service.errors import InvalidInput, PayloadTooLarge
from bandit_service.events.entries import Reason
from bandit_service.events.identity import CANONICAL, DECISION_LENGTH
from bandit_service.policy.features import VISITOR_KEYS

MAX_BODY: Final = 1_048_576
"""Largest body of any request, in bytes."""
MAX_KEYS: Final = 64
"""Most traits, and most context features, of one request."""
MAX_VALUES: Final = 64
"""Most values of one trait that is a list."""
MAX_NAME: Final = 64
MAX_VALUE: Final = 256
"""Longest name (of a placement too) and value of a trait or context feature, in characters."""
MAX_VISITOR: Final = 256
MAX_SENT_KEY: Final = 512
MAX_CANDIDATES: Final = 100
MAX_EXCLUDE: Final = 500
MAX_EXCLUDED_ID: Final = 256
MAX_EVENTS: Final = 1_000
MAX_EVENT_VALUE: Final = 1_000_000.0
"""Largest value of an event, of either sign: one event must not drown all that was learned."""

MAX_AGE: Final = 30 * 86_400
"""Longest that an event may lie back by its ``age``, in seconds."""
MAX_EVENT_ID: Final = 128
EVENT_TYPE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

RESERVED: Final = tuple(sorted(VISITOR_KEYS))
"""Names of context features that a request may not use: they would change another family's."""

ContextValue = Scalar | None

Name = Annotated[str, said(minLength=1, maxLength=MAX_NAME)]
"""Of a placement, a persona, a trait or a context feature."""
SentKey = Annotated[str, msgspec.Meta(max_length=MAX_SENT_KEY)]
"""A key in the body of a web page's call, instead of the header: a beacon can set none, and other
requests of pages wait for leave to (a preflight), which takes as long as the request itself."""
Short = Annotated[str, said(maxLength=MAX_VALUE)]
VisitorId = Annotated[str, said(minLength=1, maxLength=MAX_VISITOR)]
_Value = Short | bool | Whole | Number
_Values = Annotated[list[_Value], said(maxItems=MAX_VALUES)]
Traits = Annotated[dict[Name, _Value | _Values | None], said(maxProperties=MAX_KEYS)]
Context = Annotated[
    dict[Name, _Value | None],
    said(
        maxProperties=MAX_KEYS,
        properties={
            "hour": {"type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 24},
            "timezone": {
                "type": ["string", "null"],
                "maxLength": MAX_VALUE,
                "format": "iana-timezone",
            },
            **dict.fromkeys(RESERVED, False),
        },
    ),
]
Exclude = Annotated[
    list[Annotated[str, said(minLength=1, maxLength=MAX_EXCLUDED_ID)]],
    said(maxItems=MAX_EXCLUDE),
]


class InlineVariant(Creative, frozen=True, kw_only=True):
    """A candidate that comes with a request; its status is ignored."""

    id: Annotated[str, said(minLength=1, maxLength=MAX_INLINE_ID)] | None = None


Candidates = Annotated[
    list[Annotated[InlineVariant, NAMED]], said(minItems=1, maxItems=MAX_CANDIDATES)
]


DecisionId = Annotated[str, said(pattern=f"^[A-Za-z0-9_-]{{{DECISION_LENGTH}}}$")]
_Answered = Annotated[str, said(pattern=f"^([A-Za-z0-9_-]{{{DECISION_LENGTH}}}|{CANONICAL})$")]


class DecideRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ask for a variant of one placement."""

    placement: Name
    visitor: VisitorId | None = None
    """The site's own id of the visitor; makes the choice stable within a time slot."""
    persona: Name | None = None
    """The persona, if the site knows it; otherwise it is resolved from the traits."""
    traits: Traits = {}
    """What the site knows of the visitor: favourites, genres, country, role, …"""
    context: Context = {}
    """The situation: device, country, hour (0 to 23) or timezone, weekday, channel, …"""
    exclude: Exclude = []
    """Ids of variants that must not be shown."""
    candidates: Candidates | None = None
    """The variants to choose among, instead of the placement's own."""
    counts: Literal["seen"] | None = None
    """``seen``: it counts only if an event shows that it was seen, whatever the site's settings
    say; for whoever reports impressions, as pages do."""


class EventRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Something a visitor did after a decision."""

    decision: DecisionId
    type: Annotated[str, said(pattern=whole(EVENT_TYPE))]
    """impression, click, watch, like, dislike, convert, or a type of the site's own."""
    value: Annotated[float, said(minimum=-MAX_EVENT_VALUE, maximum=MAX_EVENT_VALUE)] | None = None
    """Multiplies what the type is worth: the share watched, say."""
    at: str | int | float | None = None
    """When it happened: RFC 3339 or seconds since the Unix epoch; left out: now."""
    age: Annotated[float, said(minimum=0, maximum=MAX_AGE)] | None = None
    """How long ago it happened, in seconds: instead of ``at``, where the clock may be wrong."""
    id: Annotated[str, said(minLength=1, maxLength=MAX_EVENT_ID)] | None = None
    """Idempotency id: the same id for the same decision counts once."""


class EventsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Several events; each is accepted or rejected by itself."""

    events: list[msgspec.Raw]
    key: SentKey | None = None


class Keyed(msgspec.Struct, frozen=True):
    """A body of which nothing but the key is looked at."""

    key: SentKey | None = None


class VariantAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The variant to show."""

    id: str
    version: Count
    kind: Kind
    headline: str | None = None
    image_url: str | None = None
    alt: str | None = None
    target_url: str | None = None
    tags: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = {}


class DecideAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What to show, and why."""

    decision: _Answered
    """Names this decision; events refer to it. ``canonical``: there was none, for a crawler."""
    placement: str
    variant: VariantAnswer
    persona: str
    persona_confidence: Share
    probability: PositiveShare
    """The probability with which this variant was drawn."""
    match: float
    """The reward expected of this variant."""
    snapshot: str
    """The state of learning that chose."""
    reason: Annotated[str, said(enum=[*get_args(Reason), CANONICAL])]
    logged: bool = True
    """False for crawlers, and where neither Redis nor this machine's disk took the decision."""


class Rejection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why one event of a request was not accepted."""

    index: Count
    code: str
    message: str
    hint: str | None = None


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were logged, and which were not."""

    accepted: Count
    rejected: list[Rejection]


def check_request(request: DecideRequest) -> None:
    """Raise InvalidInput or PayloadTooLarge, naming the field, if a limit is not kept.

    Traits and context have a check of their own: ``check_features``.
    """
    check_text(request.placement, MAX_NAME, "placement")
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
    for name in RESERVED:
        if name in request.context:
            raise InvalidInput(
                f"context.{name} is what this service itself remembers of the visitor",
                field=f"context.{name}",
                hint="send it under another name, or as a trait",
            )


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
    elif too_far(value):
        raise InvalidInput(
            f"{field} is a number of more than {MAX_BITS} bits",
            field=field,
            hint="use a smaller one, or send it as text",
        )


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, and what to do about it."""

    code: Annotated[str, said(pattern="^[a-z_]+$")]
    """Stable and machine-readable."""
    message: Annotated[str, said(minLength=1)]
    field: str | None = None
    """The offending field of the request, where there is one."""
    hint: str | None = None
    """The remedy, where one is known."""


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of every error."""

    error: ErrorBody
