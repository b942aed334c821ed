"""What estimators need of each row, worked out once for a batch and a target.

Formulas name the logged propensity p, the target's probability pi, the reward r and the reward
model q (row-wise: q(a) for candidate a).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Hashes, Mask, Whole, mixed

_TWO_64 = float(2**64)


class Terms(NamedTuple):
    """n rows of a target on a log."""

    cluster: Hashes
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
    weight = target[batch.shown] / batch.propensity
    known = ~np.isnan(batch.row_sums(batch.logged))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(target > 0, target / batch.logged, 0.0)
    bound = np.where(known, batch.row_max(np.where(np.isfinite(ratios), ratios, 0.0)), np.nan)
    barred = batch.row_sums(np.where((batch.logged == 0) & (target > 0), target, 0.0))
    draw = mixed(batch.key) / _TWO_64
    with np.errstate(invalid="ignore"):
        accepted = draw * bound < weight
    return Terms(
        cluster=batch.cluster,
        ms=batch.ms,
        reward=batch.reward,
        weight=weight,
        bound=bound,
        accepted=accepted,
        predicted=predictions[batch.shown],
        expected=batch.row_sums(target * predictions),
        unsupported=np.where(known, barred, np.nan),
    )
