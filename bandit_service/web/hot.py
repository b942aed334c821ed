"""The calls that visitors wait for, answered ahead of Flask.

Routing, request and response objects of Flask cost several times what a decision does, so these
three calls are plain WSGI. They exist here only; Flask sees every other path. What they share with
the rest (keys, bodies, error shape, metrics) they share by calling the same functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from bandit_service.access import KeyRecord
from bandit_service.errors import BanditError, MethodNotAllowed
from bandit_service.events.identity import DECISION_ENTROPY
from bandit_service.services import Services
from bandit_service.serving.canonical import canonical, turned_away
from bandit_service.serving.decide import decide
from bandit_service.serving.intake import check_count, take_events
from bandit_service.serving.page import canonical_page, decide_page
from bandit_service.serving.page_requests import PageRequest
from bandit_service.serving.requests import (
    MAX_BODY,
    DecideAnswer,
    DecideRequest,
    EventsRequest,
    Keyed,
)
from bandit_service.web.bodies import (
    JSON,
    decoded,
    encoded,
    error_body,
    error_headers,
    read_body,
)
from bandit_service.web.headers import HOT, REPORTED, answer_preflight, readable_by
from bandit_service.web.limits import Limiter
from bandit_service.web.metrics import Metrics
from bandit_service.web.screening import kind_of, kind_of_page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger(__name__)

Handler = Callable[[KeyRecord, bytes, dict[str, Any]], tuple[str, bytes]]

_ALLOW: Final = ("Allow", "OPTIONS, POST")
_STATUS: Final = {
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    409: "409 Conflict",
    413: "413 Content Too Large",
    422: "422 Unprocessable Content",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}


class HotPath:
    """A WSGI application in front of another one."""

    def __init__(
        self, services: Services, metrics: Metrics, limiter: Limiter, behind: WSGIApplication
    ) -> None:
        """Answer the hot calls from ``services``; pass everything else on to ``behind``.

        ``limiter`` is that of events.
        """
        self._services = services
        self._metrics = metrics
        self._limiter = limiter
        self._behind = behind
        self._handlers: dict[str, Handler] = {
            "/v1/decide": self._decide,
            "/v1/decide/page": self._decide_page,
            "/v1/events": self._events,
        }
        self._decide_body = msgspec.json.Decoder(DecideRequest)
        self._page_body = msgspec.json.Decoder(PageRequest)
        self._events_body = msgspec.json.Decoder(EventsRequest)
        self._keyed = msgspec.json.Decoder(Keyed)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, and add up the time it took."""
        started = time.perf_counter()
        try:
            return self._respond(environ, start_response)
        finally:
            self._services.pressure.spend(time.perf_counter() - started)

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        handler = self._handlers.get(environ["PATH_INFO"])
        if handler is None:
            return self._behind(environ, start_response)
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return answer_preflight(environ, start_response, self._services.admits)
        origin, key = environ.get("HTTP_ORIGIN"), None
        more: dict[str, str] = {}
        try:
            data = read_body(environ, MAX_BODY)
            _require_post(environ)
            authorization = environ.get("HTTP_AUTHORIZATION") or self._sent_along(handler, data)
            key = self._services.authenticate(authorization, "site", origin)
            status, body = handler(key, data, environ)
        except BanditError as exc:
            status, body = self._error(exc)
            more = error_headers(exc)
        except Exception:
            log.exception("internal_error", path=environ["PATH_INFO"])
            status, body = self._error(BanditError("something went wrong inside the service"))
        common = REPORTED if handler == self._events else HOT
        headers = [("Content-Type", JSON), ("Content-Length", str(len(body))), *common]
        headers += readable_by(origin, key, self._services.admits)
        headers += more.items()
        start_response(status, [*headers, _ALLOW] if status.startswith("405") else headers)
        return [body]

    def _sent_along(self, handler: Handler, data: bytes) -> str | None:
        """The key in the body, as the header would have it; None: there is none."""
        if handler == self._decide:
            return None
        try:
            key = self._keyed.decode(data).key
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return None if key is None else f"Bearer {key}"

    def _decide(self, key: KeyRecord, data: bytes, environ: dict[str, Any]) -> tuple[str, bytes]:
        started = time.perf_counter()
        services = self._services
        request = decoded(data, self._decide_body)
        kind = kind_of(services.crawlers, environ, request.context)
        if kind is not None:
            shown = canonical(services.view(key.site), request, now=services.clock())
            self._metrics.crawlers[kind].inc()
            return "200 OK", encoded(shown)
        answer = decide(
            services.view(key.site),
            request,
            now=services.clock(),
            entropy=services.entropy(DECISION_ENTROPY),
        )
        self._count(answer)
        self._metrics.seconds.observe(time.perf_counter() - started)
        return "200 OK", encoded(answer)

    def _decide_page(
        self, key: KeyRecord, data: bytes, environ: dict[str, Any]
    ) -> tuple[str, bytes]:
        services = self._services
        page = decoded(data, self._page_body)
        kind = kind_of_page(services.crawlers, environ, page)
        if kind is not None:
            shown = canonical_page(services.view(key.site), page, now=services.clock())
            self._metrics.crawlers[kind].inc(len(shown.slots))
            return "200 OK", encoded(shown)
        answer = decide_page(
            services.view(key.site),
            page,
            now=services.clock(),
            entropies=[services.entropy(DECISION_ENTROPY) for _ in page.slots],
        )
        for slot in answer.slots:
            self._count(slot)
        return "200 OK", encoded(answer)

    def _events(self, key: KeyRecord, data: bytes, environ: dict[str, Any]) -> tuple[str, bytes]:
        services = self._services
        request = decoded(data, self._events_body)
        check_count(request)
        self._limiter.charge(key.id, max(1, len(request.events)))
        kind = kind_of(services.crawlers, environ, {})
        if kind is not None:
            self._metrics.events.labels("crawler").inc(len(request.events))
            return "202 Accepted", encoded(turned_away(request, kind))
        answer = take_events(services.view(key.site), request, now=services.clock())
        self._metrics.events.labels("accepted").inc(answer.accepted)
        self._metrics.events.labels("rejected").inc(len(answer.rejected))
        return "202 Accepted", encoded(answer)

    def _count(self, answer: DecideAnswer) -> None:
        self._metrics.decisions[answer.reason].inc()
        if not answer.logged:
            self._metrics.unlogged.inc()

    def _error(self, error: BanditError) -> tuple[str, bytes]:
        self._metrics.errors.labels(error.specific_code).inc()
        return _STATUS.get(error.status, _STATUS[500]), error_body(error)


def _require_post(environ: dict[str, Any]) -> None:
    if environ["REQUEST_METHOD"] != "POST":
        raise MethodNotAllowed(f"{environ['PATH_INFO']} takes POST alone")
