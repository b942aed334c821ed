"""Every route, in one table: who may call it, what it takes, what it answers.

The table is what ``/openapi.json`` is made from, what the views look their role up in, and what
the tests hold against the URL map, so that no route can exist without a role and a description.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from bandit_service.access import Role
from bandit_service.catalog.changes import Change
from bandit_service.catalog.limits import MAX_NUMBER, Count, Id, said, whole
from bandit_service.catalog.model import (
    Finish,
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.media.store import NAME, TYPES
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting.overview import Overview
from bandit_service.reporting.personas_report import PersonaReport
from bandit_service.reporting.placement_report import PlacementReport
from bandit_service.reporting.reader import TagReport
from bandit_service.serving.links import Links, LinkSpec
from bandit_service.serving.page_requests import PageAnswer, PageRequest
from bandit_service.serving.requests import (
    MAX_EVENTS,
    DecideAnswer,
    DecideRequest,
    EventRequest,
    EventsAnswer,
    SentKey,
)
from bandit_service.serving.revisions import MAX_CHANGES

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


class PlacementHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What changed at a placement, the newest first; ``before`` the last of it, there is more."""

    placement: str
    changes: list[Change]


class Revert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which revision to put a placement back to."""

    revision: Annotated[int, said(minimum=1, maximum=MAX_NUMBER)]


class PictureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that is kept: drawn anew, and made smaller where it was very large."""

    name: str
    """Its name below ``/media/``: the same for the same picture."""
    url: str
    """For the ``image_url`` of a variant."""
    small_url: str
    """The same picture for lists, 480 pixels on a side at most."""
    width: Count
    """In pixels; so is ``height``."""
    height: Count
    bytes: Count
    type: str


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
    queries: Mapping[str, Any] = MappingProxyType({})
    """Types of what may stand behind the path's question mark, by name."""
    uploads: tuple[str, ...] = ()
    """Media types of a body that is no JSON."""
    shows: tuple[str, ...] = ()
    """Media types of an answer that is no JSON."""


PARAMETERS: Final = {
    "placement": Id,
    "variant": Id,
    "picture": Annotated[str, said(pattern=whole(NAME))],
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

_UPLOADS: Final = ("image/jpeg", "image/png", "image/webp", "image/gif")
_PAGES: Final = {
    "before": Annotated[int, said(minimum=1, maximum=MAX_NUMBER)],
    "limit": Annotated[int, said(minimum=1, maximum=MAX_CHANGES)],
}

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
    Route("PUT", f"{_PLACEMENT}/finish", "editor", "Say how a placement ends", 200,
          Finish, Placement, (*_KEYED, *_DOCUMENT, 404, 412, 422, 503), conditional=True),
    Route("DELETE", f"{_PLACEMENT}/finish", "editor", "Let a placement go on", 204,
          None, None, (*_KEYED, 404, 412, 503), conditional=True),
    Route("GET", f"{_PLACEMENT}/history", "editor", "What changed, by whom and when", 200,
          None, PlacementHistory, (*_KEYED, 400, 404, 503), queries=_PAGES),
    Route("POST", f"{_PLACEMENT}/revert", "editor",
          "Put a placement back to what it was at a revision", 200,
          Revert, Placement, (*_KEYED, *_DOCUMENT, 404, 412, 422, 503), conditional=True),
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
    Route("GET", "/v1/reports/overview", "editor",
          "Every placement: its traffic, what choosing earns, how it stands", 200,
          None, Overview, (*_KEYED, 503)),
    Route("GET", "/v1/reports/placements/{placement}", "editor",
          "What each variant of a placement earns, with whom, and how it went", 200,
          None, PlacementReport, (*_KEYED, 404, 503)),
    Route("GET", "/v1/reports/personas", "editor",
          "Whether it pays to choose for each persona apart", 200,
          None, PersonaReport, (*_KEYED, 503)),
    Route("GET", "/v1/reports/tags", "editor",
          "What to make next: what each tag does, and which persona lacks a creative", 200,
          None, TagReport, (*_KEYED, 503)),
    Route("GET", "/v1/reports/learning", "editor", "What learning has met", 200,
          None, LearningReport, (*_KEYED, 503)),
    Route("POST", "/v1/media", "editor", "Keep a picture that is the body", 201,
          None, PictureAnswer, (*_KEYED, *_BODY, 422, 503), uploads=_UPLOADS),
    Route("GET", "/media/{picture}", None, "Show a picture", 200, errors=(404, 503),
          shows=tuple(TYPES.values())),
    Route("GET", "/i/{token}/{reader}", None, "Show the picture chosen for an e-mail's reader", 302,
          errors=(404, 409, 503)),
    Route("GET", "/c/{token}/{reader}", None, "Count a click in an e-mail, and lead on", 302,
          errors=(404, 503)),
    Route("GET", "/tag.js", None, "The script that shows decisions in web pages", 200,
          shows=("text/javascript",)),
    Route("GET", "/tag-{version}.js", None, "The same by its version, cached for ever", 200,
          shows=("text/javascript",)),
    Route("GET", "/openapi.json", None, "This API, described in OpenAPI 3.1", 200, None, dict),
    Route("GET", "/healthz", None, "Whether this process runs", 200, None, Health),
    Route("GET", "/readyz", None, "Whether this process can decide", 200,
          None, Health, (503,)),
    Route("GET", "/metrics", None, "Figures for Prometheus", 200, shows=("text/plain",)),
)  # fmt: skip
"""All routes."""
