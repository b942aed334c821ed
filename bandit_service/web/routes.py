"""Every route, in one table: who may call it, what it takes, what it answers.

The table is what ``/openapi.json`` is made from, what the views look their role up in, and what
the tests hold against the URL map, so that no route can exist without a role and a description.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from bandit_service.access import Role
from bandit_service.catalog.limits import Count, Id, said
from bandit_service.catalog.model import (
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting.counters import Row
from bandit_service.serving.links import Links, LinkSpec
from bandit_service.serving.page import PageAnswer, PageRequest
from bandit_service.serving.requests import (
    MAX_EVENTS,
    DecideAnswer,
    DecideRequest,
    EventRequest,
    EventsAnswer,
    SentKey,
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


MENTIONED: Final = (EventRequest,)
"""Types that others speak of by name alone."""


class EventsBody(msgspec.Struct, frozen=True, kw_only=True):
    """Several events; each is accepted or rejected by itself."""

    events: Annotated[
        list[Any],
        said(
            maxItems=MAX_EVENTS,
            items={
                "anyOf": [
                    {"$ref": "#/components/schemas/EventRequest"},
                    {"description": "Anything else is rejected by itself; the others count."},
                ]
            },
        ),
    ]
    key: SentKey | None = None
    """The key, where the request has no ``Authorization``, as of a page's beacons."""


class PlacementList(msgspec.Struct, frozen=True, kw_only=True):
    """Every placement of the site, by id."""

    placements: list[Placement]


class PersonaReport(msgspec.Struct, frozen=True, kw_only=True):
    """Mean reward by persona over all placements, under the policy and in the holdout."""

    personas: list[Row]


class PlacementReport(msgspec.Struct, frozen=True, kw_only=True):
    """Mean reward of one placement by variant, and by variant and persona."""

    placement: str
    variants: list[Row]
    variants_and_personas: list[Row]


class LearningReport(msgspec.Struct, frozen=True, kw_only=True):
    """What learning has met, and what serves."""

    snapshot: str | None
    counts: JoinCounts


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether this process works."""

    status: Annotated[str, said(enum=["ok", "ready", "spooling"])]
    """``spooling`` while Redis is away and decisions and events wait on disk."""
    snapshot: str | None = None
    waiting: Count = 0
    """How many decisions and events wait on this machine's disk."""
    problem: Literal["store_replaced", "spool_unavailable"] | None = None
    """What a person must mend, though visitors are answered: Redis is not the one it was; or
    neither Redis nor the disk takes what is decided, which is not logged."""


class Route(NamedTuple):
    """One route."""

    method: str
    path: str
    """As OpenAPI writes it, with parameters in braces."""
    role: Role | None
    """The least role of a key; None: no key is needed."""
    summary: str
    status: int
    """The status of success."""
    takes: Any = None
    """Type of the request's body; None: it has none."""
    gives: Any = None
    """Type of the answer's body; None: no body, or not JSON."""
    errors: tuple[int, ...] = ()
    conditional: bool = False
    """Whether If-Match and If-None-Match are honoured."""
    media: str = "text/plain"
    """What a body is that is not JSON."""


PARAMETERS: Final = {
    "placement": Id,
    "variant": Id,
    "version": str,
    "token": str,
    "reader": str,
}
"""The type of what stands in the braces of paths."""
TAGGED: Final = (Placement, Variant, Personas)
"""Types of answers that carry an ETag."""

_KEYED: Final = (401, 403, 429)
_DECIDING: Final = (401, 403)
"""Decisions know no rate: see ``web.limits``."""
_BODY: Final = (400, 413)
_DOCUMENT: Final = (*_BODY, 415)
"""Of calls that insist on their Content-Type; those of web pages take whatever a beacon sends."""
_PREFLIGHT: Final = "Whether pages of an origin may send this call (CORS)"
_PLACEMENT: Final = "/v1/placements/{placement}"
_VARIANT: Final = "/v1/placements/{placement}/variants/{variant}"

ROUTES: Final = (
    Route("POST", "/v1/decide", "site", "Ask for the variant to show", 200,
          DecideRequest, DecideAnswer, (*_DECIDING, *_BODY, 404, 409, 422, 503)),
    Route("POST", "/v1/decide/page", "site", "Ask for a variant for each slot of a page", 200,
          PageRequest, PageAnswer, (*_DECIDING, *_BODY, 404, 409, 422, 503)),
    Route("POST", "/v1/events", "site", "Report what visitors did", 202,
          EventsBody, EventsAnswer, (*_KEYED, *_BODY, 503)),
    Route("OPTIONS", "/v1/decide", None, _PREFLIGHT, 204),
    Route("OPTIONS", "/v1/decide/page", None, _PREFLIGHT, 204),
    Route("OPTIONS", "/v1/events", None, _PREFLIGHT, 204),
    Route("GET", "/v1/placements", "editor", "List the placements", 200,
          None, PlacementList, (*_KEYED, 503)),
    Route("GET", _PLACEMENT, "editor", "Read a placement and its variants", 200,
          None, Placement, (*_KEYED, 404, 503)),
    Route("PUT", _PLACEMENT, "editor", "Create or replace a placement", 200,
          PlacementSpec, Placement, (*_KEYED, *_DOCUMENT, 412, 422, 503), conditional=True),
    Route("DELETE", _PLACEMENT, "editor", "Retire a placement and all its variants", 204,
          None, None, (*_KEYED, 404, 412, 503), conditional=True),
    Route("GET", _VARIANT, "editor", "Read a variant", 200,
          None, Variant, (*_KEYED, 404, 503)),
    Route("PUT", _VARIANT, "editor", "Create or replace a variant", 200,
          VariantSpec, Variant, (*_KEYED, *_DOCUMENT, 404, 412, 422, 503), conditional=True),
    Route("DELETE", _VARIANT, "editor", "Retire a variant; what was learned of it stays", 204,
          None, None, (*_KEYED, 404, 412, 503), conditional=True),
    Route("POST", "/v1/placements/{placement}/links", "editor",
          "Make addresses of a picture and a click for e-mails", 200,
          LinkSpec, Links, (*_KEYED, *_DOCUMENT, 404, 503)),
    Route("GET", "/v1/personas", "editor", "Read the personas", 200,
          None, Personas, (*_KEYED, 503)),
    Route("PUT", "/v1/personas", "editor", "Replace the personas", 200,
          PersonasSpec, Personas, (*_KEYED, *_DOCUMENT, 412, 422, 503), conditional=True),
    Route("GET", "/v1/reports/personas", "editor", "Mean reward by persona", 200,
          None, PersonaReport, (*_KEYED, 503)),
    Route("GET", "/v1/reports/placements/{placement}", "editor",
          "Mean reward of a placement by variant and persona", 200,
          None, PlacementReport, (*_KEYED, 404, 503)),
    Route("GET", "/v1/reports/learning", "editor", "What learning has met", 200,
          None, LearningReport, (*_KEYED, 503)),
    Route("GET", "/i/{token}/{reader}", None, "Show the picture chosen for an e-mail's reader", 302,
          errors=(404, 409, 503)),
    Route("GET", "/c/{token}/{reader}", None, "Count a click in an e-mail, and lead on", 302,
          errors=(404, 503)),
    Route("GET", "/tag.js", None, "The script that shows decisions in web pages", 200,
          media="text/javascript"),
    Route("GET", "/tag-{version}.js", None, "The same by its version, cached for ever", 200,
          media="text/javascript"),
    Route("GET", "/openapi.json", None, "This API, described in OpenAPI 3.1", 200, None, dict),
    Route("GET", "/healthz", None, "Whether this process runs", 200, None, Health),
    Route("GET", "/readyz", None, "Whether this process can decide", 200,
          None, Health, (503,)),
    Route("GET", "/metrics", None, "Figures for Prometheus", 200),
)  # fmt: skip
"""All routes."""
