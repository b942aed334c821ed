"""The headers of every answer: what a browser may do with it, and which pages may read it.

Browsers are told to run, frame, guess and refer nothing: ``SECURITY`` is on every answer that does
not say otherwise, as the desk's pages do (``desk.headers``). Answers to a key are never stored:
``KEYED``.

Pages may read what the website's calls answer (CORS) by one rule: the key that was used names the
page's origin. Where no key was let in, an error may be read by pages of an origin that some valid
key names, so that they can see why; the same holds for the *preflight* with which a browser asks
whether it may send the call at all. It is answered ahead of everything else, without a key, since
browsers send none with it: it tells that some site names an origin, and not which. No call here
takes a cookie (the desk's opens the desk alone), so credentials are never allowed, and neither is
the wildcard. The management calls are not for pages: they have no CORS headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Flask, Response, request

from bandit_service.access import KeyRecord
from bandit_service.web.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Header = tuple[str, str]

POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What a browser may load, run or be framed by, for an answer: nothing."""
SECURITY: Final[tuple[Header, ...]] = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),  # calls under CORS are exempt from it
)
"""On every answer, unless it has such a header of its own: pictures are for others' pages."""
KEYED: Final[Header] = ("Cache-Control", "no-store")
"""On every answer of a route that needs a key."""
_VARY: Final[Header] = ("Vary", "Origin")
HOT: Final[tuple[Header, ...]] = (KEYED, _VARY, *SECURITY)
"""On every answer of the website's calls."""
REPORTED: Final[tuple[Header, ...]] = tuple(
    (name, "cross-origin" if name == "Cross-Origin-Resource-Policy" else value)
    for name, value in HOT
)
"""On every answer to events: beacons are not under CORS, and browsers would report each as blocked.
The answer says nothing that its page did not send, and pages cannot read it."""
PREFLIGHT_SECONDS: Final = 7_200
"""How long a browser may remember a preflight, in seconds; Chromium takes no more."""
_PREFLIGHT: Final[tuple[Header, ...]] = (
    ("Access-Control-Allow-Methods", "POST"),
    ("Access-Control-Allow-Headers", "authorization, content-type"),
    ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
)
_EXPOSED: Final[Header] = ("Access-Control-Expose-Headers", "Retry-After")
"""What pages may read beside the body: browsers keep all but a few plain headers from them."""
_KEYED_PATHS: Final = tuple(
    {route.path.partition("{")[0] for route in ROUTES if route.role is not None}
)


def readable_by(
    origin: str | None, key: KeyRecord | None, admits: Callable[[str], bool]
) -> tuple[Header, ...]:
    """The headers that let pages of ``origin`` read an answer, or none.

    ``key`` is the one that was let in; ``admits`` says whether any valid key names an origin.
    """
    if origin is None or not (admits(origin) if key is None else origin in key.origins):
        return ()
    return _allowing(origin), _EXPOSED


def answer_preflight(
    environ: WSGIEnvironment, start_response: StartResponse, admits: Callable[[str], bool]
) -> Iterable[bytes]:
    """Answer an OPTIONS request for one of the website's calls."""
    origin = environ.get("HTTP_ORIGIN")
    headers = [("Allow", "OPTIONS, POST"), *HOT]
    if origin is not None and admits(origin):
        headers += (_allowing(origin), *_PREFLIGHT)
    start_response("204 No Content", headers)
    return []


def _allowing(origin: str) -> Header:
    return ("Access-Control-Allow-Origin", origin)


def secure(app: Flask) -> None:
    """Put the headers on every answer of ``app``."""

    @app.after_request
    def headers(response: Response) -> Response:
        for name, value in SECURITY:
            response.headers.setdefault(name, value)
        if request.path.startswith(_KEYED_PATHS):
            response.headers.set(*KEYED)
        return response
