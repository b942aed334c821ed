"""What importing a spreadsheet would do, before anything is done.

A *preview* is a function of the file, the catalog and the time. It says of each row whether its
variant is created, changed, given a new version, or left as it is, and what is wrong with any of
them. Where nothing is, it has the placements as they would be, made by the rules of every other
edit; whoever stores them does so all at once, and only if none of them changed meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from bandit_service.catalog.changes import CREATED, variant_differences
from bandit_service.catalog.edit import next_variant, put_variants
from bandit_service.catalog.limits import Count, Id, said
from bandit_service.catalog.model import Placement, Variant
from bandit_service.catalog.sheets.columns import columns_of
from bandit_service.catalog.sheets.problems import Problem, Problems
from bandit_service.catalog.sheets.rows import Reader, Row
from bandit_service.catalog.sheets.table import Table
from bandit_service.errors import InvalidCatalog

MAX_PLACEMENTS: Final = 5_000
"""Most placements that one file may change: they are stored in one piece, which others wait for."""

Action = Literal["create", "change", "new_version", "nothing"]


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one row's variant."""

    row: int
    placement: Id
    variant: Id
    action: Action
    version: Count
    """The version that the variant has then."""
    fields: Annotated[tuple[str, ...], said(maxItems=12)] = ()
    """The fields that change, as ``changes`` names them."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an import would do."""

    encoding: str
    delimiter: str
    rows: list[Planned]
    """In the order of the file; those that something is wrong with are not among them."""
    problems: list[Problem]
    more_problems: Count = 0
    """How many further problems there are."""
    created: list[Id] = []
    """Placements that would be made."""
    changed: list[Id] = []
    """Placements that would change."""
    untouched: list[Id] = []
    """Placements of the file of which nothing would change."""

    @property
    def counts(self) -> dict[Action, int]:
        """How many rows there are of each action."""
        found = Counter(planned.action for planned in self.rows)
        return {action: found[action] for action in ("create", "change", "new_version", "nothing")}


class Draft(NamedTuple):
    """A preview, and the placements as they would be: none if there is a problem."""

    preview: Preview
    placements: list[tuple[Placement | None, Placement]]
    """As it is, None if there is none, and as it would be."""


def placements_in(table: Table) -> set[str]:
    """What the cells of the column ``placement`` name, whether it may be an id or not."""
    unheard = Problems()
    place = columns_of(table.header, unheard).get("placement")
    if place is None:
        return set()
    rows = table.rows(unheard)
    return {cells[place].strip() for _, cells in rows if place < len(cells)}


def draft(table: Table, present: Mapping[str, Placement], *, now: int, zone: tzinfo = UTC) -> Draft:
    """What importing ``table`` into the placements that are present would do.

    ``now`` is in ms since the Unix epoch; ``zone`` is of the times that name no offset.
    """
    problems = Problems()
    by_placement, spoilt = _read(table, present, problems, zone)
    _check_size(by_placement, problems)
    planned: list[Planned] = []
    placements = []
    for placement_id, rows in by_placement.items():
        old, before = present.get(placement_id), problems.count
        planned += _planned(old, rows, problems, now)
        if placement_id not in spoilt and problems.count == before:
            placements += _edited(old, rows, problems, now)
    if problems.count:
        placements = []
    planned.sort(key=lambda each: each.row)
    preview = Preview(
        encoding=table.encoding,
        delimiter=table.delimiter,
        rows=planned,
        problems=problems.listed,
        more_problems=problems.count - len(problems.listed),
        created=[new.id for old, new in placements if old is None],
        changed=[new.id for old, new in placements if old is not None and new is not old],
        untouched=[new.id for old, new in placements if new is old],
    )
    return Draft(preview, placements)


def _read(
    table: Table, present: Mapping[str, Placement], problems: Problems, zone: tzinfo
) -> tuple[dict[str, list[Row]], set[str]]:
    """The rows that can be read, by placement, and the placements that have others."""
    columns = columns_of(table.header, problems)
    if problems.count:
        return {}, set()
    reader = Reader(columns, present, problems, zone=zone)
    found: dict[str, list[Row]] = {}
    for number, cells in table.rows(problems):
        row = reader.read(number, cells, len(table.header))
        if row is not None:
            found.setdefault(row.placement, []).append(row)
    return found, reader.spoilt


def _check_size(by_placement: Mapping[str, Sequence[Row]], problems: Problems) -> None:
    if len(by_placement) > MAX_PLACEMENTS:
        problems.add(
            None,
            None,
            f"the file names {len(by_placement):,} placements",
            f"at most {MAX_PLACEMENTS:,}: split it",
        )


def _planned(
    old: Placement | None, rows: Sequence[Row], problems: Problems, now: int
) -> list[Planned]:
    """What becomes of the variants of one placement, each by itself."""
    base = old or Placement(id=rows[0].placement, revision=0, kind="card", aired={})
    found = []
    for row in rows:
        variant_id = row.spec.id or ""
        before = base.variant(variant_id)
        try:
            after = next_variant(base, variant_id, row.spec, now)
        except InvalidCatalog as exc:
            _blame(rows, exc, problems)
        else:
            found.append(_plan(row, before, after))
    return found


def _plan(row: Row, before: Variant | None, after: Variant) -> Planned:
    fields = tuple(each.field for each in variant_differences(before, after))
    if before is None:
        action: Action = "create"
    elif before.version != after.version:
        action = "new_version"
    else:
        action = "change" if fields else "nothing"
    return Planned(
        row=row.number,
        placement=row.placement,
        variant=after.id,
        action=action,
        version=after.version,
        fields=tuple(field for field in fields if field not in (CREATED, "version")),
    )


def _edited(
    old: Placement | None, rows: Sequence[Row], problems: Problems, now: int
) -> list[tuple[Placement | None, Placement]]:
    """The placement before and after all of its rows; nothing if it may not be so."""
    first = rows[0]
    kind = first.kind if old is None else old.kind
    if kind is None:
        return []
    try:
        specs = [row.spec for row in rows]
        return [(old, put_variants(old, first.placement, kind, specs, now=now))]
    except InvalidCatalog as exc:
        _blame(rows, exc, problems)
        return []


def _blame(rows: Sequence[Row], error: InvalidCatalog, problems: Problems) -> None:
    """Put an error of a placement at the row that it is about, or at the placement's first."""
    parts = (error.field or "").split(".")
    variant_id = ".".join(parts[1:-1])
    row = next((row for row in rows if row.spec.id == variant_id), rows[0])
    column = parts[-1] if parts[-1] in ("status", "min_share") else None
    problems.add(row.number, column, error.message, error.hint)
