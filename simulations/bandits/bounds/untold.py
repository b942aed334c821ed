"""Who is not told the mean of a placement's click rates, and believes what clicks say of it.

Told the mean, one knows at once whether a variant is a good one; untold, one has to show others to
find out, so that the same index earns less. What the mean may be is taken from a log-normal
distribution, at ``POINTS`` points; each is as likely as it makes what all variants together did
(beta-binomial, with the combinatorial factors that all have in common left out). A variant's rate
then has the mean and the variance of that mixture: the variance within, and that of its mean from
point to point. That variants have the latter in common is left aside. Gelman et al. (2013),
"Bayesian data analysis", 3rd ed., ch. 5.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import betaln

from simulations.bandits.base import Floats
from simulations.bandits.bounds.index import Informed, Known
from simulations.bandits.told import Means
from simulations.bandits.worlds.prior import pseudo_counts

POINTS: Final = 15
_REACH: Final = 2.5
"""Standard deviations from the median on both sides."""
_MOST: Final = 0.9
"""Largest mean click rate that is thought of."""


class Untold:
    """Beliefs of who knows how means are spread, and no more."""

    def __init__(self, means: Means, shape: float) -> None:
        """``shape``: how alike the variants of one placement are."""
        at = np.linspace(-_REACH, _REACH, POINTS)
        self._rates = np.minimum(means.median * np.exp(means.spread * at), _MOST)
        self._logs: Floats = -0.5 * at**2
        self._shape = shape

    def known(self, clicks: Floats, shown: Floats) -> Known:
        """See ``Belief``."""
        logs = self._logs + np.array([self._likely(rate, clicks, shown) for rate in self._rates]).T
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        each = [
            Informed(np.full(len(clicks), rate), self._shape).known(clicks, shown)
            for rate in self._rates
        ]
        means, worths = (np.stack(part) for part in zip(*each, strict=True))
        mean = np.einsum("gq,qgk->gk", weights, means)
        variance = np.einsum("gq,qgk->gk", weights, means / worths + (means - mean) ** 2)
        return Known(mean, mean / variance)

    def _likely(self, rate: float, clicks: Floats, shown: Floats) -> Floats:
        """G logarithms of how likely a mean makes what was seen."""
        a, b = pseudo_counts(float(rate), self._shape)
        found: Floats = (betaln(a + clicks, b + shown - clicks) - betaln(a, b)).sum(axis=1)
        return found
