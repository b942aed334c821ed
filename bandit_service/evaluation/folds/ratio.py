"""What an estimator has summed up: a ratio of two sums, with what its intervals need.

Every estimator here is ``sum(num) / sum(den)`` over rows; those that are means have den = 1. Its
variance is that of the linearised residual num - value * den (the delta method), which the second
moments give for any value.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from bandit_service.evaluation.batch import Floats, Whole

ROUNDED: Final = 1e-9
"""Mean squared distance of weights from 1 that the rounding of propensities explains."""


class Sums(NamedTuple):
    """Sums over rows."""

    n: int
    num: float
    den: float
    num2: float
    """Of num^2."""
    cross: float
    """Of num * den."""
    den2: float
    """Of den^2."""

    @property
    def value(self) -> float:
        """The estimate; NaN without a denominator."""
        return self.num / self.den if self.den else math.nan

    def squares(self, value: float) -> float:
        """The sum of squared residuals about ``value``; never negative."""
        return max(0.0, self.num2 - 2.0 * value * self.cross + value * value * self.den2)


class Ratio(NamedTuple):
    """What an ``EstimateFold`` gives."""

    sums: Sums
    weight: float
    """Sum of the weights that the estimator uses."""
    weight2: float
    """Sum of their squares."""
    max_weight: float
    group_n: Whole
    """G: rows by group of clusters; all rows of a cluster are in one group."""
    group_num: Floats
    """G: sums of num."""
    group_den: Floats
    """G: sums of den."""
    clusters: bool
    """Whether some cluster has several rows."""

    @property
    def value(self) -> float:
        """The estimate; NaN where nothing was summed up."""
        return self.sums.value

    @property
    def same(self) -> bool:
        """Whether all weights are 1, as a log's own policy has them, but for rounding."""
        n = self.sums.n
        return n > 0 and self.weight2 - 2.0 * self.weight + n <= ROUNDED * n

    @property
    def ess(self) -> float:
        """Effective sample size, (sum w)^2 / sum w^2 (Kish, 1965); 0 without weights."""
        return self.weight * self.weight / self.weight2 if self.weight2 else 0.0
