"""The table of personas and variants as a heat map: who responds to what.

It is one table, not a picture beside one: colour is a class of the cell, and rate, interval and
count stand in it, so that paper, a screen reader and an eye that sees no colours get the same. A
cell is coloured by its rate relative to the largest of the table; one of fewer than FEW units,
whose rate says little, stays pale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bandit_service.catalog.model import Persona, Variant
from bandit_service.catalog.personas import UNKNOWN
from bandit_service.reporting.counters import Estimate, Row
from bandit_service.web.desk.numbers import PlacementNumbers

STEPS: Final = 10
"""Shades of the map, beside none."""
FEW: Final = 30
"""Units below which a cell has no shade."""


class Cell(NamedTuple):
    """One persona and one variant."""

    estimate: Estimate
    shade: int
    """0 to STEPS."""


class Line(NamedTuple):
    """One variant: its cells run parallel to the personas of the map."""

    variant: Variant
    cells: Sequence[Cell]
    all: Estimate


class Heat(NamedTuple):
    """The map."""

    personas: Sequence[str]
    """Ids, ``unknown`` last."""
    lines: Sequence[Line]


def heat_of(
    variants: Sequence[Variant], personas: Sequence[Persona], numbers: PlacementNumbers
) -> Heat:
    """The map of some variants and all personas."""
    names = [*(persona.id for persona in personas), UNKNOWN]
    crossed, alone = numbers.by_variant_and_persona(), numbers.by_variant()
    rows = [[_estimate(crossed, f"{v.arm} {name}") for name in names] for v in variants]
    told = [e.rate for row in rows for e in row if e.rate is not None and e.n >= FEW]
    top = max(told, default=0.0)
    return Heat(
        names,
        [
            Line(v, [Cell(e, _shade(e, top)) for e in row], _estimate(alone, v.arm))
            for v, row in zip(variants, rows, strict=True)
        ],
    )


def _estimate(rows: Mapping[str, Row], group: str) -> Estimate:
    row = rows.get(group)
    return NONE if row is None else row.policy


def _shade(estimate: Estimate, top: float) -> int:
    if estimate.rate is None or estimate.n < FEW or top <= 0.0:
        return 0
    return round(STEPS * max(0.0, estimate.rate) / top)


NONE: Final = Estimate(rate=None, low=None, high=None, n=0, effective_n=0.0, largest_weight=0.0)
"""Of what nobody saw."""
