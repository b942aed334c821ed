"""The columns of a spreadsheet: their names, and what else people call them.

A header's case, its blanks and its dashes do not matter. A column that is not known is refused
rather than skipped: a slip in its name would leave a whole column out without a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bandit_service.catalog.sheets.problems import Problems

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "placement": ("placement_id", "spot"),
    "kind": ("type",),
    "variant": ("variant_id", "creative", "creative_id"),
    "headline": ("title", "text"),
    "image_url": ("image", "picture", "thumbnail", "image_address"),
    "alt": ("alt_text", "alternative_text", "image_alt"),
    "target_url": ("target", "link", "url", "target_address"),
    "tags": ("tag", "labels"),
    "status": ("state",),
    "min_share": ("minimum_share", "least_share"),
    "max_share": ("maximum_share", "largest_share"),
    "from": ("live_from", "start", "starts"),
    "until": ("live_until", "end", "ends", "to"),
}
"""By column, the other names that it may have."""
COLUMNS: Final = tuple(ALIASES)
"""All columns, as an export has them."""
REQUIRED: Final = ("placement", "variant")
_KNOWN: Final = {name: column for column in COLUMNS for name in (column, *ALIASES[column])}


def column_of(name: str) -> str | None:
    """The column that a header names, or None."""
    return _KNOWN.get(re.sub(r"[\s_-]+", "_", name.strip().casefold()))


def columns_of(header: Sequence[str], problems: Problems) -> dict[str, int]:
    """Where each column stands; what is wrong with the header is added to ``problems``."""
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        column = column_of(name)
        if column is None:
            if name.strip():
                problems.add(1, name[:80], "this column is not known", f"use {', '.join(COLUMNS)}")
        elif column in found:
            first = header[found[column]]
            problems.add(1, name[:80], f"this column is there twice: {first!r} is one", "keep one")
        else:
            found[column] = place
    for column in REQUIRED:
        if column not in found:
            problems.add(1, column, "this column is missing", "name it in the first row")
    return found
