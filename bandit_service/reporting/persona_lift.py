"""What choosing for a persona apart earns beyond choosing for everybody, in one placement.

*Cross-fitted.* On one half of the visitors the best variant for the persona and the best for all
are found; on the other half they are compared, among the persona's visits; then the halves change
places, and both results are averaged. What was found by luck has no luck on the other half, so a
persona that makes no difference earns 0 on average, and not the advantage of the luckiest variant.

*Found.* With few visits of its own a persona is not told from everybody: its rates are drawn
towards everybody's by BELIEF rewards' worth (everybody's rates, times how much more or less the
persona earns). Where both choices are the same, choosing apart earns nothing, for sure.

*Compared.* Rates are those of ``estimates.weighted``. The variance of a difference is the persona's
variance of rewards over the effective sizes of both; not that of the few rewards of a variant that
was hardly shown, which is 0 where there were none. Its third moment, likewise, tells how far a sum
of such differences is from normal.

Over placements, lifts add up weighted by the persona's visits (``personas``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bandit_service.reporting.columns import ASKED, R2, WR, N, R, W, counts, everybody, halves
from bandit_service.reporting.estimates import effective_n
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.stored import Whole
from bandit_service.reporting.tables import Table

Flags = npt.NDArray[np.bool_]

BELIEF: Final = 20.0
"""Rewards of its own at which a persona's rates count as much as everybody's."""


class Lift(NamedTuple):
    """Of one persona in one placement."""

    visits: float
    """In which the live variants could be shown to it."""
    lift: float
    """Reward per visit that choosing apart earns beyond choosing for everybody."""
    variance: float
    """Of the lift."""
    third: float
    """Its third absolute moment around the mean, at the most."""
    rate: float
    """Mean reward per visit of the persona."""
    worth: float
    """Mean squared reward per visit, in units of the largest: how many rewards a visit is worth."""
    choices: list[tuple[int, int]]
    """Numbers of the persona's variant and of everybody's, where they differed: by half."""

    @property
    def apart(self) -> bool:
        """Whether another variant than everybody's was chosen on either half."""
        return bool(self.choices)


def persona_lifts(field: Table) -> dict[str, Lift]:
    """The lift of each persona that came; none where fewer than two variants are live."""
    if len(field.arms) < 2:
        return {}
    totals = counts(field.rows).sum(axis=(0, 2))  # G x 6
    n = np.maximum(totals[:, N], 1.0)
    mean, square = totals[:, R] / n, totals[:, R2] / n
    size, spread = field.scale.size, np.maximum(square - mean**2, 0.0)
    worth = square / size**2
    sums = halves(field.rows)  # K x G x 2 x 8
    own, all_ = _best(sums, worth)
    compared = _compared(sums[:, :, ::-1], own, all_)  # each half is judged on the other
    lift = compared.lift.sum(axis=1) / 2.0
    variance = spread * compared.inverse.sum(axis=1) / 4.0
    third = spread * size * compared.inverse2.sum(axis=1) / 8.0
    visits = sums[..., ASKED].sum(axis=2).max(axis=0)
    return {
        persona: Lift(
            visits=float(visits[number]),
            lift=float(lift[number]),
            variance=float(variance[number]),
            third=float(third[number]),
            rate=float(mean[number]),
            worth=float(worth[number]),
            choices=[
                (int(own[number, half]), int(all_[half]))
                for half in (0, 1)
                if compared.differs[number, half]
            ],
        )
        for number, persona in enumerate(field.personas)
        if totals[number, N]
    }


class _Compared(NamedTuple):
    """The persona's choice against everybody's, as chosen on each half; all G x 2."""

    differs: Flags
    """Whether they are two variants that were both shown on the other half."""
    lift: Floats
    inverse: Floats
    """The sum of 1 / effective size of both."""
    inverse2: Floats
    """The sum of 1 / effective size^2 of both."""


def _compared(sums: Floats, own: Whole, all_: Whole) -> _Compared:
    """Hold the persona's variants (G x 2) against everybody's (2), by sums K x G x 2 x 8."""
    personas, half = np.arange(sums.shape[1])[:, None], np.arange(2)
    mine, others = sums[own, personas, half], sums[all_, personas, half]
    sizes = np.stack([effective_n(mine), effective_n(others)])
    differs = (own != all_) & (sizes > 0.0).all(axis=0)
    inverse = np.where(differs, 1.0 / np.where(sizes > 0.0, sizes, 1.0), 0.0)
    lift = np.where(differs, _rates(mine) - _rates(others), 0.0)
    return _Compared(differs, lift, inverse.sum(axis=0), (inverse**2).sum(axis=0))


def _best(sums: Floats, worth: Floats) -> tuple[Whole, Whole]:
    """The best variant of each persona (G x 2), and of all (2), on each half of the visitors.

    Args:
        sums: K x G x 2 x 8.
        worth: G: how many rewards a visit is worth.
    """
    together = everybody(sums, axis=1)
    rates = _rates(together)  # K x 2
    level, other = _mean(sums), _mean(together)  # G x 2, 2
    scaled = (level > 0.0) & (other > 0.0)
    factor = np.where(scaled, level / np.where(other > 0.0, other, 1.0), 1.0)
    shift = np.where(scaled, 0.0, level - other)
    expected = rates[:, None] * factor + shift  # K x G x 2
    size = effective_n(sums)
    own = worth[:, None] * size / (worth[:, None] * size + BELIEF)
    drawn = own * _rates(sums) + (1.0 - own) * expected
    return np.argmax(drawn, axis=0), np.argmax(rates, axis=0)


def _rates(sums: Floats) -> Floats:
    """What was earned per unit of weight; 0 where nothing was shown."""
    w = sums[..., W]
    return sums[..., WR] / np.where(w > 0.0, w, 1.0)


def _mean(sums: Floats) -> Floats:
    """What even choice among K variants would have earned, of sums K x ... x 8."""
    total = sums[..., W].sum(axis=0)
    found: Floats = sums[..., WR].sum(axis=0) / np.where(total > 0.0, total, 1.0)
    return found
