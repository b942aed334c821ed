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
    usual: Floats
    """Sum over candidates of p(a) * q(a): what it expects under the log; where the log does not say
    p(a), q(chosen), which is that on average."""
    unsupported: Floats
    """The target's probability of candidates that the log could not have shown (p = 0); NaN where
    the log does not say."""

    def __len__(self) -> int:
        return len(self.reward)


def filled(batch: Batch, target: Floats) -> Floats:
    """The m probabilities of a target, those that the log does not say spread evenly."""
    unknown = np.isnan(target)
    if not unknown.any():
        return target
    rest = 1.0 - batch.row_sums(np.where(unknown, 0.0, target))
    share = rest / np.maximum(batch.row_sums(unknown.astype(np.float64)), 1.0)
    return np.where(unknown, share[batch.rows], target)


def terms_of(batch: Batch, target: Floats, predictions: Floats) -> Terms:
    """The terms of a batch.

    Args:
        batch: n rows, each with what was shown among its candidates and a propensity above 0.
        target: m probabilities of the target, those of each row summing to 1. NaN for what was not
            shown, in a row that is left to a log which does not say: nothing made up can stand for
            it, since DR is biased by q under any other distribution than that of the draw. Then
            q(chosen) does, which is right on average.
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
    predicted = predictions[batch.shown]
    expected = batch.row_sums(target * predictions)
    left = ~known & np.isnan(expected) & (target[batch.shown] == batch.propensity)
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
        expected=np.where(left, predicted, expected),
        usual=np.where(known, batch.row_sums(batch.logged * predictions), predicted),
        unsupported=np.where(known, barred, np.nan),
    )
