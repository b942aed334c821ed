"""From a row of cells to a variant as an editor describes it, with all that is wrong at its cell.

A column that the file does not have leaves what is there; an empty cell of one that it has empties
it. Two are left as they are even then: an empty ``kind`` is that of the placement, an empty
``status`` that of the variant, or ``draft`` if it is new. What a spreadsheet has no column for
(attributes, all else of a placement) stays too, and so do variants that have no row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple, TypeVar, cast, get_args

import msgspec

from bandit_service.catalog.checks import check_id, check_plain, problems_of
from bandit_service.catalog.document import spec_of
from bandit_service.catalog.model import Kind, Placement, Status, Variant, VariantSpec
from bandit_service.catalog.moments import normal
from bandit_service.catalog.sheets.cells import read_moment, read_share, read_tags, unguarded
from bandit_service.catalog.sheets.problems import Problems
from bandit_service.errors import InvalidCatalog

T = TypeVar("T")

TEXTS: Final = ("headline", "image_url", "alt", "target_url")
SHARES: Final = {"min_share": 0.0, "max_share": 1.0}
"""With what an empty cell means."""
MOMENTS: Final = {"from": "live_from", "until": "live_until"}
_FIELDS: Final = {field: column for column, field in MOMENTS.items()}
_TIME_HINT: Final = "write it like 2030-05-31, 2030-05-31 18:00 or 2030-05-31T18:00Z"


class Row(NamedTuple):
    """A row that can be read."""

    number: int
    placement: str
    kind: Kind | None
    """None: the cell is empty, or there is no such column."""
    spec: VariantSpec


class Reader:
    """Makes variants of the rows of one file."""

    def __init__(
        self,
        columns: Mapping[str, int],
        present: Mapping[str, Placement],
        problems: Problems,
        *,
        zone: tzinfo,
    ) -> None:
        """``columns`` is where each stands, ``present`` the placements that there are, by id.

        ``zone`` is of the times that name no offset. What is wrong goes to ``problems``.
        """
        self._columns = columns
        self._present = present
        self._problems = problems
        self._zone = zone
        self._seen: dict[tuple[str, str], int] = {}
        self._kinds: dict[str, Kind | None] = {name: p.kind for name, p in present.items()}
        self.spoilt: set[str] = set()
        """Placements of which something is wrong with a row."""

    def read(self, number: int, cells: Sequence[str], width: int) -> Row | None:
        """The row, or None if anything is wrong with it; ``width`` is that of the header."""
        row = _Cells(number, cells, self._columns, self._problems)
        if any(cell.strip() for cell in cells[width:]):
            row.wrong(
                None,
                f"the row has {len(cells)} cells, the header {width}",
                "is a quotation mark missing around a cell with a comma in it?",
            )
            return None
        placement_id = row.checked("placement", lambda cell: check_id(cell, "placement"))
        variant_id = row.checked("variant", lambda cell: check_id(cell, "variant"))
        if placement_id is None or variant_id is None:
            return None
        first = self._seen.setdefault((placement_id, variant_id), number)
        if first != number:
            row.wrong("variant", f"row {first} has this variant already", "keep one of them")
        kind = self._kind(row, placement_id)
        old = self._present.get(placement_id)
        variant = None if old is None else old.variant(variant_id)
        spec = self._spec(row, variant_id, variant)
        self._check(row, variant_id, spec, kind)
        if row.is_wrong:
            self.spoilt.add(placement_id)
            return None
        return Row(number, placement_id, kind, spec)

    def _kind(self, row: _Cells, placement_id: str) -> Kind | None:
        """The kind of the placement, which its first row says where it is new."""
        said = cast("Kind | None", row.one_of("kind", get_args(Kind)))
        known = self._kinds.get(placement_id)
        if known is None:
            if said is None and placement_id not in self._kinds:  # it is said once
                row.wrong(
                    "kind",
                    f"placement {placement_id!r} does not exist yet",
                    f"say what it is: {', '.join(get_args(Kind))}",
                )
            self._kinds[placement_id] = known = said
        elif said not in (None, known):
            there = "is" if placement_id in self._present else "is, further up,"
            row.wrong(
                "kind", f"placement {placement_id!r} {there} a {known}", "use another placement"
            )
        return known

    def _spec(self, row: _Cells, variant_id: str, old: Variant | None) -> VariantSpec:
        base = VariantSpec(id=variant_id) if old is None else spec_of(old)
        fields: dict[str, Any] = {}
        for name in TEXTS:
            if (text := row.text(name)) is not None:
                # Nothing is nothing, whether it is kept as an empty text or not at all.
                fields[name] = text or (getattr(base, name) and None)
        if row.has("tags"):
            none: list[str] = []
            fields["tags"] = row.value("tags", read_tags, none, "is a quotation mark missing?")
        if status := row.one_of("status", get_args(Status)):
            fields["status"] = status
        for name, empty in SHARES.items():
            if row.has(name):
                fields[name] = row.value(name, read_share, empty, "write 0.25 or 25 %")
        for name, field in MOMENTS.items():
            if row.has(name):
                fields[field] = row.value(name, self._moment(name), None, _TIME_HINT)
        return msgspec.structs.replace(base, **fields)

    def _moment(self, column: str) -> Callable[[str], datetime | None]:
        return lambda cell: read_moment(cell, self._zone, end=column == "until")

    def _check(self, row: _Cells, variant_id: str, spec: VariantSpec, kind: Kind | None) -> None:
        """Find what the catalog would refuse of the variant, by itself."""
        for problem in _refusals(variant_id, spec, kind):
            field = (problem.field or "").rpartition(".")[2]
            row.wrong(_FIELDS.get(field, field), _plainly(problem), problem.hint)


class _Cells:
    """The cells of one row, by column."""

    def __init__(
        self, number: int, cells: Sequence[str], columns: Mapping[str, int], problems: Problems
    ) -> None:
        self._number = number
        self._cells = cells
        self._columns = columns
        self._problems = problems
        self._wrong: set[str | None] = set()

    @property
    def is_wrong(self) -> bool:
        """Whether anything was wrong so far."""
        return bool(self._wrong)

    def wrong(self, column: str | None, message: str, hint: str | None) -> None:
        """Note a problem; of one cell only the first, from which others may follow."""
        if column not in self._wrong:
            self._wrong.add(column)
            self._problems.add(self._number, column, message, hint)

    def has(self, column: str) -> bool:
        """Whether the file has such a column."""
        return column in self._columns

    def text(self, column: str) -> str | None:
        """The cell as it is; None if there is no such column."""
        place = self._columns.get(column)
        if place is None:
            return None
        return unguarded(self._cells[place]) if place < len(self._cells) else ""

    def checked(self, column: str, check: Callable[[str], str]) -> str | None:
        """The cell, of which the catalog says whether it may be; None if not."""
        cell = (self.text(column) or "").strip()
        if not cell:
            self.wrong(column, "this cell is empty", f"give the id of the {column}")
            return None
        try:
            return check(cell)
        except InvalidCatalog as exc:
            self.wrong(column, exc.message, exc.hint)
            return None

    def one_of(self, column: str, known: Sequence[str]) -> str | None:
        """The cell, in small letters; None if it is empty or none of ``known``."""
        cell = (self.text(column) or "").strip().casefold()
        if cell and cell not in known:
            self.wrong(column, f"{cell[:80]!r} is not known here", f"use {', '.join(known)}")
            return None
        return cell or None

    def value(self, column: str, read: Callable[[str], T], empty: T, hint: str) -> T:
        """What ``read`` makes of the cell; ``empty`` if it is, or cannot be read."""
        cell = (self.text(column) or "").strip()
        if not cell:
            return empty
        try:
            return read(cell)
        except ValueError:
            self.wrong(column, f"{cell[:80]!r} cannot be read", hint)
            return empty


def _refusals(variant_id: str, spec: VariantSpec, kind: Kind | None) -> Iterator[InvalidCatalog]:
    for field in ("headline", "alt"):
        try:
            check_plain(getattr(spec, field), field)
        except InvalidCatalog as problem:
            yield problem
    moments: dict[str, datetime | None] = dict.fromkeys(MOMENTS.values())
    for field in moments:
        try:
            moments[field] = normal(getattr(spec, field), field)
        except InvalidCatalog as problem:
            yield problem
    variant = Variant(
        id=variant_id,
        version=1,
        headline=spec.headline,
        image_url=spec.image_url,
        alt=spec.alt,
        target_url=spec.target_url,
        tags=tuple(spec.tags),
        attributes=spec.attributes,
        min_share=spec.min_share,
        max_share=spec.max_share,
        live_from=moments["live_from"],
        live_until=moments["live_until"],
    )
    yield from problems_of(variant, kind, "")


def _plainly(problem: InvalidCatalog) -> str:
    """The message without the path of its field, and with columns called as they are here."""
    said = problem.message.removeprefix(problem.field or "").strip()
    for column, field in MOMENTS.items():
        said = said.replace(field, column)
    return said
