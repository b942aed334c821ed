"""The finite-horizon Gittins index, which is told what no site knows.

It knows each placement's mean click rate and length, and how far variants differ: its value is that
of a policy that could hardly be better (``bounds.index`` says what it does, and what it is close
to). It is no candidate. Outcomes that are still to come are taken as they are expected to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from bandit_service.errors import InvalidInput
from simulations.bandits.base import Batch, Floats, Player, Spot, Whole, World
from simulations.bandits.bounds.index import PARTS, divided
from simulations.bandits.rivals.counts import Counts
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.told import Telling
from simulations.bandits.worlds.prior import pseudo_counts

_TINY: Final = 1e-9
"""Least mean click rate: a test without a click has none."""


class Index:
    """A player for worlds that tell."""

    def __init__(self, world: Telling) -> None:
        """``world`` is asked about its placements, and for nothing else."""
        self._world = world
        self._counts = Counts()
        self._shown: dict[str, Floats] = {}
        """K impressions of each placement's variants, outcomes known or not."""

    def choose(self, batch: Batch) -> Whole:
        """See ``Player``."""
        n, arms = len(batch.draw), len(batch.spot.arms)
        shown = self._shown.setdefault(batch.spot.id, np.zeros(arms))
        clicks, known = self._believed(batch.spot, shown)
        left = np.array([max(self._world.told(batch.spot.id).impressions - shown.sum(), n)])
        parts = np.diff(n * np.arange(PARTS + 1)[:, None] // PARTS, axis=0).astype(np.float64)
        # Of equally good variants, one that the first visitor happens to draw.
        first = (np.arange(arms) - int(batch.draw[0] * arms)) % arms
        tie = np.array([-_TINY * first])
        given = divided(clicks, known, left, parts, tie)[0].astype(np.int64)
        shown += given
        chosen: Whole = np.repeat(np.arange(arms), given)[np.argsort(np.argsort(batch.draw))]
        return chosen

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """See ``Player``."""
        self._counts.add(batch, rows, chosen, rewards)

    def refresh(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""

    def _believed(self, spot: Spot, shown: Floats) -> tuple[Floats, Floats]:
        """Clicks and impressions of K variants, prior and what is expected included: 1 x K."""
        rate = max(self._world.told(spot.id).rate, _TINY)
        more, less = pseudo_counts(rate, self._world.shape)
        clicks, misses = self._counts.of(spot)
        told = clicks + misses
        mean = (more + clicks) / (more + less + told)
        return more + clicks + mean * (shown - told), more + less + shown[None, :]


def _index(world: World, seed: int) -> Player:
    del seed
    if not isinstance(world, Telling):
        raise InvalidInput(
            f"the policy 'index' must be told about placements, and {world.name} does not tell",
            field="policies",
            hint="let it play in prior:… or newsroom:…, or leave it out",
        )
    return Index(world)


RIVALS: Final[Mapping[str, Rival]] = {
    "index": Rival(
        "no candidate: the finite-horizon Gittins index, told each placement's mean click rate and "
        "length; in prior and newsroom worlds",
        _index,
    )
}
