"""K variants, T impressions, clicks: the game whose value is bounded.

Click rates are drawn, each by itself, from Beta(a, b) with a known mean m and a standard deviation
of 1 / sqrt(shape) of it. In each of ``steps`` steps the player divides its impressions among the
variants, in ``parts`` equal parts; then it is told the clicks. What counts is the expected number
of clicks.

*Headroom* is the share of what there is between uniform choice, m T, and always the best variant,
T E[max of K rates], as everywhere in these studies.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv

from bandit_service.errors import InvalidInput
from simulations.bandits.worlds.prior import pseudo_counts

_TAIL: Final = 1e-13
"""Chance that a rate is beyond where the expected maximum is no longer summed."""
_POINTS: Final = 20_001


class Game(NamedTuple):
    """The game; see above."""

    arms: int
    """K"""
    rate: float
    """m, clicks per impression."""
    shape: float
    impressions: int
    """T"""
    steps: int
    parts: int = 1

    @property
    def prior(self) -> tuple[float, float]:
        """Pseudo-clicks and pseudo-misses of the Beta distribution of rates."""
        return pseudo_counts(self.rate, self.shape)

    @property
    def unit(self) -> int:
        """Impressions of a part of a step.

        Raises:
            InvalidInput: if that is no whole number.
        """
        unit, rest = divmod(self.impressions, self.steps * self.parts)
        if rest or not unit:
            raise InvalidInput(
                f"{self.impressions:,} impressions are not {self.steps} steps of {self.parts} "
                "equal parts",
                hint="choose a multiple",
            )
        return unit

    @property
    def clicks(self) -> float:
        """Of uniform choice, expected."""
        return self.rate * self.impressions

    @property
    def headroom(self) -> float:
        """Clicks that the best variant has more than uniform choice, expected."""
        return self.impressions * (expected_best(self.arms, self.rate, self.shape) - self.rate)

    def captured(self, clicks: float) -> float:
        """The share of the headroom that so many expected clicks are."""
        return (clicks - self.clicks) / self.headroom


@cache
def expected_best(arms: int, rate: float, shape: float) -> float:
    """E[max of K rates] = integral of 1 - F(x)^K over x from 0 on, F their distribution."""
    prior = pseudo_counts(rate, shape)
    x = np.linspace(0.0, float(betaincinv(*prior, 1.0 - _TAIL)), _POINTS)
    return float(np.trapezoid(1.0 - betainc(*prior, x) ** arms, x))
