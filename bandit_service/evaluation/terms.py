"""What estimators need of each row, worked out once for a batch and a target.

Formulas name the logged propensity p, the target's probability pi, the reward r and the reward
model q (row-wise: q(a) for candidate a).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Hashes, Mask, Whole, mixed

_DRAW_BITS: Final = 53
"""Bits of a draw: as many as a float64 holds, so that it is below 1."""


class Terms(NamedTuple):
    """n rows of a target on a log."""

    key: Hashes
    cluster: Hashes
    scattered: Hashes
    """The clusters as random numbers, to make groups of them; see ``mixed``."""
    ms: Whole
    reward: Floats
    """r"""
    weight: Floats
    """w = pi(chosen) / p(chosen)."""
    bound: Floats
    """The largest weight that the row could have had: max over candidates of pi(a) / p(a); NaN
    where the log says only the probability of what was shown."""
    accepted: Mask
    """Whether rejection sampling keeps the row: u < w / bound, u being a function of its key."""
    predicted: Floats
    """q(chosen): what the reward model expected of what was shown."""
    expected: Floats
    """Sum over candidates of pi(a) * q(a): what it expects under the target."""
    baseline: Floats
    """Sum over candidates of p(a) * q(a): what it expects under the log's own policy; ``predicted``
    where the log says only the probability of what was shown."""
    unsupported: Floats
    """The target's probability of candidates that the log could not have shown (p = 0); NaN where
    the log does not say."""

    def __len__(self) -> int:
        return len(self.reward)


def terms_of(batch: Batch, target: Floats, predictions: Floats) -> Terms:
    """The terms of a batch.

    Args:
        batch: n rows, each with what was shown among its candidates and a propensity above 0.
        target: m probabilities of the target, those of each row summing to 1.
        predictions: m expected rewards of the reward model.
    """
    known = ~np.isnan(batch.row_sums(batch.logged))
    possible = batch.logged > 0
    with np.errstate(over="ignore"):  # an infinite weight is refused where it is summed up
        weight = target[batch.shown] / batch.propensity
        ratios = np.divide(target, batch.logged, out=np.zeros(len(target)), where=possible)
    bound = np.where(known, batch.row_max(ratios), np.nan)
    draw = (mixed(batch.key) >> np.uint64(64 - _DRAW_BITS)) * 2.0**-_DRAW_BITS
    barred = batch.row_sums(np.where(possible, 0.0, target))
    own = batch.logged.copy()
    own[batch.shown] = batch.propensity
    predicted = predictions[batch.shown]
    return Terms(
        key=batch.key,
        cluster=batch.cluster,
        scattered=mixed(batch.cluster),
        ms=batch.ms,
        reward=batch.reward,
        weight=weight,
        bound=bound,
        accepted=known & (draw * bound < weight),
        predicted=predicted,
        expected=batch.row_sums(target * predictions),
        baseline=np.where(known, batch.row_sums(own * predictions), predicted),
        unsupported=np.where(known, barred, np.nan),
    )
