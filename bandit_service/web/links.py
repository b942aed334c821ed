"""What to ask next: the links of the API's description, from an answer to the calls it leads to.

They are what a reader follows, and what the fuzzer walks: create, read, change with the tag that
was read, retire; decide and report what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

_PLACEMENT: Final = "/v1/placements/{placement}"
_VARIANT: Final = "/v1/placements/{placement}/variants/{variant}"
_REPORT: Final = "/v1/reports/placements/{placement}"
_SAME_PLACEMENT: Final = {"path.placement": "$request.path.placement"}
_SAME_VARIANT: Final = {**_SAME_PLACEMENT, "path.variant": "$request.path.variant"}
_AS_READ: Final = {"header.If-Match": "$response.header.ETag"}
_MAILED: Final = {"path.token": "$response.body#/token", "path.reader": "ann"}
_NEW: Final = {"header.If-None-Match": "*"}


class Link(NamedTuple):
    """One step onwards from a successful answer."""

    name: str
    to: str
    """Method and path of the next call."""
    parameters: Mapping[str, str] = MappingProxyType({})
    body: Any = None


def _clicked(decision: str) -> Any:
    return {"events": [{"decision": f"$response.body#{decision}", "type": "click"}]}


LINKS: Final[dict[str, tuple[Link, ...]]] = {
    "POST /v1/decide": (
        Link("clicked", "POST /v1/events", body=_clicked("/decision")),
        Link("read", f"GET {_PLACEMENT}", {"path.placement": "$response.body#/placement"}),
    ),
    "POST /v1/decide/page": (
        Link("clicked", "POST /v1/events", body=_clicked("/slots/0/decision")),
    ),
    f"GET {_PLACEMENT}": (Link("change", f"PUT {_PLACEMENT}", {**_SAME_PLACEMENT, **_AS_READ}),),
    f"PUT {_PLACEMENT}": (
        Link("read", f"GET {_PLACEMENT}", _SAME_PLACEMENT),
        Link("change", f"PUT {_PLACEMENT}", {**_SAME_PLACEMENT, **_AS_READ}),
        Link("create_again", f"PUT {_PLACEMENT}", {**_SAME_PLACEMENT, **_NEW}),
        Link("retire", f"DELETE {_PLACEMENT}", {**_SAME_PLACEMENT, **_AS_READ}),
        Link("add_variant", f"PUT {_VARIANT}", _SAME_PLACEMENT),
        Link("report", f"GET {_REPORT}", _SAME_PLACEMENT),
        Link("finish", f"PUT {_PLACEMENT}/finish", {**_SAME_PLACEMENT, **_AS_READ}),
        Link("go_on", f"DELETE {_PLACEMENT}/finish", _SAME_PLACEMENT),
        Link("history", f"GET {_PLACEMENT}/history", _SAME_PLACEMENT),
        Link("begin_again", f"POST {_PLACEMENT}/revert", _SAME_PLACEMENT, body={"revision": 1}),
    ),
    f"DELETE {_PLACEMENT}": (
        Link("read", f"GET {_PLACEMENT}", _SAME_PLACEMENT),
        Link("revive", f"PUT {_PLACEMENT}", _SAME_PLACEMENT),
    ),
    f"GET {_VARIANT}": (Link("change", f"PUT {_VARIANT}", {**_SAME_VARIANT, **_AS_READ}),),
    f"PUT {_VARIANT}": (
        Link("read", f"GET {_VARIANT}", _SAME_VARIANT),
        Link("change", f"PUT {_VARIANT}", {**_SAME_VARIANT, **_AS_READ}),
        Link("retire", f"DELETE {_VARIANT}", {**_SAME_VARIANT, **_AS_READ}),
    ),
    f"POST {_PLACEMENT}/links": (
        Link("show", "GET /i/{token}/{reader}", _MAILED),
        Link("follow", "GET /c/{token}/{reader}", _MAILED),
    ),
    f"DELETE {_VARIANT}": (Link("read", f"GET {_VARIANT}", _SAME_VARIANT),),
    "POST /v1/media": (
        Link("show", "GET /media/{picture}", {"path.picture": "$response.body#/name"}),
    ),
    "GET /v1/personas": (Link("change", "PUT /v1/personas", _AS_READ),),
    "PUT /v1/personas": (
        Link("read", "GET /v1/personas"),
        Link("change", "PUT /v1/personas", _AS_READ),
    ),
}
"""By method and path of the call that was answered."""
