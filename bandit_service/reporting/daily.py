"""A site by day, each day's click rate with an interval: what came before a change, and after.

Days are of unlike visitors and unlike creatives, so that a step between two of them proves nothing;
the holdout beside them shows what the policy had no part in. Intervals are those of ``sequences``:
each holds at all times at once, as long as rewards lie between 0 and 1; else there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bandit_service.reporting.estimates import Estimate
from bandit_service.reporting.overview import DayLine
from bandit_service.reporting.sequences import shares


class Daily(NamedTuple):
    """A day, under the policy and in the holdout."""

    day: int
    """When it began, in ms since the Unix epoch (UTC)."""
    policy: Estimate
    holdout: Estimate


def daily(days: Sequence[DayLine]) -> list[Daily]:
    """Each of some days, in their order."""
    policy = _estimates([(day.policy_rate, day.policy_n) for day in days])
    holdout = _estimates([(day.holdout_rate, day.holdout_n) for day in days])
    return [
        Daily(line.day, one, other) for line, one, other in zip(days, policy, holdout, strict=True)
    ]


def _estimates(days: Sequence[tuple[float | None, int]]) -> list[Estimate]:
    n = np.array([count for _, count in days], np.float64)
    rates = np.array([rate or 0.0 for rate, _ in days], np.float64)
    bounds = shares(np.clip(rates, 0.0, 1.0) * n, n)
    return [
        Estimate(
            rate=rate,
            low=float(low) if rate is not None and 0.0 <= rate <= 1.0 else None,
            high=float(high) if rate is not None and 0.0 <= rate <= 1.0 else None,
            n=count,
            effective_n=float(count),
            largest_weight=1.0 if count else 0.0,
        )
        for (rate, count), low, high in zip(days, bounds.low, bounds.high, strict=True)
    ]
