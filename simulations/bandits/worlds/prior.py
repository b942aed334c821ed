"""Placements whose truth is drawn from a known distribution: the world of ``bound``.

Each placement has K variants; their click rates are drawn around the same mean, each by itself,
from a Beta distribution whose standard deviation is 1 / sqrt(``SHAPE``) of its mean: so far do the
truths of the newsroom's tests differ (``spread``). Visitors, texts and tags say nothing: all that a
policy can go by is clicks. So it can be computed what no policy is expected to exceed: ``bounds``.

Placements run in waves, those of a wave in turns, a batch of 100 each; all outcomes of a batch are
known before the next of the same placement. ``Drawn`` gives the newsroom's tests such truths: their
numbers of variants, click rates, lengths and times as they were, but rates that are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Spot
from simulations.bandits.told import Means, Told

SHAPE: Final = 39.0
"""Of the newsroom's truths on the weeks up to 201426, by maximum likelihood: 39.0 [36.2, 40.9]; on
later weeks, which are reported on, 41.1 [38.3, 44.1]."""
MEANS_SPREAD: Final = 0.6
"""How far the mean click rates of the newsroom's tests differ, in logarithms (0.60 in the weeks up
to 201426, 0.63 later). Here they do not, but who is not told a mean is not told that either."""
START_MS: Final = 1_767_571_200_000
"""2026-01-05 00:00 UTC, in ms since the Unix epoch."""
PLACEMENTS: Final = 300
WAVE: Final = 25
"""Placements that run at once."""
BATCH: Final = 100
STEP_MS: Final = 60_000
"""From the start of one batch to that of the next, at least."""
SPAN_MS: Final = 10_000
"""How long a batch takes."""
WINDOW_MS: Final = 600_000
_LEAST: Final = 2.0**-54
"""Least random number: 0 itself is left out."""


Number = TypeVar("Number", float, Floats)


def pseudo_counts(rate: Number, shape: float) -> tuple[Number, Number]:
    """Of the Beta distribution with mean ``rate`` whose variance is rate^2 / shape."""
    clicks = shape * (1.0 - rate) - rate
    return clicks, clicks * (1.0 - rate) / rate


class Prior:
    """The world; every placement has as many variants and impressions."""

    personas: tuple[str, ...] = ("everyone",)
    keys: tuple[str, ...] = ()
    window_ms = WINDOW_MS
    shape = SHAPE

    def __init__(self, name: str, *, arms: int, told: Told, placements: int, seed: int) -> None:
        """``told``: the mean click rate and the length of each placement."""
        self.name = name
        self.words = (
            f"{placements} placements of {arms} variants, click rates drawn around "
            f"{told.rate:.2%}, {told.impressions:,} impressions each"
        )
        self.means = Means(told.rate, MEANS_SPREAD)
        self._told = told
        self._placements = placements
        self._arms = tuple(Arm(f"v{place}", f"Headline {place}") for place in range(arms))
        self._seed = seed

    def told(self, placement: str) -> Told:
        """See ``Telling``: the same of all."""
        del placement
        return self._told

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        start = START_MS
        for first in range(0, self._placements, WAVE):
            wave = [
                self._place(number) for number in range(first, min(first + WAVE, self._placements))
            ]
            step = max(STEP_MS, (WINDOW_MS + SPAN_MS) // len(wave) + 1)
            for done in range(0, self._told.impressions, BATCH):
                n = min(BATCH, self._told.impressions - done)
                for spot, rates, rng in wave:
                    yield _batch(spot, rates, rng, n, start)
                    start += step

    def _place(self, number: int) -> tuple[Spot, Floats, np.random.Generator]:
        rng = np.random.default_rng([self._seed, 8, number])
        prior = pseudo_counts(self._told.rate, SHAPE)
        return Spot(f"placement-{number}", self._arms), rng.beta(*prior, len(self._arms)), rng


class Drawn:
    """Everyone, alike, but a test's rates are drawn around its mean."""

    personas: tuple[str, ...] = ("everyone",)
    shares: Floats = np.ones(1)

    def __init__(self, shape: float) -> None:
        """``shape``: how alike variants of one test are."""
        self._shape = shape

    def rates(self, base: Floats, rng: np.random.Generator) -> Floats:
        """1 x K click rates."""
        mean = float(base.mean())
        if not mean:  # a test without a click
            return base[None, :]
        drawn: Floats = rng.beta(*pseudo_counts(mean, self._shape), (1, len(base)))
        return drawn


def _batch(spot: Spot, rates: Floats, rng: np.random.Generator, n: int, start: int) -> Batch:
    luck, draw = np.maximum(rng.random((2, n)), _LEAST)
    return Batch(
        spot=spot,
        at=start + np.arange(n) * SPAN_MS // n,
        persona=np.zeros(n, np.int64),
        visitor=np.full(n, -1),
        context=((),) * n,
        truth=np.tile(rates, (n, 1)),
        luck=luck,
        draw=draw,
        delay=rng.integers(1, WINDOW_MS, n),
    )
