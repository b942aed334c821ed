"""A site on which it makes no difference what is shown: an A/A test of every size.

All variants of a placement earn the same. Nothing can be gained or lost here; what can be seen is
what a policy makes of noise: whether it starves a variant that is as good as the others, and what
it claims. Click rates and numbers of variants are crossed, one placement each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

import numpy as np

from simulations.bandits.base import Arm, Batch, Spot

START_MS: Final = 1_767_571_200_000
"""2026-01-05 00:00 UTC, in ms since the Unix epoch."""
RATES: Final = (0.001, 0.01, 0.1, 0.5)
ARMS: Final = (2, 3, 5, 10, 20)
BATCH: Final = 100
STEP_MS: Final = 60_000
"""From the start of one batch to that of the next."""
SPAN_MS: Final = 10_000
"""How long a batch takes."""
WINDOW_MS: Final = 600_000
"""The placements take turns, so all outcomes of a batch are known before the next of the same."""
_LEAST: Final = 2.0**-54
"""Least random number: 0 itself is left out."""


class Null:
    """The world; every placement has as many impressions."""

    personas: tuple[str, ...] = ("everyone",)
    keys: tuple[str, ...] = ()
    window_ms = WINDOW_MS

    def __init__(self, name: str, *, impressions: int, seed: int) -> None:
        """``impressions`` of each placement; ``name`` is as the command line calls it."""
        self.name = name
        self.words = (
            f"{len(RATES) * len(ARMS)} A/A tests, click rates {RATES[0]:.1%} to {RATES[-1]:.0%}, "
            f"{ARMS[0]} to {ARMS[-1]} equal variants, {impressions:,} impressions each"
        )
        self._impressions = impressions
        self._seed = seed

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        places = [(_spot(rate, count), rate) for rate, count in product(RATES, ARMS)]
        rng = np.random.default_rng([self._seed, 5])
        start = START_MS
        for first in range(0, self._impressions, BATCH):
            for spot, rate in places:
                n = min(BATCH, self._impressions - first)
                luck, draw = np.maximum(rng.random((2, n)), _LEAST)
                yield Batch(
                    spot=spot,
                    at=start + np.arange(n) * SPAN_MS // n,
                    persona=np.zeros(n, np.int64),
                    visitor=np.full(n, -1),
                    context=((),) * n,
                    truth=np.full((n, len(spot.arms)), rate),
                    luck=luck,
                    draw=draw,
                    delay=rng.integers(1, WINDOW_MS, n),
                )
                start += STEP_MS


def _spot(rate: float, count: int) -> Spot:
    arms = tuple(Arm(f"v{place}", f"Headline {place}") for place in range(count))
    return Spot(f"aa-{1 / rate:.0f}-{count}", arms)
