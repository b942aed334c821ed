"""The normal interval of a ratio of sums: the delta method.

    value +- z sqrt(n / (n - 1) sum of e^2) / |sum of den|,    e = num - value den

e is the linearised residual of a row (W. G. Cochran, "Sampling Techniques", 1977, section 6.3), or,
where visitors have several rows, of a random group of visitors (K. M. Wolter, "Introduction to
Variance Estimation", 2007, chapter 2), and n the number of those: the rows of one visitor are not
independent, their groups are.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.results import Interval


def normal(ratio: Ratio, confidence: float) -> Interval | None:
    """The interval; None where the rows do not say how much they vary.

    That is so with fewer than two rows, without a denominator, and where all residuals are 0 (no
    row was rewarded, say), which is no proof of certainty.
    """
    error = standard_error(ratio)
    if not error:
        return None
    half = float(norm.ppf(0.5 + confidence / 2.0)) * error
    return Interval(
        low=ratio.value - half, high=ratio.value + half, kind="normal", confidence=confidence
    )


def standard_error(ratio: Ratio) -> float:
    """Of the ratio's value; 0 where it cannot be told."""
    value, den = ratio.value, ratio.sums.den
    if not den:
        return 0.0
    if ratio.clusters:
        units = int(np.count_nonzero(ratio.group_n))
        squares = float(np.sum((ratio.group_num - value * ratio.group_den) ** 2))
    else:
        units = ratio.sums.n
        squares = ratio.sums.squares(value)
    # Rounding leaves about 1e-16 of the sums where all residuals are 0.
    if units < 2 or squares <= 1e-12 * ratio.sums.num2:
        return 0.0
    return math.sqrt(squares * units / (units - 1)) / abs(den)
