"""The policy against the holdout: what choosing earns beyond drawing variants evenly.

Whether a unit is held out is a coin that nothing else depends on, so both are plain means of units
that count alike, and their difference needs no weights. Both are of the same visits as long as the
share that is held out stays as it is: where a rebuild changed it, days of both shares are mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bandit_service.reporting.columns import COUNTS, HOLDOUT, POLICY, R2, N, R
from bandit_service.reporting.estimates import (
    Difference,
    Estimate,
    Estimates,
    compared,
    measured,
)
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.tables import Scale


class ArmSums(NamedTuple):
    """Settled units of the policy or of the holdout: how many, rewards, and squared rewards."""

    n: int = 0
    r: float = 0.0
    r2: float = 0.0

    def plus(self, other: ArmSums) -> ArmSums:
        """Both together."""
        return ArmSums(self.n + other.n, self.r + other.r, self.r2 + other.r2)


class Sums(NamedTuple):
    """Of one place."""

    policy: ArmSums
    holdout: ArmSums
    scale: Scale


class Experiment(NamedTuple):
    """The policy and the holdout, held against each other."""

    policy: Estimate
    holdout: Estimate
    gain: Difference
    """The policy less the holdout."""


def together(several: Sequence[Sums]) -> Sums:
    """Of all places together."""
    policy, holdout, scale = ArmSums(), ArmSums(), Scale(0.0, 0.0)
    for one in several:
        policy, holdout = policy.plus(one.policy), holdout.plus(one.holdout)
        scale |= one.scale
    return Sums(policy, holdout, scale)


def experiments(several: Sequence[Sums]) -> list[Experiment]:
    """Hold the policy against the holdout in each of several places."""
    by_scale: dict[Scale, list[int]] = {}
    for number, sums in enumerate(several):
        by_scale.setdefault(sums.scale, []).append(number)
    found: list[Experiment | None] = [None] * len(several)
    for scale, numbers in by_scale.items():
        estimates = measured(_counts([several[number] for number in numbers]), scale)
        for index, number in enumerate(numbers):
            found[number] = _experiment(estimates.take(index), several[number])
    return [one for one in found if one is not None]


def _counts(several: Sequence[Sums]) -> Floats:
    """M x 2 x 6, as ``columns`` has them."""
    found = np.zeros((len(several), 2, COUNTS))
    found[..., [N, R, R2]] = [[tuple(arm) for arm in (s.policy, s.holdout)] for s in several]
    return found


def _experiment(estimates: Estimates, sums: Sums) -> Experiment:
    policy, holdout = estimates.take(POLICY), estimates.take(HOLDOUT)
    gain = compared(policy, holdout)
    return Experiment(policy.record(sums.policy.n), holdout.record(sums.holdout.n), gain)
