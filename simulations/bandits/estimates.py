"""What a study says: headroom, lift and regret with intervals, and differences of policies.

With e, u, b the expected rewards of a policy, of uniform choice and of the best variant, summed
over impressions of all placements and seeds:

    headroom captured  (e - u) / (b - u)        lift  e / u - 1        regret  b - e

Exploration is paid for: all impressions count. At a horizon h they are the first h of each
placement.

Intervals are of 95 %, percentiles of a bootstrap over placements: a placement is drawn together
with all its seeds, for they are the same test with other luck. Where a world has fewer than ``FEW``
placements, each seed's placement is drawn by itself, and where that makes fewer than ``TOO_FEW`` no
interval is given. All policies are taken on the same draws, so differences are paired: what makes a
test easy for everyone cancels out. Efron & Tibshirani (1993), "An introduction to the bootstrap".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np

from simulations.bandits.base import Floats, Whole
from simulations.bandits.results import Ground, Run, Study, Table

HORIZONS: Final = (500, 2_000, 10_000)
"""Impressions of a placement, besides all."""
DRAWS: Final = 2_000
FEW: Final = 20
TOO_FEW: Final = 10
_TINY: Final = 1e-9
"""Share of the rewards below which there is nothing to gain."""

Mark = Literal["better", "worse", "same", ""]


class Estimate(NamedTuple):
    """A number with its interval, as far as there is one."""

    value: float
    low: float | None = None
    high: float | None = None


class Line(NamedTuple):
    """What one policy earned in one world."""

    policy: str
    seeds: int
    headroom: tuple[Estimate | None, ...]
    """At each horizon; None where there was nothing to gain."""
    lift: Estimate
    regret: Estimate
    """Per 1,000 impressions."""
    against: Estimate | None
    """Headroom less that of the reference, at the last horizon; None for itself and without one."""
    mark: Mark
    least: float | None
    """Smallest share that any live variant had in any stretch, relative to an even one; None where
    no stretch was long enough to say."""
    microseconds: float
    """Processor time of an impression."""
    curve: tuple[float | None, ...]
    """Headroom up to each of ``WorldTable.ends``."""


class WorldTable(NamedTuple):
    """One world's lines."""

    name: str
    words: str
    horizons: tuple[int | None, ...]
    """In impressions of a placement; the last is None: all."""
    ends: tuple[int, ...]
    """Where the curve has its points, in impressions of a placement."""
    seeds: int
    placements: int
    impressions: int
    reference: str
    lines: tuple[Line, ...]


class _Units:
    """The seeds' placements of a world: U units, in C clusters that are drawn together."""

    def __init__(self, grounds: Sequence[Ground], edges: Sequence[int]) -> None:
        self.edges = (*edges, np.inf)
        self.rows = {g.seed: slice(first, last) for g, (first, last) in _spans(grounds)}
        self.n, self.uniform, self.best = (
            np.concatenate([_wide(getattr(g, part), len(self.edges)) for g in grounds])
            for part in ("impressions", "uniform", "best")
        )
        names = [(p, g.seed) for g in grounds for p in g.placements]
        self.placements = len({p for p, _ in names})
        keys = [p if self.placements >= FEW else f"{s} {p}" for p, s in names]
        place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self.cluster: Whole = np.array([place[key] for key in keys])
        self.weights = _weights(len(place))

    def wide(self, runs: Sequence[Run], part: str) -> tuple[Floats, Floats]:
        """A part of a policy's runs, U x stretches, and whether it has the unit, U."""
        found, there = np.zeros_like(self.n), np.zeros(len(self.n))
        for run in runs:
            rows = self.rows[run.seed]
            found[rows] = _wide(getattr(run, part), len(self.edges))
            there[rows] = 1.0
        return found, there

    def sums(self, values: Floats) -> Floats:
        """(DRAWS + 1) sums of U values: of all units, and of each draw."""
        count = self.weights.shape[1]
        by_cluster = np.bincount(self.cluster, values, minlength=count)
        sums: Floats = np.concatenate([[by_cluster.sum()], self.weights @ by_cluster])
        return sums

    def upto(self, horizon: float, values: Floats) -> Floats:
        """U sums of the first ``horizon`` impressions."""
        summed: Floats = values[:, : self.edges.index(horizon) + 1].sum(axis=1)
        return summed


def tables(study: Study, *, against: str) -> list[WorldTable]:
    """A table for each world; ``against`` is the policy that others are compared with."""
    return [
        _table(study, name, words, against)
        for name, words in ((world.name, world.words) for world in study.worlds)
    ]


def _table(study: Study, name: str, words: str, against: str) -> WorldTable:
    grounds = [ground for ground in study.grounds if ground.world == name]
    units = _Units(grounds, study.edges)
    longest = max(len(row) for g in grounds for row in g.impressions)
    most = float(units.n.sum(axis=1).max())
    horizons = (*(float(h) for h in HORIZONS if h < most), np.inf)
    ends = tuple(units.edges[: longest - 1])
    runs = {p: [r for r in study.runs if (r.world, r.policy) == (name, p)] for p in study.policies}
    lines = [
        _line(units, several, horizons, (*ends, np.inf), runs.get(against, []))
        for several in runs.values()
        if several
    ]
    return WorldTable(
        name=name,
        words=words,
        horizons=tuple(None if np.isinf(h) else int(h) for h in horizons),
        ends=(*(int(end) for end in ends), int(most)),
        seeds=len(grounds),
        placements=units.placements,
        impressions=int(units.n.sum()),
        reference=against,
        lines=tuple(lines),
    )


class _Gains(NamedTuple):
    """Sums over units that a policy has, of all and of each draw."""

    headroom: Floats
    """NaN where there was nothing to gain."""
    lift: Floats
    regret: Floats


def _gains(units: _Units, runs: Sequence[Run], horizon: float) -> _Gains:
    """What was earned up to a horizon."""
    earned, there = units.wide(runs, "earned")
    e, u, b, n = (
        units.sums(units.upto(horizon, values) * there)
        for values in (earned, units.uniform, units.best, units.n)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(b - u > _TINY * b, b - u, np.nan)
        return _Gains((e - u) / gain, e / u - 1.0, 1000.0 * (b - e) / n)


def _line(
    units: _Units,
    runs: Sequence[Run],
    horizons: Sequence[float],
    ends: Sequence[float],
    reference: Sequence[Run],
) -> Line:
    at = [_gains(units, runs, horizon) for horizon in horizons]
    difference = _difference(units, runs, reference)
    shares = [share for run in runs for share in run.least if share is not None]
    return Line(
        policy=runs[0].policy,
        seeds=len(runs),
        headroom=tuple(_estimate(gains.headroom) for gains in at),
        lift=_certain(at[-1].lift),
        regret=_certain(at[-1].regret),
        against=difference,
        mark=_mark(difference),
        least=min(shares, default=None),
        microseconds=1e6 * float(np.mean([run.seconds for run in runs])),
        curve=_curve(units, runs, ends),
    )


def _difference(units: _Units, runs: Sequence[Run], reference: Sequence[Run]) -> Estimate | None:
    """Headroom less that of the reference, on the seeds that both have; None for itself."""
    seeds = {run.seed for run in runs} & {run.seed for run in reference}
    if not seeds or runs[0].policy == reference[0].policy:
        return None
    mine, others = (
        _gains(units, [run for run in several if run.seed in seeds], np.inf).headroom
        for several in (runs, reference)
    )
    return _estimate(mine - others)


def _curve(units: _Units, runs: Sequence[Run], ends: Sequence[float]) -> tuple[float | None, ...]:
    """Headroom up to each end; None where there was nothing to gain."""
    earned, there = units.wide(runs, "earned")
    e, u, b = (np.cumsum(there @ values) for values in (earned, units.uniform, units.best))
    at = [units.edges.index(end) for end in ends]
    return tuple(
        float((e[i] - u[i]) / (b[i] - u[i])) if b[i] - u[i] > _TINY * b[i] else None for i in at
    )


def _mark(difference: Estimate | None) -> Mark:
    if difference is None or difference.low is None or difference.high is None:
        return ""
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "same"


def _estimate(sums: Floats) -> Estimate | None:
    """The first of some sums with the interval that the others make; None if it is no number."""
    return None if np.isnan(sums[0]) else _certain(sums)


def _certain(sums: Floats) -> Estimate:
    value, draws = float(sums[0]), sums[1:]
    if not len(draws) or np.isnan(draws).any():
        return Estimate(value)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _weights(clusters: int) -> Floats:
    """DRAWS x C: how often each cluster is drawn; none where there are too few."""
    if clusters < TOO_FEW:
        return np.zeros((0, clusters))
    rng = np.random.default_rng(clusters)
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), DRAWS).astype(np.float64)


def _wide(table: Table, width: int) -> Floats:
    """Rows of unequal length, filled up with 0."""
    wide = np.zeros((len(table), width))
    for row, values in zip(wide, table, strict=True):
        row[: len(values)] = values
    return wide


def _spans(grounds: Sequence[Ground]) -> list[tuple[Ground, tuple[int, int]]]:
    """From which to which unit each ground's placements are."""
    ends = np.cumsum([0, *(len(ground.placements) for ground in grounds)]).tolist()
    return list(zip(grounds, pairwise(ends), strict=True))
