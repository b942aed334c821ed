"""When impressions come and what is drawn with each, for the worlds that make their own visitors.

Time is cut into slices. In a slice every placement has a Poisson number of impressions, cut into
batches that come one after the other in random order: within seconds one placement has the word,
within a slice all do. A placement with little traffic makes small batches, as it would anywhere.

How an outcome comes late: log-normal after the impression, or never for a share that gets lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from simulations.bandits.base import NEVER, Batch, Floats, Spot, Whole

START_MS = 1_767_571_200_000
"""2026-01-05 00:00 UTC, a Monday: when the worlds start, in ms since the Unix epoch."""
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
MOST = 100
"""Most impressions of a batch: nobody must serve longer than that without learning."""
_CUT = 0.9
"""Share of the window after which no reward comes: nobody is told "none" of what comes later."""
_LEAST = 2.0**-54
"""Least random number: 0 itself is left out."""


class Delays(NamedTuple):
    """How late rewards become known."""

    window_ms: int
    """When what is not known counts as none."""
    median_ms: float = MINUTE_MS / 2
    spread: float = 1.0
    """Standard deviation of the logarithm."""
    lost: float = 0.0
    """Share of outcomes that nobody is ever told, rewarded or not."""

    def drawn(self, rng: np.random.Generator, n: int) -> Whole:
        """``n`` delays in ms, from 1 to ``_CUT`` of the window; NEVER for those that are lost."""
        late = np.ceil(self.median_ms * np.exp(self.spread * rng.standard_normal(n)))
        lost = rng.random(n) < self.lost
        cut = np.clip(late, 1, int(_CUT * self.window_ms))
        delays: Whole = np.where(lost, NEVER, cut).astype(np.int64)
        return delays


def visits(
    rng: np.random.Generator, expected: Floats, *, slice_ms: int, start_ms: int = START_MS
) -> Iterator[tuple[int, Whole]]:
    """Batches in the order of time: which placement, and when each impression came.

    Args:
        rng: makes everything here.
        expected: S x P, mean number of impressions of each placement in each slice.
        slice_ms: length of a slice.
        start_ms: start of the first.
    """
    for number, row in enumerate(expected):
        parts = [part for place, n in enumerate(rng.poisson(row)) for part in _parts(place, int(n))]
        total = sum(size for _, size in parts)
        past = np.sort((rng.random(total) * slice_ms).astype(np.int64))
        at = start_ms + number * slice_ms + past
        first = 0
        for part in rng.permutation(len(parts)):
            place, size = parts[part]
            yield place, at[first : first + size]
            first += size


def made(
    rng: np.random.Generator,
    spot: Spot,
    at: Whole,
    truth: Floats,
    *,
    persona: Whole,
    delays: Delays,
    visitor: Whole | None = None,
    context: Sequence[tuple[str, ...]] | None = None,
) -> Batch:
    """A batch with its luck, its draws and its delays."""
    n = len(at)
    luck, draw = np.maximum(rng.random((2, n)), _LEAST)
    return Batch(
        spot=spot,
        at=at,
        persona=persona,
        visitor=np.full(n, -1, np.int64) if visitor is None else visitor,
        context=((),) * n if context is None else context,
        truth=truth,
        luck=luck,
        draw=draw,
        delay=delays.drawn(rng, n),
    )


def picked(rng: np.random.Generator, shares: Floats, n: int) -> Whole:
    """``n`` numbers from 0 on, each as often as its share of 1 says."""
    places: Whole = np.searchsorted(np.cumsum(shares)[:-1], rng.random(n), side="right")
    return places


def zipf(n: int, exponent: float) -> Floats:
    """``n`` shares of 1, falling as 1 / rank to the ``exponent``."""
    weights = np.arange(1.0, n + 1.0) ** -exponent
    shares: Floats = weights / weights.sum()
    return shares


def _parts(place: int, n: int) -> Iterator[tuple[int, int]]:
    for first in range(0, n, MOST):
        yield place, min(MOST, n - first)
