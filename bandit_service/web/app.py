"""``create_app``: the Flask application, with the hot path in front of it."""

from __future__ import annotations

from typing import Final

import structlog
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from bandit_service.errors import BanditError, MethodNotAllowed, StorageError
from bandit_service.services import Services
from bandit_service.serving.requests import MAX_BODY
from bandit_service.storage.identity import STORE_REPLACED
from bandit_service.web.api import management, no_such_route
from bandit_service.web.bodies import JSON, encoded, error_body, error_headers, too_large
from bandit_service.web.headers import secure
from bandit_service.web.hot import HotPath
from bandit_service.web.limits import Limits
from bandit_service.web.metrics import Metrics
from bandit_service.web.openapi import document
from bandit_service.web.routes import Health

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
    app.register_blueprint(_operations(services, metrics))
    _answer_errors(app, metrics)
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
        metrics.away.set(outbox is not None and outbox.away)
        metrics.spooled.set(0 if outbox is None else outbox.waiting())
        return Response(metrics.text(), mimetype="text/plain; version=0.0.4")

    @ops.get("/openapi.json")
    def openapi() -> Response:
        return Response(described, mimetype=JSON)

    return ops


def _readiness(services: Services) -> Health:
    """Whether this process can decide; asks nobody, so that it answers at once.

    Raises:
        StorageError: if it should not be sent visitors.
    """
    trouble, outbox = services.trouble, services.outbox
    if isinstance(trouble, StorageError) and trouble.specific_code == STORE_REPLACED:
        raise trouble
    chooser = services.view(services.settings.site).chooser
    if chooser is not None and outbox is not None and outbox.away:
        return Health(status="spooling", snapshot=chooser.name, waiting=outbox.waiting())
    if chooser is None or services.staleness > STALE_SECONDS:
        raise StorageError(
            "this process has not heard of snapshots, edits and keys lately",
            hint="its log says why the last looks failed",
            code="not_ready",
        )
    return Health(status="ready", snapshot=chooser.name)


def _answer_errors(app: Flask, metrics: Metrics) -> None:
    def shaped(error: BanditError, status: int) -> Response:
        metrics.errors.labels(error.specific_code).inc()
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
            return shaped(no_such_route(request.path), 404)
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
