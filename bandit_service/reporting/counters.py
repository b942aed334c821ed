"""Outcomes counted by placement, arm, persona and arm of the experiment (policy or holdout).

The fold adds; ``summary`` reads. Every rate comes with the number of units behind it and an
interval; these are plain means of units drawn alike, so the effective sample size is the count and
the largest weight is 1, and both are stated.

Interval: Wilson (1927) where all rewards are 0 or 1; else the normal approximation around the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from bandit_service.outcomes.join import Outcome
from bandit_service.outcomes.units import JoinCounts

MAX_CELLS: Final = 100_000
"""Cells of one site: whoever holds a website's key can name placements and variants at will."""
OTHERS: Final = "*"
"""Placement and arm of what came after the last cell was taken."""
Z95: Final = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


class Cell(msgspec.Struct):
    """Sums over the units of one cell."""

    n: int = 0
    views: int = 0
    reward: float = 0.0
    reward_squared: float = 0.0
    binary: bool = True
    """Whether every reward so far was 0 or 1."""

    def add(self, reward: float, views: int) -> None:
        """Count one unit."""
        self.n += 1
        self.views += views
        self.reward += reward
        self.reward_squared += reward * reward
        self.binary = self.binary and reward in (0.0, 1.0)

    def __add__(self, other: Cell) -> Cell:
        """The cell of both cells' units together."""
        return Cell(
            self.n + other.n,
            self.views + other.views,
            self.reward + other.reward,
            self.reward_squared + other.reward_squared,
            self.binary and other.binary,
        )


class CellKey(msgspec.Struct, frozen=True, array_like=True):
    """What a cell counts."""

    placement: str
    arm: str
    persona: str
    holdout: bool


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean reward, and what one needs to doubt it. ``low`` to ``high`` is a 95 % interval."""

    rate: float | None
    low: float | None
    high: float | None
    n: int
    effective_n: float
    largest_weight: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a report: a group of units, under the policy and in the holdout."""

    group: str
    views: int
    policy: Estimate
    holdout: Estimate


class ReportState(msgspec.Struct, frozen=True):
    """The counters as plain data, as checkpoints and the store keep them."""

    cells: list[tuple[CellKey, Cell]]
    join: JoinCounts


class Counters:
    """The fold."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.cells: dict[CellKey, Cell] = {}

    def count(self, outcome: Outcome) -> None:
        """Count one outcome; censored ones were not seen by anyone and do not count."""
        if outcome.kind == "censored":
            return
        decision = outcome.decision
        key = CellKey(decision.placement, decision.arm, decision.persona, decision.holdout)
        cell = self.cells.get(key)
        if cell is None:
            if len(self.cells) >= MAX_CELLS:
                key = CellKey(OTHERS, OTHERS, decision.persona, decision.holdout)
            cell = self.cells.setdefault(key, Cell())
        cell.add(outcome.reward, outcome.views)


def estimate(cell: Cell) -> Estimate:
    """The mean reward of a cell with its 95 % interval."""
    if cell.n == 0:
        return Estimate(rate=None, low=None, high=None, n=0, effective_n=0.0, largest_weight=0.0)
    mean = cell.reward / cell.n
    low, high = _interval(cell, mean)
    return Estimate(
        rate=mean, low=low, high=high, n=cell.n, effective_n=float(cell.n), largest_weight=1.0
    )


def by_persona(cells: Iterable[tuple[CellKey, Cell]]) -> list[Row]:
    """A row for each persona, over all placements."""
    return _rows((key.persona, key, cell) for key, cell in cells)


def by_variant(cells: Iterable[tuple[CellKey, Cell]], placement: str) -> list[Row]:
    """A row for each arm of a placement, over all personas."""
    return _rows((key.arm, key, cell) for key, cell in cells if key.placement == placement)


def by_variant_and_persona(cells: Iterable[tuple[CellKey, Cell]], placement: str) -> list[Row]:
    """A row for each arm and persona of a placement; the group is ``arm persona``."""
    return _rows(
        (f"{key.arm} {key.persona}", key, cell) for key, cell in cells if key.placement == placement
    )


def _rows(grouped: Iterable[tuple[str, CellKey, Cell]]) -> list[Row]:
    groups: dict[str, tuple[Cell, Cell]] = {}
    for group, key, cell in grouped:
        policy, holdout = groups.get(group, (Cell(), Cell()))
        if key.holdout:
            groups[group] = (policy, holdout + cell)
        else:
            groups[group] = (policy + cell, holdout)
    return [
        Row(
            group=group,
            views=policy.views + holdout.views,
            policy=estimate(policy),
            holdout=estimate(holdout),
        )
        for group, (policy, holdout) in sorted(groups.items())
    ]


def _interval(cell: Cell, mean: float) -> tuple[float | None, float | None]:
    return _wilson(mean, cell.n) if cell.binary else _normal(cell, mean)


def _wilson(rate: float, n: int) -> tuple[float, float]:
    centre = (rate + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _normal(cell: Cell, mean: float) -> tuple[float | None, float | None]:
    if cell.n < 2:
        return None, None
    variance = max(0.0, cell.reward_squared - cell.n * mean * mean) / (cell.n - 1)
    half = Z95 * math.sqrt(variance / cell.n)
    return mean - half, mean + half
