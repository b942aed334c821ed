"""From sums to rates with their intervals, many at once.

*What was measured* (``measured``): the mean of units that count alike, as of the policy and of the
holdout. With s hits in n units its interval is exact.

*What would have been* (``weighted``): what a variant would have earned, had it been shown in every
visit in which it could have been. Each unit that showed it counts w = 1 / the logged propensity, so
that those to whom it was rarely shown speak for the others like them:

    rate = sum w r / sum w                    (self-normalised; Hajek 1971)
    effective n = min((sum w)^2 / sum w^2,  asked^2 / sum 1/p)

The first of the two is Kish's; it sees the weights that came. The second sees those that could have
come: ``asked`` visits in which the variant was a candidate, with propensities p. Where some kind of
visitor was hardly ever shown it, all weights that came are small and alike, and the first is blind;
with it alone, intervals failed on up to 31 % of simulated logs that had such visitors. With
both, intervals of the effective sample size held as they say: see ``simulations.watching``.

*Rewards other than clicks.* Rewards between 0 and a largest one, h, are h times a share; the
interval is that of a share and holds. So h has to be known before one such reward comes: it is what
the site's settings say that events are worth, and only where values exceed that (a price, say) the
largest so far. With that alone, where one visit in 1,000 earned 100 and others 1 or nothing,
intervals failed in 7 of 10 simulated places: before the first of them came they were certain.
Where some rewards are below 0 (dislikes), it is the normal mixture around the mean with the
rewards' own variance, and held back until the units are worth ENOUGH rewards.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np

from bandit_service.reporting.columns import (
    ASKED,
    R2,
    SPREAD,
    TOP,
    W2,
    W2R,
    W2R2,
    WR,
    N,
    R,
    W,
)
from bandit_service.reporting.sequences import (
    ALPHA,
    Bounds,
    Floats,
    difference,
    radius,
    shares,
)
from bandit_service.reporting.tables import Scale

ENOUGH: Final = 30.0
"""Rewards' worth of units below which means of rewards of both signs are not near to normal."""

HeldBack = Literal["nothing_settled", "too_few_rewards"]
"""Why there is no rate, or no interval."""
Verdict = Literal["higher", "lower", "undecided"]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean reward, and what one needs to doubt it.

    ``low`` to ``high`` is a 95 % interval that holds at all times at once, however often one looks.
    """

    rate: float | None
    """Mean reward per unit; None before any is settled."""
    low: float | None
    high: float | None
    n: int
    """Units that are settled."""
    effective_n: float
    """How many units of equal weight would tell as much."""
    largest_weight: float
    """How many units one unit stands for at most."""
    held_back: HeldBack | None = None
    """Why there is no rate, or no interval."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One mean reward less another; the interval holds at all times at once."""

    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    """``undecided`` while 0 is in the interval."""


NO_DIFFERENCE: Final = Difference(value=None, low=None, high=None, verdict="undecided")


class Estimates(NamedTuple):
    """Several, as arrays of one shape. Where there is nothing, rates are nan, bounds infinite."""

    rate: Floats
    bounds: Bounds
    effective_n: Floats
    largest: Floats

    def take(self, index: Any) -> Estimates:
        """Some of them, by any index that numpy takes."""
        rate, (low, high), effective_n, largest = self
        return Estimates(
            rate[index], Bounds(low[index], high[index]), effective_n[index], largest[index]
        )

    def record(self, n: float) -> Estimate:
        """A single one as a record; ``n`` is how many units it is of."""
        rate, low, high = float(self.rate), float(self.bounds.low), float(self.bounds.high)
        held_back: HeldBack | None = None
        if math.isnan(rate):
            held_back = "nothing_settled"
        elif math.isinf(low):
            held_back = "too_few_rewards"
        return Estimate(
            rate=None if math.isnan(rate) else rate,
            low=None if held_back else low,
            high=None if held_back else high,
            n=int(n),
            effective_n=float(self.effective_n),
            largest_weight=float(self.largest),
            held_back=held_back,
        )


def measured(counts: Floats, scale: Scale, alpha: Floats | float = ALPHA) -> Estimates:
    """Means of units that count alike.

    Args:
        counts: ... x 6, see ``columns``.
        scale: between what rewards lie.
        alpha: how often an interval may fail, ever.
    """
    n, total, squares = counts[..., N], counts[..., R], counts[..., R2]
    rate, mean_square = _ratio(total, n), _ratio(squares, n)
    found = _bounds(rate, mean_square, np.maximum(mean_square - rate**2, 0.0), n, scale, alpha)
    return Estimates(rate, found, n, np.where(n > 0.0, 1.0, 0.0))


def weighted(sums: Floats, scale: Scale, alpha: Floats | float = ALPHA) -> Estimates:
    """What variants would have earned.

    Args:
        sums: ... x 8, see ``columns``.
        scale: between what rewards lie.
        alpha: how often an interval may fail, ever.
    """
    w, wr, w2 = sums[..., W], sums[..., WR], sums[..., W2]
    rate = _ratio(wr, w)
    mean_square = _ratio(sums[..., W2R2], w2)
    variance = mean_square - 2.0 * rate * _ratio(sums[..., W2R], w2) + rate**2
    n = effective_n(sums)
    found = _bounds(rate, mean_square, np.maximum(variance, 0.0), n, scale, alpha)
    return Estimates(rate, found, n, sums[..., TOP])


def effective_n(sums: Floats) -> Floats:
    """How many units of equal weight would tell as much, of weighted sums (... x 8)."""
    there = sums[..., W2] > 0.0
    came = sums[..., W] ** 2 / np.where(there, sums[..., W2], 1.0)
    could = sums[..., ASKED] ** 2 / np.where(there, sums[..., SPREAD], 1.0)
    return np.where(there, np.minimum(came, could), 0.0)


def apart(first: Estimates, second: Estimates) -> Bounds:
    """Bounds of first - second; they must be of different units."""
    return difference(first.rate, first.bounds, second.rate, second.bounds)


def compared(first: Estimates, second: Estimates) -> Difference:
    """A single difference, first - second, as a record; they must be of different units."""
    low, high = map(float, apart(first, second))
    if not (math.isfinite(low) and math.isfinite(high)):
        return NO_DIFFERENCE
    verdict: Verdict = "higher" if low > 0.0 else "lower" if high < 0.0 else "undecided"
    value = float(first.rate - second.rate)
    return Difference(value=value, low=low, high=high, verdict=verdict)


def _bounds(
    rate: Floats,
    mean_square: Floats,
    variance: Floats,
    n: Floats,
    scale: Scale,
    alpha: Floats | float,
) -> Bounds:
    """Bounds of means of n units each; infinite where nothing can be said."""
    there = n > 0.0
    size = scale.size
    if scale.least < 0.0:
        worth = np.where(there, n * mean_square / size**2, 0.0)
        half = np.where(worth >= ENOUGH, radius(_ratio(variance, n), worth, alpha), np.inf)
        middle = np.where(there, rate, 0.0)
        return Bounds(middle - half, middle + half)
    hits = np.where(there, n * np.minimum(rate / size, 1.0), 0.0)
    found = shares(hits, np.where(there, n, 0.0), alpha)
    low = np.where(there, size * found.low, -np.inf)
    return Bounds(low, np.where(there, size * found.high, np.inf))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Above / below; nan where there is nothing below."""
    return np.where(below > 0.0, above / np.where(below > 0.0, below, 1.0), np.nan)
