"""The two ends of the scale: who knows nothing, and who knows everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from simulations.bandits.base import Batch, Floats, Whole, World
from simulations.bandits.rivals.entry import Rival


class Uniform:
    """Shows every live variant equally often."""

    def choose(self, batch: Batch) -> Whole:
        """By the random number that each impression brings."""
        arms = len(batch.spot.arms)
        return np.minimum((batch.draw * arms).astype(np.int64), arms - 1)

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """Nothing to learn."""

    def refresh(self) -> None:
        """Nothing to take into use."""

    def close(self) -> None:
        """Nothing to free."""


class Oracle(Uniform):
    """Knows the truth, and shows the best variant for each impression."""

    def choose(self, batch: Batch) -> Whole:
        """Of equally good ones the first."""
        best: Whole = np.argmax(batch.truth, axis=1)
        return best


def _uniform(world: World, seed: int) -> Uniform:
    del world, seed
    return Uniform()


def _oracle(world: World, seed: int) -> Oracle:
    del world, seed
    return Oracle()


RIVALS: Final[Mapping[str, Rival]] = {
    "uniform": Rival("every variant equally often: 0 % of the headroom", _uniform),
    "oracle": Rival("knows the truth: 100 % of the headroom", _oracle),
}
