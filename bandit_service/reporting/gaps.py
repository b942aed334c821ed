"""Where a persona has no creative that suits it.

A persona lacks one in a placement if no live variant earns as much with it as is due:

    due = what the persona earns elsewhere
          x what everybody else earns here, of what they earn elsewhere    (at most 1)

The second factor is there because some spots earn less with everybody: no creative mends that. The
verdict takes the largest upper bound of the live variants, the lower bounds of both products' first
parts and the upper bound of the last: it is wrong only if one of these bounds of 95 % has failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from bandit_service.reporting import words
from bandit_service.reporting.columns import COUNTS, R2, N, R
from bandit_service.reporting.estimates import Estimates, measured
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.summary import Best, PersonaSummary, Summary
from bandit_service.reporting.tables import Scale


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A placement that lacks a creative for a persona."""

    placement: str
    persona: str
    says: str
    """The verdict in a sentence."""
    best: str
    """The live variant that suits it best."""
    rate: float
    """What that earns with it per unit."""
    high: float
    """No live variant earns more than this with it."""
    elsewhere: float
    """What the persona earns per unit in other placements."""
    due: float
    """What it should earn here at the least."""
    shown: int
    """Units of the persona here."""


class _Grid(NamedTuple):
    """Settled units of the policy: P placements, G personas."""

    placements: list[str]
    personas: list[str]
    sums: Floats
    """P x G x COUNTS"""


def gaps(summaries: Mapping[str, Summary]) -> list[Gap]:
    """Every gap, the one that falls shortest first."""
    grid = _grid(summaries)
    if not grid.sums.size:
        return []
    scale = Scale(0.0, 0.0)
    for summary in summaries.values():
        scale |= summary.scale
    own, due = dues(grid.sums, scale)
    number = {persona: index for index, persona in enumerate(grid.personas)}
    found = [
        _gap(name, one, one.best, float(own[row, at]), float(due[row, at]), scale)
        for row, name in enumerate(grid.placements)
        for one in summaries[name].personas
        if one.best is not None and one.best.high < due[row, at := number[one.persona]]
    ]
    return sorted(found, key=lambda gap: gap.high / gap.due)


def dues(sums: Floats, scale: Scale) -> tuple[Floats, Floats]:
    """What each persona earns in other placements, and what is due in each at the least; P x G.

    Args:
        sums: P x G x COUNTS: of the policy.
        scale: between what rewards lie.
    """
    elsewhere = sums.sum(axis=0, keepdims=True) - sums
    own = measured(elsewhere, scale)
    others_here = measured(sums.sum(axis=1, keepdims=True) - sums, scale)
    others_elsewhere = measured(elsewhere.sum(axis=1, keepdims=True) - elsewhere, scale)
    known = np.isfinite(own.bounds.low)
    low = np.where(known, own.bounds.low, 0.0)
    due = np.minimum(low, low * _level(others_here, others_elsewhere))
    return own.rate, np.where(known, due, -np.inf)


def _level(here: Estimates, elsewhere: Estimates) -> Floats:
    """What others earn here of what they earn elsewhere, at the least and at most 1."""
    known = np.isfinite(here.bounds.low) & np.isfinite(elsewhere.bounds.high)
    known &= elsewhere.bounds.high > 0.0
    part = here.bounds.low / np.where(known, elsewhere.bounds.high, 1.0)
    return np.where(known, np.clip(part, 0.0, 1.0), 1.0)


def _gap(
    placement: str, one: PersonaSummary, best: Best, elsewhere: float, due: float, scale: Scale
) -> Gap:
    return Gap(
        placement=placement,
        persona=one.persona,
        says=words.gap(one.persona, best.rate, elsewhere, scale),
        best=best.arm,
        rate=best.rate,
        high=best.high,
        elsewhere=elsewhere,
        due=due,
        shown=one.shown,
    )


def _grid(summaries: Mapping[str, Summary]) -> _Grid:
    names = list(summaries)
    personas = sorted({one.persona for summary in summaries.values() for one in summary.personas})
    number = {persona: index for index, persona in enumerate(personas)}
    sums = np.zeros((len(names), len(personas), COUNTS))
    for row, name in enumerate(names):
        for one in summaries[name].personas:
            sums[row, number[one.persona], [N, R, R2]] = one.policy
    return _Grid(names, personas, sums)
