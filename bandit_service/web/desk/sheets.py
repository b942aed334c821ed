"""Many creatives at once: a spreadsheet is looked at first, then imported whole or not at all.

What was looked at travels with the page, packed, and comes back with the button: nothing of it is
kept here between the two, and any process can answer either. Its tag stands for the file, for the
catalog as it was and for what the page said; under another one nothing is imported.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, Final

from flask import Response, request

from bandit_service.catalog.sheets.columns import COLUMNS
from bandit_service.catalog.sheets.preview import Action
from bandit_service.catalog.sheets.table import MAX_BYTES, MAX_ROWS
from bandit_service.catalog.sheets.writing import write_sheet
from bandit_service.errors import BanditError, InvalidInput, PayloadTooLarge
from bandit_service.services import Services
from bandit_service.serving.importing import Importer, Look
from bandit_service.web.desk import moments
from bandit_service.web.desk.changes import changed, editor_of
from bandit_service.web.desk.fields import Problem, problem_of
from bandit_service.web.desk.gate import redirect_to
from bandit_service.web.desk.page import Pages, me
from bandit_service.web.desk.routes import PREFIX

ROWS: Final = 200
"""Rows of a preview that are shown; others are counted."""
PROBLEMS: Final = 200
"""Problems that are shown; others are counted."""
ACTIONS: Final[Mapping[Action, str]] = {
    "create": "New",
    "change": "Changed",
    "new_version": "New version",
    "nothing": "As it is",
}


class Sheets:
    """The pages of imports, and the export."""

    def __init__(self, services: Services, pages: Pages) -> None:
        """Change what ``services`` keep."""
        self._services = services
        self._pages = pages

    def form(self) -> Response:
        """Ask for a file."""
        return self._form(done=request.args.get("done", ""))

    def look(self) -> Response:
        """Say what a file would do."""
        sent = request.files.get("sheet")
        if sent is None or not sent.filename:
            return self._form(Problem("No file was chosen.", "Choose a CSV file."))
        data, zone = sent.read(), request.form.get("zone", "")
        try:
            look = self._importer().look(data, zone=zone_of(zone))
        except BanditError as exc:
            return self._form(problem_of(exc, ())[1])
        return self._preview(look, data, zone, sent.filename)

    def apply(self) -> Response:
        """Import what was looked at.

        Raises:
            InvalidInput: if what came back is not what the page sent.
        """
        form = request.form
        data, zone = unpacked(form.get("packed", "")), form.get("zone", "")
        importer = self._importer()
        try:
            importer.apply(data, zone=zone_of(zone), tag=form.get("tag", ""))
        except InvalidInput as exc:
            return self._preview(
                importer.look(data, zone=zone_of(zone)), data, zone, "", problem_of(exc, ())[1]
            )
        except BanditError as exc:
            if exc.specific_code != "conflict":
                raise
            look = importer.look(data, zone=zone_of(zone))
            words = Problem(
                "The catalog has changed since you looked, so nothing was imported.",
                "What follows is what would happen now.",
            )
            return self._preview(look, data, zone, "", words)
        changed(self._services)
        return redirect_to(f"{PREFIX}/import?done=imported")

    def export(self) -> Response:
        """The catalog as a spreadsheet."""
        data = write_sheet(editor_of(self._services).placements())
        response = Response(data, content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{me().key.site}.csv"'
        response.headers["Cache-Control"] = "no-store"
        return response

    # -- inside

    def _importer(self) -> Importer:
        return self._services.importer(me().key.site, by=me().key.id)

    def _form(self, problem: Problem | None = None, *, done: str = "") -> Response:
        shown: dict[str, Any] = {
            "problem": problem,
            "columns": COLUMNS,
            "most_rows": MAX_ROWS,
            "most_bytes": MAX_BYTES,
            "imported": done == "imported",
        }
        return self._pages.page("import.html", 200 if problem is None else 422, **shown)

    def _preview(
        self, look: Look, data: bytes, zone: str, name: str, problem: Problem | None = None
    ) -> Response:
        preview = look.preview
        kept = [row for row in preview.rows if row.action != "nothing"]
        return self._pages.page(
            "import_preview.html",
            200 if not (preview.problems or problem) else 422,
            preview=preview,
            counts={ACTIONS[action]: count for action, count in preview.counts.items()},
            rows=kept[:ROWS],
            more_rows=max(0, len(kept) - ROWS),
            problems=preview.problems[:PROBLEMS],
            more_problems=len(preview.problems)
            - len(preview.problems[:PROBLEMS])
            + preview.more_problems,
            actions=ACTIONS,
            anything=bool(kept) and not preview.problems,
            name=name,
            tag=look.tag,
            zone=zone,
            read_in=str(zone_of(zone)),
            packed=packed(data) if kept and not preview.problems else "",
            problem=problem,
        )


def zone_of(name: str) -> tzinfo:
    """The time zone of this name; UTC for none, or one that is not known."""
    return moments.zone_of(name) or UTC


def packed(data: bytes) -> str:
    """A file as text for a field of a form."""
    return b64encode(zlib.compress(data, 6)).decode("ascii")


def unpacked(text: str) -> bytes:
    """The file that ``packed`` made text of.

    Raises:
        InvalidInput: if it is not.
        PayloadTooLarge: if it is of more than MAX_BYTES.
    """
    worker = zlib.decompressobj()
    try:
        data = worker.decompress(b64decode(text, validate=True), MAX_BYTES + 1)
    except (Base64Error, ValueError, zlib.error) as exc:
        raise InvalidInput(
            "what was looked at did not come back whole", hint="choose the file again"
        ) from exc
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge("the file is too large", hint=f"at most {MAX_BYTES} bytes")
    return data
