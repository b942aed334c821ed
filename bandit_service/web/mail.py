"""The addresses in e-mails: redirects, for anybody who has one. What they do: ``serving.mail``.

Nothing is cached, so that each opening asks again; what a mail provider caches all the same is what
its reader goes on seeing. A ``HEAD``, which scanners of links send, is answered and not counted.
Whatever stands in the reader's place is led on, also nothing at all and what has slashes: the
program that sent the e-mail was mistaken, and its readers should not meet an error for that.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from bandit_service.events.identity import DECISION_ENTROPY
from bandit_service.services import Services
from bandit_service.serving.crawlers import Kind
from bandit_service.serving.links import Link, check_tag, no_link, unverified
from bandit_service.serving.mail import Redirect, click, picture
from bandit_service.serving.readers import fetched_by
from bandit_service.serving.view import SiteView
from bandit_service.web.metrics import Metrics

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "cross-origin",  # a web mailer shows it in a page of its own
}


class _Rest(BaseConverter):
    """All that is left of a path, slashes and emptiness included."""

    regex = r"[\s\S]*"
    part_isolating = False


def mail(services: Services, metrics: Metrics) -> Blueprint:
    """The blueprint of both redirects."""
    views = Blueprint("mail", __name__)

    @views.record_once
    def teach(state: BlueprintSetupState) -> None:
        state.app.url_map.converters["rest"] = _Rest

    @views.get("/i/<token>/<rest:reader>")
    def show(token: str, reader: str) -> Response:
        view, link = _opened(services, token)
        entropy = services.entropy(DECISION_ENTROPY)
        said = request.args.to_dict(flat=False)
        kind, now = _kind(services), services.clock()
        found = picture(view, link, reader, kind=kind, said=said, now=now, entropy=entropy)
        return _answer(found, metrics)

    @views.get("/c/<token>/<rest:reader>")
    def follow(token: str, reader: str) -> Response:
        view, link = _opened(services, token)
        kind, now = _kind(services), services.clock()
        return _answer(click(view, link, reader, kind=kind, now=now), metrics)

    return views


def _opened(services: Services, token: str) -> tuple[SiteView, Link]:
    """The site and the link of a token that was made here."""
    link, body, tag = unverified(token)
    if not services.hosts(link.site):
        raise no_link()
    view = services.view(link.site)
    check_tag(view.secret, body, tag)
    return view, link


def _kind(services: Services) -> Kind | None:
    if request.method == "HEAD":
        return "crawler"
    headers = request.headers
    purpose = headers.get("Sec-Purpose") or headers.get("Purpose")
    return fetched_by(services.crawlers, headers.get("User-Agent", ""), purpose)


def _answer(found: Redirect, metrics: Metrics) -> Response:
    metrics.mail[found.what].inc()
    if found.answer is not None:
        metrics.decisions[found.answer.reason].inc()
    response = Response(status=302, headers=_HEADERS)
    response.headers["Location"] = found.to
    del response.headers["Content-Type"]
    return response
