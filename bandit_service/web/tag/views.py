"""``/tag.js``: always the present version, cached for minutes; ``/tag-VERSION.js``: for ever.

A page that names an older version gets the present one, cached for minutes: after an update of the
service no page is left without a tag. (One that pins the content by ``integrity`` refuses it, and
keeps its own content.) The script is nobody's secret, so pages of any origin may fetch it, also by
CORS, which ``integrity`` needs.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request

from bandit_service.web.tag.script import TagScript, tag_script

MEDIA: Final = "text/javascript"
FOR_EVER: Final = "public, max-age=31536000, immutable"
FOR_MINUTES: Final = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800"


def tag() -> Blueprint:
    """The blueprint of the script."""
    views, script = Blueprint("tag", __name__), tag_script()

    @views.get("/tag.js")
    def present() -> Response:
        return _answer(script, FOR_MINUTES)

    @views.get("/tag-<version>.js")
    def pinned(version: str) -> Response:
        return _answer(script, FOR_EVER if version == script.version else FOR_MINUTES)

    return views


def _answer(script: TagScript, caching: str) -> Response:
    compressed = request.accept_encodings["gzip"] > 0
    response = Response(script.compressed if compressed else script.plain, mimetype=MEDIA)
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = caching
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Content-Location"] = script.path
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.set_etag(f"{script.version}-gzip" if compressed else script.version)
    response.make_conditional(request)
    return response
