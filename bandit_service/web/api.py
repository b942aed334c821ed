"""Management and reports: everything of version 1 of the API but the hot calls."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from bandit_service.access import KeyRecord, Role
from bandit_service.catalog.limits import MAX_NUMBER
from bandit_service.catalog.model import Finish, PersonasSpec, PlacementSpec, VariantSpec
from bandit_service.errors import InvalidInput, NotFound, StorageError
from bandit_service.reporting.reader import Reports
from bandit_service.services import Services
from bandit_service.serving.editing import CatalogEditor, Condition, etag
from bandit_service.serving.links import LinkSpec, make_links
from bandit_service.serving.revisions import MAX_CHANGES, history
from bandit_service.web.bodies import JSON, decoded, encoded
from bandit_service.web.limits import Limiter
from bandit_service.web.routes import LearningReport, PlacementHistory, PlacementList, Revert

Body = TypeVar("Body")
_WHOLE: Final = re.compile("[1-9][0-9]{0,18}")


def management(services: Services, limiter: Limiter) -> Blueprint:
    """The blueprint of placements, variants, personas and reports."""
    api = Blueprint("api", __name__)
    views = _Views(services)

    @api.before_request
    def charge() -> None:
        # Any valid key: whether its role reaches is for the view to say.
        limiter.charge(views.key("site").id)

    one, variant = "/v1/placements/<placement>", "/v1/placements/<placement>/variants/<variant>"
    for method, rule, view in (
        ("GET", "/v1/placements", views.list_placements),
        ("GET", one, views.get_placement),
        ("PUT", one, views.put_placement),
        ("DELETE", one, views.delete_placement),
        ("PUT", f"{one}/finish", views.put_finish),
        ("DELETE", f"{one}/finish", views.delete_finish),
        ("GET", f"{one}/history", views.get_history),
        ("POST", f"{one}/revert", views.revert_placement),
        ("GET", variant, views.get_variant),
        ("PUT", variant, views.put_variant),
        ("DELETE", variant, views.delete_variant),
        ("POST", f"{one}/links", views.make_links),
        ("GET", "/v1/personas", views.get_personas),
        ("PUT", "/v1/personas", views.put_personas),
        ("GET", "/v1/reports/overview", views.report_overview),
        ("GET", "/v1/reports/personas", views.report_personas),
        ("GET", "/v1/reports/tags", views.report_tags),
        ("GET", "/v1/reports/placements/<placement>", views.report_placement),
        ("GET", "/v1/reports/learning", views.report_learning),
    ):
        api.add_url_rule(rule, view.__name__, view, methods=[method])
    return api


class _Views:
    """The views; each knows the services it was given."""

    def __init__(self, services: Services) -> None:
        self._services = services

    # -- placements

    def list_placements(self) -> Response:
        return _answer(PlacementList(placements=self._editor().placements()))

    def get_placement(self, placement: str) -> Response:
        return _tagged(self._editor().placement(placement))

    def put_placement(self, placement: str) -> Response:
        editor = self._editor()
        stored = editor.put_placement(placement, _body(PlacementSpec), _condition())
        return self._changed(_tagged(stored))

    def delete_placement(self, placement: str) -> Response:
        self._editor().retire(placement, condition=_condition())
        return self._changed(Response(status=204))

    def put_finish(self, placement: str) -> Response:
        editor = self._editor()
        stored = editor.put_finish(placement, _body(Finish), _condition())
        return self._changed(_tagged(stored))

    def delete_finish(self, placement: str) -> Response:
        self._editor().put_finish(placement, None, _condition())
        return self._changed(Response(status=204))

    def get_history(self, placement: str) -> Response:
        store = self._services.store.site(self.key("editor").site)
        limit, before = _whole("limit"), _whole("before")
        changes = history(
            store, placement, before=before, limit=MAX_CHANGES if limit is None else limit
        )
        return _answer(PlacementHistory(placement=placement, changes=changes))

    def revert_placement(self, placement: str) -> Response:
        editor = self._editor()
        wanted = _body(Revert)
        return self._changed(_tagged(editor.revert(placement, wanted.revision, _condition())))

    def get_variant(self, placement: str, variant: str) -> Response:
        return _tagged(self._editor().variant(placement, variant))

    def put_variant(self, placement: str, variant: str) -> Response:
        editor = self._editor()
        stored = editor.put_variant(placement, variant, _body(VariantSpec), _condition())
        return self._changed(_tagged(stored))

    def delete_variant(self, placement: str, variant: str) -> Response:
        self._editor().retire(placement, variant, _condition())
        return self._changed(Response(status=204))

    def make_links(self, placement: str) -> Response:
        editor, key = self._editor(), self.key("editor")
        links = make_links(
            self._services.view(key.site).secret,
            key.site,
            editor.placement(placement),
            _body(LinkSpec),
            personas={persona.id for persona in editor.personas().personas},
            now=self._services.clock(),
        )
        return _answer(links)

    # -- personas

    def get_personas(self) -> Response:
        return _tagged(self._editor().personas())

    def put_personas(self) -> Response:
        editor = self._editor()
        return self._changed(_tagged(editor.put_personas(_body(PersonasSpec), _condition())))

    # -- reports

    def report_overview(self) -> Response:
        return _answer(self._reports().overview())

    def report_placement(self, placement: str) -> Response:
        return _answer(self._reports().placement(placement))

    def report_personas(self) -> Response:
        return _answer(self._reports().personas())

    def report_tags(self) -> Response:
        return _answer(self._reports().tags())

    def report_learning(self) -> Response:
        key = self.key("editor")
        head = self._services.store.site(key.site).head()
        name = None if head is None else head.name
        return _answer(LearningReport(snapshot=name, counts=self._reports().counts()))

    # -- inside

    def key(self, role: Role) -> KeyRecord:
        """The key of the request, which must have the rights of ``role``."""
        sent = request.headers
        return self._services.authenticate(sent.get("Authorization"), role, sent.get("Origin"))

    def _editor(self) -> CatalogEditor:
        key = self.key("editor")
        return self._services.editor(key.site, by=key.id)

    def _reports(self) -> Reports:
        return self._services.reports(self.key("editor").site)

    def _changed(self, response: Response) -> Response:
        """Let this process see the change before it answers; the others look for it themselves.

        The change is made by now: if this look fails, the next one of the watcher will do.
        """
        with suppress(StorageError):
            self._services.refresh()
        return response


def _body(kind: type[Body]) -> Body:
    if request.mimetype not in ("", JSON):
        raise UnsupportedMediaType(f"the body is {request.mimetype[:80]}; send {JSON}")
    return decoded(request.get_data(cache=False), msgspec.json.Decoder(kind))


def _whole(name: str) -> int | None:
    """A whole number above 0 from the query; None: it was not given.

    Raises:
        InvalidInput: if it is something else.
    """
    text = request.args.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text) or int(text) > MAX_NUMBER:
        raise InvalidInput(
            f"{name} is {text[:80]!r}", field=name, hint="use a whole number above 0"
        )
    return int(text)


def _condition() -> Condition:
    headers = request.headers
    return Condition(match=headers.get("If-Match"), none_match=headers.get("If-None-Match"))


def _answer(body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(body), mimetype=JSON, headers=headers)


def _tagged(body: msgspec.Struct) -> Response:
    return _answer(body, {"ETag": etag(body)})


def no_such_route(path: str) -> NotFound:
    """The error for a path that leads nowhere."""
    return NotFound(f"there is nothing at {path[:200]}", hint="GET /openapi.json lists all paths")
