"""Importing a spreadsheet: look at what it would do, then do exactly that, or nothing.

A *look* reads the placements that the file names and says what would become of them. Its ``tag``
stands for the file, for those placements as they were, and for what was said. Applying makes the
look again: under another tag, or with a problem, nothing is stored. What is stored is stored in one
piece, on condition that each placement still is as it was read, so a change that slips in between
is not overwritten, and no reader ever sees half a file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from bandit_service.catalog.sheets.preview import Draft, Preview, draft, placements_in
from bandit_service.catalog.sheets.table import read_table
from bandit_service.errors import Conflict, InvalidCatalog
from bandit_service.serving.editing import CatalogEditor, Replacement

_TAG_BYTES: Final = 16


class Look(NamedTuple):
    """What a file would do, and what it was made from."""

    preview: Preview
    tag: str


class Importer:
    """Imports of spreadsheets into the catalog of one site."""

    def __init__(self, editor: CatalogEditor, *, clock: Callable[[], int]) -> None:
        """``editor`` makes the edits; ``clock`` gives ms since the Unix epoch."""
        self._editor = editor
        self._clock = clock

    def look(self, data: bytes, *, zone: tzinfo = UTC) -> Look:
        """What importing a file would do; ``zone`` is of the times that name no offset.

        Raises:
            PayloadTooLarge: if the file is too large.
            InvalidInput: if it is no table. What is wrong with its rows is in the preview.
        """
        made, tag = self._made(data, zone)
        return Look(made.preview, tag)

    def apply(self, data: bytes, *, zone: tzinfo = UTC, tag: str | None = None) -> Preview:
        """Import a file, all of it or nothing; what that did.

        ``tag`` is that of the look that was agreed to; None: whatever it does now.

        Raises:
            PayloadTooLarge: if the file is too large.
            InvalidInput: if it is no table.
            InvalidCatalog: if something is wrong with a row: the first of it.
            Conflict: if the file or the catalog is not as it was looked at.
        """
        made, present = self._made(data, zone)
        if tag not in (None, present):
            raise Conflict(
                "the file or the catalog has changed since the preview was made",
                hint="look at the preview again: it says what would happen now",
            )
        if made.preview.problems:
            raise refusal(made.preview)
        self._editor.put_all([Replacement(old, new) for old, new in made.placements])
        return made.preview

    def _made(self, data: bytes, zone: tzinfo) -> tuple[Draft, str]:
        table = read_table(data)
        present = self._editor.several(placements_in(table))
        made = draft(table, present, now=self._clock(), zone=zone)
        revisions = sorted((name, placement.revision) for name, placement in present.items())
        basis = msgspec.json.encode((str(zone), revisions, made.preview))
        return made, blake2b(data + basis, digest_size=_TAG_BYTES).hexdigest()


def refusal(preview: Preview) -> InvalidCatalog:
    """The first problem of a preview, as an error."""
    first, more = preview.problems[0], len(preview.problems) + preview.more_problems - 1
    place = "the file" if first.row is None else f"row {first.row}"
    if first.column is not None:
        place += f", column {first.column!r}"
    others = f" ({more} more)" if more else ""
    return InvalidCatalog(
        f"{place}: {first.message}{others}; nothing was imported",
        field=None if first.row is None else f"rows.{first.row}.{first.column or ''}".rstrip("."),
        hint=first.hint,
    )
