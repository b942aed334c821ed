"""Registering a creative: the form for a new one and for an edit, and the buttons for its status.

A form that is refused comes back with all that was typed. Where somebody else changed the creative
meanwhile, it says what they made of it; sending it again replaces theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from flask import Response, request

from bandit_service.catalog.checks import problems_of
from bandit_service.catalog.document import spec_of
from bandit_service.catalog.edit import is_unseen
from bandit_service.catalog.limits import WEB_ADDRESS
from bandit_service.catalog.model import Placement, Variant, VariantSpec
from bandit_service.errors import BanditError, Conflict, InvalidCatalog, InvalidInput
from bandit_service.media.store import MAX_BYTES
from bandit_service.services import Services
from bandit_service.serving.editing import etag
from bandit_service.web.desk import fields, moments, naming
from bandit_service.web.desk.changes import as_read, changed, editor_of, tags_in_use
from bandit_service.web.desk.fields import GENERAL, Problem, Problems, Wrong
from bandit_service.web.desk.gate import redirect_to
from bandit_service.web.desk.page import Pages, me, writer
from bandit_service.web.desk.routes import PREFIX
from bandit_service.web.desk.said import address_of
from bandit_service.web.limits import Limiter
from bandit_service.web.media import answer

NAMES: Final = (
    "id",
    "headline",
    "image_url",
    "alt",
    "target_url",
    "more_tags",
    "attributes",
    "min_share",
    "max_share",
    "live_from",
    "live_until",
    "zone",
)
"""Inputs of the form, beside the tags that are ticked."""
_FIELDS: Final = (*NAMES, "tags")
_TAGS: Final = 60
"""Tags that are offered."""
_STATUSES: Final = ("live", "paused", "retired")


class VariantForms:
    """The form and the buttons."""

    def __init__(self, services: Services, pages: Pages, uploads: Limiter) -> None:
        """Change what ``services`` keep; ``uploads`` limits how many pictures a key may send."""
        self._services = services
        self._pages = pages
        self._uploads = uploads

    def new(self, placement: str) -> Response:
        """The empty form."""
        found = editor_of(self._services).placement(placement)
        return self._form(found, None, dict.fromkeys(NAMES, ""), [], match="")

    def add(self, placement: str) -> Response:
        """Take a new creative."""
        return self._take(editor_of(self._services).placement(placement), None)

    def edit(self, placement: str, variant: str) -> Response:
        """The form as the creative stands."""
        editor = editor_of(self._services)
        found, old = editor.placement(placement), editor.variant(placement, variant)
        values = {
            "id": old.id,
            "headline": old.headline or "",
            "image_url": old.image_url or "",
            "alt": old.alt or "",
            "target_url": old.target_url or "",
            "more_tags": "",
            "attributes": fields.written_attributes(old.attributes),
            "min_share": writer().plain(100 * old.min_share) if old.min_share else "",
            "max_share": writer().plain(100 * old.max_share) if old.max_share < 1 else "",
            "live_from": moments.written(old.live_from),
            "live_until": moments.written(old.live_until),
            "zone": "",
        }
        return self._form(found, old, values, list(old.tags), match=etag(old))

    def save(self, placement: str, variant: str) -> Response:
        """Take an edit."""
        editor = editor_of(self._services)
        return self._take(editor.placement(placement), editor.variant(placement, variant))

    def set_status(self, placement: str, variant: str) -> Response:
        """Publish, pause, retire or bring back, by one button.

        Raises:
            InvalidInput: if there is no such status.
            Conflict: if the creative changed since the page was read.
        """
        status = request.form.get("status", "")
        if status not in _STATUSES:
            raise InvalidInput("there is no such status", hint="use the buttons of the page")
        editor = editor_of(self._services)
        was = editor.placement(placement).revision
        spec = msgspec.structs.replace(spec_of(editor.variant(placement, variant)), status=status)
        editor.put_variant(placement, variant, spec, as_read(request.form.get("match", "")))
        changed(self._services)
        return _to(placement, status, of=variant, was=was)

    def remove(self, placement: str, variant: str) -> Response:
        """Remove a creative that nobody was shown.

        Raises:
            Conflict: if somebody was, or it changed since the page was read.
        """
        editor = editor_of(self._services)
        was = editor.placement(placement).revision
        editor.remove(placement, variant, as_read(request.form.get("match", "")))
        changed(self._services)
        return _to(placement, "removed", was=was)

    # -- inside

    def _take(self, placement: Placement, old: Variant | None) -> Response:
        form, editor = request.form, editor_of(self._services)
        values, ticked = fields.typed(form, NAMES), form.getlist("tags")
        match = form.get("match", "")
        problems = self._keep_picture(values, placement)
        if problems:
            return self._again(placement, old, values, ticked, problems, match)
        name = old.id if old else values["id"].strip() or naming.of_creative(values, placement)
        try:
            spec = _spec(values, ticked, old, _status(form, old))
            stored = editor.put_variant(placement.id, name, spec, as_read(match))
        except Wrong as exc:
            return self._again(placement, old, values, ticked, {exc.field: exc.problem}, match)
        except Conflict as exc:
            present = editor.placement(placement.id)
            now = present.variant(name)
            if old is None or now is None:
                taken = Problem(f"There is a variant “{name[:64]}” already.", "Give another name.")
                return self._again(present, None, values, ticked, {"id": taken}, "", exc.status)
            problem = Problem(
                "Somebody else changed this variant since you opened it.",
                f"It now {_told(now)}. Send the form again to replace that with what stands here.",
            )
            return self._again(
                present, now, values, ticked, {GENERAL: problem}, etag(now), exc.status
            )
        except InvalidInput as exc:
            every = (*_all_wrong(spec, name, placement), exc)
            problems = dict(fields.problem_of(one, _FIELDS) for one in every)
            return self._again(placement, old, values, ticked, problems, match)
        changed(self._services)
        done = _done(old, stored)
        return _to(
            placement.id, done, of=stored.id, was=0 if done == "same" else placement.revision
        )

    def _keep_picture(self, values: dict[str, str], placement: Placement) -> Problems:
        """Keep the picture that came with the form, and put its address in place of the field's.

        It is kept even where the rest of the form is refused: a browser would not send it again.
        The same goes for what the file was called, which names a creative that nothing else names.
        """
        sent = request.files.get("picture")
        if sent is None or not sent.filename:
            return {}
        try:
            self._uploads.charge(me().key.id)
            stored = self._services.media.add(sent.read())
        except BanditError as exc:
            return {"picture": fields.problem_of(exc, ())[1]}
        base = self._services.settings.public_url or request.host_url
        values["image_url"] = answer(stored, base).url
        if not values["id"].strip() and not values["headline"].strip():
            values["id"] = naming.of_file(sent.filename, placement)
        return {}

    def _again(
        self,
        placement: Placement,
        old: Variant | None,
        values: Mapping[str, str],
        ticked: list[str],
        problems: Problems,
        match: str,
        status: int = 422,
    ) -> Response:
        return self._form(
            placement, old, values, ticked, match=match, problems=problems, status=status
        )

    def _form(
        self,
        placement: Placement,
        old: Variant | None,
        values: Mapping[str, str],
        ticked: Iterable[str],
        *,
        match: str,
        problems: Problems | None = None,
        status: int = 200,
    ) -> Response:
        shelves = self._services.view(me().key.site).shelves.values()
        used, _ = tags_in_use((shelf.placement for shelf in shelves), most=_TAGS)
        shown: dict[str, Any] = {
            "placement": placement,
            "variant": old,
            "values": values,
            "ticked": list(ticked),
            "offered": [tag for tag in used if tag not in ticked],
            "problems": problems or {},
            "match": match,
            "most_bytes": MAX_BYTES,
            "shows": _shown(values["image_url"].strip()),
            "seen": old is not None and not is_unseen(placement, old, self._services.clock()),
        }
        return self._pages.page("variant_form.html", status, **shown)


def _to(placement: str, done: str, *, of: str = "", was: int = 0) -> Response:
    page = f"{PREFIX}/placements/{placement}"
    return redirect_to(address_of(page, done, of=of, was=was))


def _spec(
    values: Mapping[str, str], ticked: list[str], old: Variant | None, status: Any
) -> VariantSpec:
    """The creative that was typed; what the form does not speak of stays as it is.

    Raises:
        Wrong: if a field cannot be understood.
    """
    write = writer()
    base = VariantSpec() if old is None else spec_of(old)
    return msgspec.structs.replace(
        base,
        id=None,
        headline=fields.text(values["headline"]),
        image_url=fields.text(values["image_url"]),
        alt=fields.text(values["alt"]),
        target_url=fields.text(values["target_url"]),
        tags=fields.tags(ticked, values["more_tags"]),
        attributes=fields.attributes(values["attributes"]),
        min_share=fields.share(values["min_share"], "min_share", 0.0, write),
        max_share=fields.share(values["max_share"], "max_share", 1.0, write),
        live_from=moments.read(values, "live_from"),
        live_until=moments.read(values, "live_until"),
        status=status,
    )


def _all_wrong(spec: VariantSpec, name: str, placement: Placement) -> list[InvalidCatalog]:
    """Every rule that a creative breaks by itself: whoever mends one sees the others too."""
    written = {field: getattr(spec, field) for field in VariantSpec.__struct_fields__}
    variant = Variant(**{**written, "id": name, "version": 1, "tags": tuple(spec.tags)})
    return list(problems_of(variant, placement.kind, "variant"))


def _status(form: Mapping[str, str], old: Variant | None) -> str:
    """What becomes of it: as it is, or live if it was sent by that button."""
    if form.get("then") == "live":
        return "live"
    return "draft" if old is None else old.status


def _done(old: Variant | None, stored: Variant) -> str:
    if old is None:
        return "live" if stored.status == "live" else "added"
    if stored == old:
        return "same"
    if stored.version != old.version:
        return "version"
    return "live" if stored.status != old.status else "saved"


def _shown(address: str) -> str:
    """The address of a picture, if a browser may be told to load it."""
    return address if WEB_ADDRESS.fullmatch(address) else ""


def _told(variant: Variant) -> str:
    says = f"says “{variant.headline}”" if variant.headline else f"shows {variant.image_url}"
    return f"{says} and is {variant.status}"
