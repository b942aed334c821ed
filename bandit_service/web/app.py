"""``create_app``: the Flask application, with the hot path in front of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import structlog
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from bandit_service.errors import BanditError, MethodNotAllowed, SpoolError, StorageError
from bandit_service.services import Services
from bandit_service.serving.requests import MAX_BODY
from bandit_service.web.api import management, no_such_route
from bandit_service.web.bodies import JSON, encoded, error_body, error_headers, too_large
from bandit_service.web.desk.blueprint import Desk, is_desk, nothing_there
from bandit_service.web.headers import secure
from bandit_service.web.hot import HotPath
from bandit_service.web.limits import Limits
from bandit_service.web.mail import mail
from bandit_service.web.media import media
from bandit_service.web.metrics import Metrics
from bandit_service.web.openapi import document
from bandit_service.web.routes import Health
from bandit_service.web.tag.views import tag

log = structlog.get_logger(__name__)

STALE_SECONDS: Final = 120.0
"""How long ago the last look for news may be in a process that is ready."""


def create_app(services: Services) -> Flask:
    """An application standing on ``services``; the caller refreshes and closes those."""
    app = Flask("bandit_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # a method that is not in ROUTES is not there
    metrics = Metrics()
    limits = Limits(services.settings)
    services.pressure.report_to(metrics.pressure)
    app.register_blueprint(management(services, limits.management))
    app.register_blueprint(media(services, limits))
    app.register_blueprint(_operations(services, metrics))
    app.register_blueprint(tag())
    app.register_blueprint(mail(services, metrics))
    desk = Desk(services, limits)
    app.register_blueprint(desk.blueprint())
    _answer_errors(app, metrics, desk)
    secure(app)
    app.wsgi_app = HotPath(services, metrics, limits.events, app.wsgi_app)  # type: ignore[method-assign]
    return app


def _operations(services: Services, metrics: Metrics) -> Blueprint:
    ops = Blueprint("operations", __name__)
    described = encoded(document())

    @ops.get("/healthz")
    def health() -> Response:
        return Response(encoded(Health(status="ok")), mimetype=JSON)

    @ops.get("/readyz")
    def ready() -> Response:
        return Response(encoded(_readiness(services)), mimetype=JSON)

    @ops.get("/metrics")
    def figures() -> Response:
        metrics.staleness.set(services.staleness)
        outbox = services.outbox
        away = outbox is not None and outbox.away
        metrics.away.set(away or services.problem is not None)
        metrics.spooled.set(_waiting(services))
        return Response(metrics.text(), mimetype="text/plain; version=0.0.4")

    @ops.get("/openapi.json")
    def openapi() -> Response:
        return Response(described, mimetype=JSON)

    return ops


def _readiness(services: Services) -> Health:
    """Whether this process can decide; asks nobody, so that it answers at once.

    Trouble that all processes share is no reason not to be ready: a load balancer would take them
    all out at once, though each of them can serve. It is named for who watches.

    Raises:
        StorageError: if it should not be sent visitors.
    """
    chooser = services.serving(services.settings.site)
    problem, outbox = services.problem, services.outbox
    spooling = problem is not None or (outbox is not None and outbox.away)
    if chooser is None or (services.staleness > STALE_SECONDS and not spooling):
        raise StorageError(
            "this process has not heard of snapshots, edits and keys lately",
            hint="its log says why the last looks failed",
            code="not_ready",
        )
    if not spooling:
        return Health(status="ready", snapshot=chooser)
    waiting = _waiting(services)
    return Health(status="spooling", snapshot=chooser, waiting=waiting, problem=problem)


def _waiting(services: Services) -> int:
    """How many entries wait in the spool; 0 where it cannot be read, which others report."""
    with suppress(SpoolError):
        return 0 if services.outbox is None else services.outbox.waiting()
    return 0


def _answer_errors(app: Flask, metrics: Metrics, desk: Desk) -> None:
    def shaped(error: BanditError, status: int) -> Response:
        metrics.errors.labels(error.specific_code).inc()
        if is_desk(request.path):
            return desk.refusal(error, status)
        headers = error_headers(error)
        return Response(error_body(error), status=status, mimetype=JSON, headers=headers)

    @app.errorhandler(BanditError)
    def ours(error: BanditError) -> Response:
        return shaped(error, error.status)

    @app.errorhandler(HTTPException)
    def flasks(error: HTTPException) -> Response:
        if isinstance(error, RequestEntityTooLarge):
            return shaped(too_large(), 413)
        if error.code == 404:
            lost = nothing_there if is_desk(request.path) else no_such_route
            return shaped(lost(request.path), 404)
        if isinstance(error, WrongMethod):
            refused = MethodNotAllowed(f"{request.path} does not take {request.method}")
            response = shaped(refused, 405)
            response.headers["Allow"] = ", ".join(error.valid_methods or [])
            return response
        code = error.name.lower().replace(" ", "_")
        return shaped(BanditError(error.description or error.name, code=code), error.code or 500)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("internal_error", path=request.path, exc_info=error)
        return shaped(BanditError("something went wrong inside the service"), 500)
