"""The catalog as CSV: what ``preview`` reads back as no change at all.

UTF-8 with a byte order mark, without which Excel takes it for something else. Placements that are
retired are left out. What a text begins with never makes a spreadsheet run it: see ``cells``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from bandit_service.catalog.model import Placement, Variant
from bandit_service.catalog.sheets.cells import guarded, write_moment, write_tags
from bandit_service.catalog.sheets.columns import COLUMNS


def write_sheet(placements: Iterable[Placement], *, delimiter: str = ",") -> bytes:
    """A row for each variant of the placements that are not retired."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for placement in placements:
        if not placement.retired:
            writer.writerows(_cells(placement, variant) for variant in placement.variants)
    return out.getvalue().encode("utf-8-sig")


def _cells(placement: Placement, variant: Variant) -> Iterator[str]:
    """In the order of COLUMNS."""
    yield placement.id
    yield placement.kind
    yield variant.id
    for text in (variant.headline, variant.image_url, variant.alt, variant.target_url):
        yield guarded(text or "")
    yield guarded(write_tags(variant.tags))
    yield variant.status
    yield repr(variant.min_share)
    yield repr(variant.max_share)
    yield write_moment(variant.live_from)
    yield write_moment(variant.live_until)
