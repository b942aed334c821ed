"""What browsers are told of the desk's answers, where the API's default is too strict for a page.

A page runs, loads and asks what is served from here and nothing else, except for pictures, which
creatives may have anywhere on the web, and before they are sent on the editor's own disk. Nothing
inline runs. Plotly sets styles on what it draws and adds a style element, so pages with charts let
styles be inline; what is typed into forms is typed on others. No page can be framed.
"""

from __future__ import annotations

from typing import Final

from flask import Response

_ALWAYS: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' https: http: data: blob:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
)
PAGE: Final = _ALWAYS + "style-src 'self'"
CHARTS: Final = _ALWAYS + "style-src 'self' 'unsafe-inline'"
FOREVER: Final = "public, max-age=31536000, immutable"
"""Of a file whose address changes when it does."""


def dress(response: Response, *, charts: bool = False) -> Response:
    """Put a page's headers on an answer."""
    response.headers["Content-Security-Policy"] = CHARTS if charts else PAGE
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Vary"] = "Cookie, Accept-Language"
    return response
