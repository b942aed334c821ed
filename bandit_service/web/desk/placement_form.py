"""Registering a placement: the form for a new one and for its settings; retiring it and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from flask import Response, request

from bandit_service.catalog.model import Finish, Placement, PlacementSpec
from bandit_service.errors import Conflict, InvalidCatalog, InvalidInput
from bandit_service.services import Services
from bandit_service.serving.editing import etag
from bandit_service.web.desk import fields, moments, naming
from bandit_service.web.desk.changes import (
    as_read,
    changed,
    editor_of,
    placement_spec_of,
    tags_in_use,
)
from bandit_service.web.desk.fields import GENERAL, Problem, Problems, Wrong
from bandit_service.web.desk.gate import redirect_to
from bandit_service.web.desk.page import Pages, me
from bandit_service.web.desk.routes import PREFIX
from bandit_service.web.desk.said import address_of

NAMES: Final = ("id", "kind", "name", "more_tags", "canonical")
"""Inputs of the form, beside the tags that are ticked."""
_FIELDS: Final = (*NAMES, "tags")
ENDINGS: Final = ("ends", "winner", "at", "zone")
"""Inputs of the form for how it ends."""
ENDS: Final = {
    "none": "It goes on",
    "now": "Now: the one named here is shown alone",
    "clear": "Once a winner is clear, show it alone",
    "date": "At a date, show one alone: the one named here, or else the one that is ahead by then",
    "clear_or_date": "Once a winner is clear, at that date at the latest",
}
_OF_FINISH: Final = {"winner": "winner", "at": "at"}
KINDS: Final = {
    "thumbnail": "Thumbnail: a picture",
    "headline": "Headline: a line of text",
    "card": "Card: a picture and a headline",
}
_TAGS: Final = 60
"""Tags that are offered."""


class PlacementForms:
    """The form and the buttons."""

    def __init__(self, services: Services, pages: Pages) -> None:
        """Change what ``services`` keep."""
        self._services = services
        self._pages = pages

    def new(self) -> Response:
        """The empty form."""
        values = {**dict.fromkeys(NAMES, ""), "kind": "thumbnail"}
        return self._form(None, values, [], match="")

    def create(self) -> Response:
        """Take a new placement."""
        return self._take(None)

    def edit(self, placement: str) -> Response:
        """The form as the placement stands."""
        old = editor_of(self._services).placement(placement)
        return self._form(old, _values(old), list(old.tags), match=etag(old))

    def save(self, placement: str) -> Response:
        """Take an edit."""
        return self._take(editor_of(self._services).placement(placement))

    def retire(self, placement: str) -> Response:
        """Take a placement out of use.

        Raises:
            Conflict: if it changed since the page was read.
        """
        editor = editor_of(self._services)
        was = editor.placement(placement).revision
        editor.retire(placement, condition=as_read(request.form.get("match", "")))
        changed(self._services)
        return _to(placement, "placement_retired", was=was)

    def restore(self, placement: str) -> Response:
        """Bring a placement back; its variants stay retired until somebody wants them."""
        editor = editor_of(self._services)
        old = editor.placement(placement)
        editor.put_placement(placement, placement_spec_of(old), as_read(etag(old)))
        changed(self._services)
        return _to(placement, "restored", was=old.revision)

    def finish(self, placement: str) -> Response:
        """Say how a placement ends."""
        editor, form = editor_of(self._services), request.form
        old, match = editor.placement(placement), form.get("match", "")
        values = fields.typed(form, ENDINGS)
        try:
            editor.put_finish(placement, _finish(values), as_read(match))
        except Wrong as exc:
            return self._edit(old, match, {exc.field: exc.problem}, values)
        except InvalidCatalog as exc:
            field, problem = fields.problem_of(exc, ENDINGS)
            return self._edit(old, match, {_OF_FINISH.get(field, "ends"): problem}, values)
        changed(self._services)
        return _to(placement, "finished", was=old.revision)

    def undo(self, placement: str) -> Response:
        """Put a placement back to a revision; what was shown since stays retired.

        Raises:
            InvalidInput: if the form names no revision.
            Conflict: if the placement changed since the page was read.
        """
        number = request.form.get("revision", "")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise InvalidInput("the form names no revision", hint="use the buttons of the page")
        match = as_read(request.form.get("match", ""))
        editor_of(self._services).revert(placement, int(number), match)
        changed(self._services)
        return _to(placement, "undone")

    # -- inside

    def _edit(
        self, old: Placement, match: str, problems: Problems, ending: Mapping[str, str]
    ) -> Response:
        values = {**_values(old), **ending}
        return self._form(old, values, list(old.tags), match=match, problems=problems, status=422)

    def _take(self, old: Placement | None) -> Response:
        form, editor = request.form, editor_of(self._services)
        before = {} if old is None else _values(old)
        values, ticked = {**before, **fields.typed(form, NAMES)}, form.getlist("tags")
        match = form.get("match", "")
        name = old.id if old else values["id"].strip() or naming.slug(values["name"], otherwise="")
        try:
            stored = editor.put_placement(name, _spec(values, ticked, old), as_read(match))
        except Conflict as exc:
            return self._late(old, name, values, ticked, exc)
        except InvalidInput as exc:
            field, problem = fields.problem_of(exc, _FIELDS)
            problems = {field: problem}
            return self._form(old, values, ticked, match=match, problems=problems, status=422)
        changed(self._services)
        if old is None:
            return _to(stored.id, "created")
        same = stored == old
        return _to(stored.id, "same" if same else "edited", was=0 if same else old.revision)

    def _late(
        self,
        old: Placement | None,
        name: str,
        values: Mapping[str, str],
        ticked: list[str],
        exc: Conflict,
    ) -> Response:
        now = editor_of(self._services).placement(name)
        if old is None:
            problem = Problem(f"There is a placement “{name}” already.", "Give another name.")
            return self._form(
                None, values, ticked, match="", problems={"id": problem}, status=exc.status
            )
        problem = Problem(
            "Somebody else changed this placement since you opened it.",
            "Send the form again to replace their settings with what stands here.",
        )
        return self._form(
            now, values, ticked, match=etag(now), problems={GENERAL: problem}, status=exc.status
        )

    def _form(
        self,
        old: Placement | None,
        values: Mapping[str, str],
        ticked: list[str],
        *,
        match: str,
        problems: Problems | None = None,
        status: int = 200,
    ) -> Response:
        shelves = self._services.view(me().key.site).shelves.values()
        _, used = tags_in_use((shelf.placement for shelf in shelves), most=_TAGS)
        shown: dict[str, Any] = {
            "placement": old,
            "values": values,
            "ticked": ticked,
            "offered": [tag for tag in used if tag not in ticked],
            "problems": problems or {},
            "match": match,
            "kinds": KINDS,
            "ends": ENDS,
        }
        return self._pages.page("placement_form.html", status, **shown)


def _spec(values: Mapping[str, str], ticked: list[str], old: Placement | None) -> PlacementSpec:
    """The placement that was typed; what the form does not speak of stays as it is.

    Raises:
        InvalidInput: if there is no such kind.
    """
    kind: Any = values["kind"]
    if kind not in KINDS:
        raise InvalidInput("there is no such kind", field="kind", hint="choose one of the three")
    base = PlacementSpec(kind=kind) if old is None else placement_spec_of(old)
    return msgspec.structs.replace(
        base,
        id=None,
        kind=kind,
        name=values["name"].strip(),
        tags=fields.tags(ticked, values["more_tags"]),
        canonical=fields.text(values["canonical"]),
    )


def _values(old: Placement) -> dict[str, str]:
    """The form as a placement stands."""
    finish = old.finish or Finish()
    ends = "none" if old.finish is None else "clear" if finish.when_clear else "now"
    if finish.at is not None:
        ends = "clear_or_date" if finish.when_clear else "date"
    return {
        "id": old.id,
        "kind": old.kind,
        "name": old.name,
        "more_tags": "",
        "canonical": old.canonical or "",
        "ends": ends,
        "winner": (finish.winner or "") if finish.since is None else "",
        "at": moments.written(finish.at),
        "zone": "",
    }


def _finish(values: Mapping[str, str]) -> Finish | None:
    """How a placement ends, as it was chosen.

    Raises:
        Wrong: if a field that the choice needs is missing or wrong.
    """
    ends, winner = values["ends"], fields.text(values["winner"])
    if ends not in ENDS:
        raise Wrong("ends", "There is no such end.", "Choose one of those offered.")
    if ends == "none":
        return None
    if ends == "now":
        if winner is None:
            raise Wrong("winner", "No winner is named.", "Choose the variant to show from now on.")
        return Finish(winner=winner)
    at = moments.read(values, "at") if "date" in ends else None
    if "date" in ends and at is None:
        raise Wrong("at", "No date is given.", "Give the day and time at which it ends.")
    return Finish(winner=winner if at else None, at=at, when_clear="clear" in ends)


def _to(placement: str, done: str, *, was: int = 0) -> Response:
    return redirect_to(address_of(f"{PREFIX}/placements/{placement}", done, was=was))
