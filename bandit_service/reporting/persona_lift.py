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

from bandit_service.reporting.columns import ASKED, R2, WR, N, R, W, counts, everybody, halves
from bandit_service.reporting.estimates import effective_n, weighted
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.tables import Scale, Table

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
    sums = halves(field.rows)  # K x G x 2 x 8
    totals = counts(field.rows).sum(axis=(0, 2))  # G x 6
    found = {}
    for number, persona in enumerate(field.personas):
        n = float(totals[number, N])
        if n > 0.0:
            mean, square = float(totals[number, R]) / n, float(totals[number, R2]) / n
            found[persona] = _lift(sums, number, _Moments(mean, square, field.scale))
    return found


class _Moments(NamedTuple):
    """How much a persona earns, and how much that varies."""

    mean: float
    square: float
    scale: Scale

    @property
    def variance(self) -> float:
        return max(self.square - self.mean**2, 0.0)

    @property
    def third(self) -> float:
        return self.variance * self.scale.size

    @property
    def worth(self) -> float:
        return self.square / self.scale.size**2


def _lift(sums: Floats, number: int, moments: _Moments) -> Lift:
    lift, variance, third, choices = 0.0, 0.0, 0.0, []
    for half in (0, 1):
        own, all_ = _best(sums[:, :, half], number, moments)
        if own == all_:
            continue
        judged = sums[[own, all_], number, 1 - half]
        sizes = effective_n(judged)
        if not sizes.all():
            continue
        choices.append((own, all_))
        rates = weighted(judged, moments.scale).rate
        lift += float(rates[0] - rates[1]) / 2.0
        variance += moments.variance * float((1.0 / sizes).sum()) / 4.0
        third += moments.third * float((1.0 / sizes**2).sum()) / 8.0
    visits = float(sums[:, number, :, ASKED].sum(axis=1).max())
    return Lift(
        visits=visits,
        lift=lift,
        variance=variance,
        third=third,
        rate=moments.mean,
        worth=moments.worth,
        choices=choices,
    )


def _best(sums: Floats, number: int, moments: _Moments) -> tuple[int, int]:
    """The best variant for a persona, and the best for all, on one half of the visitors.

    Args:
        sums: K x G x 8.
        number: of the persona.
        moments: what it earns.
    """
    own, whole = sums[:, number], everybody(sums, axis=1)
    rates = np.nan_to_num(whole[:, WR] / np.where(whole[:, W] > 0.0, whole[:, W], 1.0))
    mine = np.nan_to_num(own[:, WR] / np.where(own[:, W] > 0.0, own[:, W], 1.0))
    level, other = _mean(own), _mean(whole)
    expected = rates * (level / other) if level > 0.0 and other > 0.0 else rates + level - other
    size = effective_n(own)
    belief = BELIEF / moments.worth if moments.worth else np.inf
    if not np.isfinite(belief):
        return int(np.argmax(rates)), int(np.argmax(rates))
    drawn = (mine * size + expected * belief) / (size + belief)
    return int(np.argmax(drawn)), int(np.argmax(rates))


def _mean(sums: Floats) -> float:
    """What even choice would have earned."""
    total = float(sums[:, W].sum())
    return float(sums[:, WR].sum()) / total if total else 0.0
