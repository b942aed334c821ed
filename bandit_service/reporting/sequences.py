"""Confidence sequences: intervals that hold at all times at once, for any number of looks.

*Of a share* (``shares``): with s hits in n trials, the p for which

    B(s + 1/2, n - s + 1/2) / B(1/2, 1/2)  <  p^s (1 - p)^(n - s) / alpha

B being the beta function. The left side over p^s (1 - p)^(n - s) is a martingale that begins at 1
while trials come in, if each is a hit with probability p given all before it; by Ville's inequality
it ever reaches 1/alpha with probability alpha at most. Source: H. Robbins (1970), "Statistical
methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41; the
mixture is the one of S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon (2021), "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, with Jeffreys' prior,
which favours no rate. It is exact for trials that weigh alike, whoever chose which to make and when
to look, and holds for values anywhere in [0, 1] in place of hits: their moment generating function
is at most that of a hit. Neither s nor n need be whole: estimates of weighted trials put their
effective sample size for n, and then it is measured, not proved, that it holds.

*Of a mean* (``radius``): the normal mixture of the same paper, around estimates that are near
enough to normal (I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas (2024), "Time-uniform
central limit theory and asymptotic confidence sequences", Annals of Statistics 52).

*Of a difference* (``difference``): from the intervals of two estimates that do not depend on each
other (G. Zou, A. Donner (2008), "Construction of confidence limits about effect measures: a general
approach", Statistics in Medicine 27). Where both intervals are symmetric, it is the interval of the
normal distribution.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE: Final = 0.95
"""How often an interval holds at all times, at the least."""
ALPHA: Final = 1.0 - CONFIDENCE
_LOG_BETA_HALVES: Final = math.log(math.pi)
"""log B(1/2, 1/2)."""
_BEST_AT: Final = 10.0
"""The mixture's tuning, in rewards' worth of evidence: bounds of means are at their narrowest,
beside an interval for one look, at some 9 times as many."""
_STEPS: Final = 60
"""Newton steps at most: they converge from the far side, and 10 are plenty."""
_CLOSE: Final = 1e-9
"""Relative change of a bound's logarithm at which it is found."""
_FEW: Final = 1e-9
"""Hits that bound nothing, beyond the smallest numbers that there are."""
_TINY: Final = 1e-300


class Bounds(NamedTuple):
    """Bounds of several values, of any shape."""

    low: Floats
    high: Floats


def shares(hits: Floats, trials: Floats, alpha: Floats | float = ALPHA) -> Bounds:
    """Bounds of the probability of a hit; [0, 1] where there were no trials.

    Args:
        hits: s >= 0, of any shape.
        trials: n >= s.
        alpha: how often the bounds may fail, ever; of the same shape, or one for all.
    """
    misses = np.maximum(trials - hits, 0.0)
    # log of B(s + 1/2, f + 1/2) / B(1/2, 1/2) * alpha: p^s (1 - p)^f must exceed it.
    least = _log_beta(hits + 0.5, misses + 0.5) - _LOG_BETA_HALVES + np.log(alpha)
    low = np.exp(_edge(hits, misses, least))
    high = -np.expm1(_edge(misses, hits, least))
    return Bounds(low, high)


def radius(variance: Floats, worth: Floats, alpha: Floats | float = ALPHA) -> Floats:
    """Half the width of an interval around an estimate; infinite where nothing speaks for it.

    Args:
        variance: of the estimate.
        worth: how many rewards would tell as much; it must grow as evidence does.
        alpha: how often the interval may fail, ever.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = (1.0 + _BEST_AT / worth) * np.log((1.0 + worth / _BEST_AT) / alpha**2)
        found = np.sqrt(variance * stretch)
    return np.where(worth > 0.0, found, np.inf)


def difference(first: Floats, of_first: Bounds, second: Floats, of_second: Bounds) -> Bounds:
    """Bounds of first - second, from both estimates and the bounds of each."""
    value = first - second
    return Bounds(
        value - np.hypot(first - of_first.low, of_second.high - second),
        value + np.hypot(of_first.high - first, second - of_second.low),
    )


def _edge(hits: Floats, misses: Floats, least: Floats) -> Floats:
    """Log of the smaller p at which s log p + f log(1 - p) is ``least``; -inf without hits.

    In x = log p the function falls short of ``least`` at x = least / s, as log(1 - p) <= 0, and is
    concave: Newton's steps from there never pass the root, so that stopping early is safe.
    """
    there = hits > _FEW
    some, others = np.where(there, hits, 1.0), np.where(there, misses, 0.0)
    x = np.minimum(least / some, -_TINY)
    for _ in range(_STEPS):
        p = np.exp(x)
        rest = -np.expm1(x)
        short = least - some * x - others * np.log(rest)
        step = np.maximum(short, 0.0) / np.maximum(some - others * p / rest, _TINY * some)
        x = np.minimum(x + step, -_TINY)
        if np.all(step <= _CLOSE * (1.0 - x)):
            break
    return np.where(there, x, -np.inf)


def _log_beta(a: Floats, b: Floats) -> Floats:
    """Log B(a, b), elementwise; scipy's would cost every serving process its memory."""
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


def _log_gamma(values: Floats) -> Floats:
    found = [math.lgamma(value) for value in np.ravel(values).tolist()]
    return np.array(found, np.float64).reshape(np.shape(values))
