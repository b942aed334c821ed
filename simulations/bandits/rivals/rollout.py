"""Test, then roll out the winner: what a site does without any bandit.

The first half of a placement's traffic is uniform; then the variant that earned most an impression,
by the outcomes known at that moment, is shown for good. Its length has to be known ahead, and is
guessed where it is not: rolling out is done for placements of ``LENGTH`` impressions, whatever
comes. A change of variants starts a new test of the same length, in which older outcomes count too:
nobody adds a variant that is never shown.

Ties go to the variant listed first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from simulations.bandits.base import Batch, Floats, Player, Spot, Whole, World
from simulations.bandits.rivals.counts import Counts
from simulations.bandits.rivals.drawing import uniform
from simulations.bandits.rivals.entry import Rival

LENGTH: Final = 10_000
"""Impressions that a placement is expected to have."""


class _Test:
    """The test of one placement with the variants it has now."""

    def __init__(self, spot: Spot) -> None:
        self.arms = tuple(arm.id for arm in spot.arms)
        self.seen = 0
        self.winner: int | None = None


class Rollout:
    """Uniform for ``length / 2`` impressions of a placement, then its winner."""

    def __init__(self, *, length: int = LENGTH) -> None:
        """``length``: impressions that a placement is expected to have."""
        self._half = length // 2
        self._counts = Counts()
        self._tests: dict[str, _Test] = {}

    def choose(self, batch: Batch) -> Whole:
        """See ``Player``."""
        test = self._test(batch.spot)
        chosen = uniform(batch)
        left = max(self._half - test.seen, 0)
        test.seen += len(chosen)
        if left < len(chosen):
            chosen[left:] = self._winner(test, batch.spot)
        return chosen

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """See ``Player``."""
        self._counts.add(batch, rows, chosen, rewards)

    def refresh(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""

    def _test(self, spot: Spot) -> _Test:
        test = self._tests.get(spot.id)
        if test is None or test.arms != tuple(arm.id for arm in spot.arms):
            test = self._tests[spot.id] = _Test(spot)
        return test

    def _winner(self, test: _Test, spot: Spot) -> int:
        if test.winner is None:
            clicks, misses = self._counts.of(spot)
            rates = clicks[0] / np.maximum(clicks[0] + misses[0], 1.0)
            test.winner = int(np.argmax(rates))
        return test.winner


def _rollout(world: World, seed: int) -> Player:  # noqa: ARG001 - it needs neither
    return Rollout()


RIVALS: Final[Mapping[str, Rival]] = {
    "rollout": Rival(
        f"test, then roll out: uniform for {LENGTH // 2:,} impressions, then the winner", _rollout
    )
}
