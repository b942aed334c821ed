"""The table of personas and variants as a heat map: who responds to what.

It is one table, not a picture beside one: colour is a class of the cell, and rate, interval and
count stand in it, so that paper, a screen reader and an eye that sees no colours get the same. A
cell is coloured by its rate relative to the largest of the table; one that is worth fewer than FEW
visits, whose rate says little, stays pale. Rates are corrected for whom a variant was shown to, see
``reporting.estimates``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from bandit_service.catalog.model import Persona, Variant
from bandit_service.catalog.personas import UNKNOWN
from bandit_service.reporting.estimates import Estimate
from bandit_service.reporting.placement_report import PlacementReport

STEPS: Final = 10
"""Shades of the map, beside none."""
FEW: Final = 30.0
"""Visits of equal weight below which a cell has no shade."""


NONE: Final = Estimate(rate=None, low=None, high=None, n=0, effective_n=0.0, largest_weight=0.0)
"""Of what nobody saw."""


class Cell(NamedTuple):
    """One persona and one variant."""

    estimate: Estimate
    shown: int
    """Visits, those that are not over yet included."""
    clicked: int
    """Those of them that earned something so far."""
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
    variants: Sequence[Variant], personas: Sequence[Persona], report: PlacementReport
) -> Heat:
    """The map of some variants and all personas."""
    names = [*(persona.id for persona in personas), UNKNOWN]
    crossed = {(cell.arm, cell.persona): cell for cell in report.cells}
    alone = {line.arm: line.estimate for line in report.variants}
    told = [cell.estimate for cell in report.cells if _tells(cell.estimate)]
    top = max((estimate.rate or 0.0 for estimate in told), default=0.0)

    def cell(arm: str, persona: str) -> Cell:
        found = crossed.get((arm, persona))
        if found is None:
            return Cell(NONE, 0, 0, 0)
        return Cell(found.estimate, found.shown, found.rewarded, _shade(found.estimate, top))

    return Heat(
        names,
        [Line(v, [cell(v.arm, name) for name in names], alone.get(v.arm, NONE)) for v in variants],
    )


def _tells(estimate: Estimate) -> bool:
    """Whether a cell says enough to be shaded."""
    return estimate.rate is not None and estimate.effective_n >= FEW


def _shade(estimate: Estimate, top: float) -> int:
    if not _tells(estimate) or top <= 0.0:
        return 0
    return min(STEPS, max(0, math.ceil(STEPS * (estimate.rate or 0.0) / top)))
