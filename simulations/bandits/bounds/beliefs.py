"""What can be known of one variant, and what is expected next.

After n impressions with c clicks its rate is Beta(a + c, b + n - c): its mean is what the next
impression earns, and the clicks of the next g impressions are beta-binomial. States are (n, c), n
in units. Counts that are unlikelier than ``RARE`` are left out: c beyond what a variant has with
that chance after all T impressions, and of one unit's clicks those beyond what a variant has that
did as well as that so far; the last count stands for what is left out.

A *value* of states is an array of n x c whose last column repeats as often as a unit may bring
clicks, so that what comes next can be looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import betaln, gammaln

from simulations.bandits.base import Floats, Whole
from simulations.bandits.bounds.game import Game

RARE: Final = 1e-7
"""Chance, of one variant in one game, beyond which clicks are not told apart."""


class Beliefs:
    """The states of a variant in a game of N units.

    mean: (N + 1) x C, expected rate.
    counts: C, clicks that are told apart.
    """

    def __init__(self, game: Game) -> None:
        """Of a variant that may be given up to a whole step of ``game`` at once."""
        self.unit = game.unit
        self.units = game.steps * game.parts
        self._a, self._b = game.prior
        self.likely: Whole = np.array(
            [self._most(0, 0, n * self.unit) for n in range(self.units + 1)]
        )
        """N + 1: clicks that are likely, after so many units."""
        self.counts = int(self.likely[-1]) + 1
        shown = np.arange(self.units + 1)[:, None] * self.unit
        self._clicks = np.minimum(np.arange(self.counts), shown)
        self._misses = shown - self._clicks
        self.mean: Floats = (self._a + self._clicks) / (self._a + self._b + shown)
        self.chances: Sequence[Floats] = [
            self._chances(part * self.unit) for part in range(1, game.parts + 1)
        ]
        """For 1, 2, ... units: (N + 1) x C x J, how likely so many clicks are."""

    def ahead(self, value: Floats, top: int) -> Floats:
        """What a value is expected to be after one more unit, of states with n < ``top``.

        Args:
            value: (``top`` + 1 or more) x (C + J - 1).
            top: how many n, from 0 on.
        """
        chances = self.chances[0][:top]
        windows = sliding_window_view(value[1 : top + 1], chances.shape[2], axis=1)
        found: Floats = np.einsum("ncj,ncj->nc", chances, windows)
        return found

    def after(self, likely: Floats) -> Floats:
        """How likely states are after one more unit, from how likely they were before it.

        Args:
            likely: n x C, from n = 0 on.

        Returns:
            n x C, from n = 1 on. Clicks beyond C are lost, which are unlikelier than ``RARE``.
        """
        arriving = self._arriving[: len(likely)]
        most = arriving.shape[2]
        windows = sliding_window_view(np.pad(likely, ((0, 0), (most - 1, 0))), most, axis=1)
        found: Floats = np.einsum("ncj,ncj->nc", arriving, windows)
        return found

    @cached_property
    def _arriving(self) -> Floats:
        """(N + 1) x C x J: how likely C clicks become, from J - 1 fewer, J - 2 fewer, ..., none."""
        chances = self.chances[0]
        most = chances.shape[2]
        fewer = np.arange(most - 1, -1, -1)
        before = np.arange(self.counts)[:, None] - fewer
        return np.where(before < 0, 0.0, chances[:, np.maximum(before, 0), fewer])

    def padded(self, value: Floats) -> Floats:
        """A value of n x C with its last column repeated."""
        return np.pad(value, ((0, 0), (0, self.chances[0].shape[2] - 1)), mode="edge")

    def _chances(self, impressions: int) -> Floats:
        tops = [
            self._most(int(self.likely[n]), n * self.unit, impressions)
            for n in range(self.units + 1)
        ]
        clicks = np.arange(max(tops) + 1)
        more, less = self._a + self._clicks[..., None], self._b + self._misses[..., None]
        chances = np.exp(_beta_binomial(clicks, impressions, more, less))
        chances[..., -1] += 1.0 - chances.sum(axis=-1)
        return chances

    def _most(self, clicks: int, shown: int, impressions: int) -> int:
        """Clicks of so many impressions, after so much was seen, that are seldom exceeded."""
        counts = np.arange(impressions + 1)
        prior = self._a + clicks, self._b + shown - clicks
        tail = np.cumsum(np.exp(_beta_binomial(counts, impressions, *prior))[::-1])[::-1]
        return min(int(np.searchsorted(-tail, -RARE)), impressions)


def _beta_binomial(clicks: Whole, n: int, a: Any, b: Any) -> Floats:
    """Logarithms of the chances of clicks in n impressions at a rate that is Beta(a, b)."""
    ways = gammaln(n + 1) - gammaln(clicks + 1) - gammaln(n - clicks + 1)
    found: Floats = ways + betaln(a + clicks, b + n - clicks) - betaln(a, b)
    return found
