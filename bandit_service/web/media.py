"""Pictures: uploaded with an editor's key, shown to everybody.

A picture's name says what it holds, so whoever has got it may keep it for ever. It is shown in
other origins' pages, which is what it is for; as a page of its own it may do nothing at all.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request

from bandit_service.errors import NotFound
from bandit_service.media.store import MAX_BYTES, Stored
from bandit_service.services import Services
from bandit_service.web.bodies import JSON, encoded, read_body
from bandit_service.web.headers import POLICY
from bandit_service.web.limits import Limits
from bandit_service.web.routes import PictureAnswer

SHOWN: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": f"{POLICY}; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Headers of a picture, beside those of every answer."""


def media(services: Services, limits: Limits) -> Blueprint:
    """The blueprint of pictures."""
    pictures = Blueprint("media", __name__)

    @pictures.post("/v1/media")
    def add_picture() -> Response:
        sent = request.headers
        key = services.authenticate(sent.get("Authorization"), "editor", sent.get("Origin"))
        limits.management.charge(key.id)
        limits.media.charge(key.id)
        stored = services.media.add(read_body(request.environ, MAX_BYTES))
        base = services.settings.public_url or request.host_url
        body = answer(stored, base)
        return Response(encoded(body), 201, {"Location": body.url}, mimetype=JSON)

    @pictures.get("/media/<picture>")
    def show_picture(picture: str) -> Response:
        found = services.media.get(picture)
        if found is None:
            raise NotFound(
                "there is no such picture", field="picture", hint="POST /v1/media answers names"
            )
        return Response(found.data, 200, SHOWN, mimetype=found.type)

    return pictures


def answer(stored: Stored, base: str) -> PictureAnswer:
    """What an upload is answered; ``base`` is the address at which browsers reach the service."""
    base = base.rstrip("/")
    return PictureAnswer(
        name=stored.name,
        url=f"{base}/media/{stored.name}",
        small_url=f"{base}/media/{stored.small}",
        width=stored.width,
        height=stored.height,
        bytes=stored.bytes,
        type=stored.type,
    )
