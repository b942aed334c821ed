"""The smallest world with something to learn: two placements, two personas, three variants each.

What romantic visitors like best, the others like least, and click rates are high, so that a few
hundred impressions tell. All outcomes of a batch are known before the next batch begins: this is
the one world that can be played with a service that runs in real time, see ``live``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Spot

START_MS: Final = 1_767_571_200_000
"""2026-01-05 00:00 UTC, in ms since the Unix epoch."""
WINDOW_MS: Final = 600_000
STEP_MS: Final = 1_200_000
"""From the start of one batch to that of the next."""
SPAN_MS: Final = 10_000
"""How long a batch takes."""
BATCH: Final = 100
RATES: Final[Floats] = np.array([[0.30, 0.15, 0.05], [0.05, 0.15, 0.30]])
"""Personas x variants."""
SHARES: Final = (0.6, 0.4)
_LEAST: Final = 2.0**-54
"""Least random number: 0 itself is left out."""


class Duel:
    """The world; both placements have as many impressions."""

    personas: tuple[str, ...] = ("romantic", "action")
    keys: tuple[str, ...] = ()
    window_ms = WINDOW_MS

    def __init__(self, name: str, *, impressions: int, seed: int) -> None:
        """``impressions`` of each placement; ``name`` is as the command line calls it."""
        self.name = name
        self.words = (
            f"two placements, two personas, three variants, {impressions:,} impressions each"
        )
        self._impressions = impressions
        self._seed = seed

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        arms = tuple(Arm(f"v{place}", f"Headline {place}") for place in range(RATES.shape[1]))
        spots = (Spot("first", arms), Spot("second", arms))
        rng = np.random.default_rng([self._seed, 7])
        start = START_MS
        for first in range(0, self._impressions, BATCH):
            for spot in spots:
                n = min(BATCH, self._impressions - first)
                who, luck, draw = np.maximum(rng.random((3, n)), _LEAST)
                persona = (who >= SHARES[0]).astype(np.int64)
                yield Batch(
                    spot=spot,
                    at=start + np.arange(n) * SPAN_MS // n,
                    persona=persona,
                    visitor=np.full(n, -1),
                    context=((),) * n,
                    truth=RATES[persona],
                    luck=luck,
                    draw=draw,
                    delay=rng.integers(1, WINDOW_MS, n),
                )
                start += STEP_MS
