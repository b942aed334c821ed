"""The empirical Bernstein interval of ``clipped-ips``: it holds for any number of rows.

For n independent rows x of one distribution with values in a range of length R, with probability at
least 1 - delta (A. Maurer, M. Pontil, 2009, "Empirical Bernstein bounds and sample variance
penalization", theorem 4),

    E x <= mean + sqrt(2 V ln(2 / delta) / n) + 7 R ln(2 / delta) / (3 (n - 1)),

V being the sample variance; likewise from below with -x. R must be known before looking. That is so
of x = min(w, M) r and of min(w, M), M being the clip, and of nothing else here: the largest weight
seen is no bound on the weights that may come.

What is covered is the true value, not only the clipped mean, although clipping biases that: of the
weight, E (w - M)+ = 1 - E min(w, M) was cut off (E w = 1 where support is full; where it is not the
cut is larger still, and never smaller), and each unit of it was worth between ``low`` and ``high``
of the rewards. So

    E min(w, M) r + min(low, 0) cut  <=  value  <=  E min(w, M) r + max(high, 0) cut.

each of the three sums involved failing with a third of the probability. With rewards from 0 the
lower bound needs no cut.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.results import Interval

_TAILS: Final = 3
"""Ways to fail: the clipped mean is too low or too high, the mean of the weights is too high."""


class _Mean(NamedTuple):
    """Of n rows: their mean, how far the true one may be off to one side."""

    value: float
    slack: float


def empirical_bernstein(
    ratio: Ratio, confidence: float, *, clip: float, reward_range: tuple[float, float]
) -> Interval | None:
    """The interval of the true value; None with fewer than two rows.

    Args:
        ratio: of ``clipped-ips``.
        confidence: how often it holds, at the least.
        clip: the largest weight used, chosen before looking.
        reward_range: what a reward can be.
    """
    n = ratio.sums.n
    if n < 2:
        return None
    low, high = reward_range
    delta = (1.0 - confidence) / _TAILS
    reach = clip * (max(high, 0.0) - min(low, 0.0))
    mean = _mean(n, ratio.sums.num, ratio.sums.num2, reach, delta)
    kept = _mean(n, ratio.weight, ratio.weight2, clip, delta)
    cut = min(1.0, max(0.0, 1.0 - (kept.value - kept.slack)))
    return Interval(
        low=max(low, mean.value - mean.slack + min(low, 0.0) * cut),
        high=min(high, mean.value + mean.slack + max(high, 0.0) * cut),
        kind="empirical-bernstein",
        confidence=confidence,
    )


def _mean(n: int, total: float, squares: float, reach: float, delta: float) -> _Mean:
    value = total / n
    variance = max(0.0, squares - n * value * value) / (n - 1)
    log = math.log(2.0 / delta)
    return _Mean(value, math.sqrt(2.0 * variance * log / n) + 7.0 * reach * log / (3.0 * (n - 1)))
