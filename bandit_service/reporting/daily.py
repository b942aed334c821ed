"""A site by day, each day's click rate with an interval: what came before a change, and after.

Days are of unlike visitors and unlike creatives, so that a step between two of them proves nothing;
the holdout beside them shows what the policy had no part in. Intervals are those of
``estimates.measured``: each holds at all times at once. Of a site that ever gave a reward below 0
there are none: they would ask for the squares of rewards, which are not kept by day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bandit_service.reporting.columns import COUNTS, N, R
from bandit_service.reporting.estimates import Estimate, measured
from bandit_service.reporting.overview import DayLine
from bandit_service.reporting.tables import Scale


class Daily(NamedTuple):
    """A day, under the policy and in the holdout."""

    day: int
    """When it began, in ms since the Unix epoch (UTC)."""
    policy: Estimate
    holdout: Estimate


def daily(days: Sequence[DayLine], scale: Scale) -> list[Daily]:
    """Each of some days, in their order; ``scale`` is between what rewards of the site lie."""
    policy = _estimates([(day.policy_rate, day.policy_n) for day in days], scale)
    holdout = _estimates([(day.holdout_rate, day.holdout_n) for day in days], scale)
    return [
        Daily(line.day, one, other) for line, one, other in zip(days, policy, holdout, strict=True)
    ]


def _estimates(days: Sequence[tuple[float | None, int]], scale: Scale) -> list[Estimate]:
    counts = np.zeros((len(days), COUNTS))
    for row, (rate, n) in zip(counts, days, strict=True):
        row[[N, R]] = n, n * (rate or 0.0)
    found = measured(counts, scale)
    return [found.take(index).record(n) for index, (_, n) in enumerate(days)]
