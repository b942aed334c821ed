"""The exact interval of a share, for estimates that are one in truth.

Where all weights above 0 are alike and a reward is 0 or h, an estimate counts: k rewarded rows
among m trials, and k is binomial. That is so of the log's own policy (all weights 1), of any policy
that always has a favourite on a log of uniform choice, and of ``replay`` where the bounds are
alike. The trials are all n rows for an estimate that is a mean, whose value is b h k / n with the
weight b, and the rows that carry weight for one that divides by the weights, with the value h k /
m: given m, which of these rows were rewarded is again binomial.

Source: C. Clopper, E. Pearson, 1934, "The use of confidence or fiducial limits illustrated in the
case of the binomial", Biometrika 26. It holds for any n; rows must be independent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.stats import beta

from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.results import Interval

_SAME = 1e-9
"""Relative difference that rounding explains."""


class Share(NamedTuple):
    """An estimate as ``scale`` times the share of ``hits`` among ``trials``."""

    hits: int
    trials: int
    scale: float


def clopper_pearson(
    ratio: Ratio, confidence: float, *, reward_range: tuple[float, float]
) -> Interval | None:
    """The interval; None where the estimate is not a share or visitors have several rows."""
    share = share_of(ratio, reward_range)
    if share is None or ratio.clusters:
        return None
    hits, trials, scale = share
    alpha = 1.0 - confidence
    low = float(beta.ppf(alpha / 2, hits, trials - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - alpha / 2, hits + 1, trials - hits)) if hits < trials else 1.0
    return Interval(
        low=min(scale * low, reward_range[1]),
        high=min(scale * high, reward_range[1]),
        kind="clopper-pearson",
        confidence=confidence,
    )


def share_of(ratio: Ratio, reward_range: tuple[float, float]) -> Share | None:
    """The estimate as a share; None where it is none.

    With weights in [0, b], sum w^2 = b sum w only if each is 0 or b; with rewards in [0, h], sum
    (w r)^2 = b h sum (w r) only if each is 0 or h where the weight is not 0.
    """
    sums, top = ratio.sums, reward_range[1]
    weight = ratio.max_weight
    if reward_range[0] != 0 or not (top > 0 and weight > 0):
        return None
    alike = math.isclose(ratio.weight2, weight * ratio.weight, rel_tol=_SAME)
    binary = math.isclose(sums.num2, weight * top * sums.num, rel_tol=_SAME)
    if not (alike and binary):
        return None
    hits = round(sums.num / (weight * top))
    if _is_mean(ratio):
        return Share(hits, sums.n, weight * top)
    if math.isclose(sums.den, ratio.weight, rel_tol=_SAME):
        return Share(hits, round(ratio.weight / weight), top)
    return None


def _is_mean(ratio: Ratio) -> bool:
    """Whether every row has 1 as its denominator."""
    return ratio.sums.den == ratio.sums.den2 == ratio.sums.n
