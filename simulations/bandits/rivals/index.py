"""The finite-horizon Gittins index, which is told what no site knows.

It knows each placement's mean click rate and length, and how far variants differ: its value is that
of a policy that could hardly be better (``bounds.index`` says what it does, and what it is close
to). ``index-untold`` has to find out the mean. Neither is a candidate. Outcomes that are still to
come are taken as they are expected to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from bandit_service.errors import InvalidInput
from simulations.bandits.base import Batch, Floats, Player, Spot, Whole, World
from simulations.bandits.bounds.index import PARTS, Belief, Informed, Known, divided
from simulations.bandits.bounds.untold import Untold
from simulations.bandits.rivals.counts import Counts
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.told import Telling

_TINY: Final = 1e-9
"""Least mean click rate: a test without a click has none."""

Believe = Callable[[str], Belief]
"""From the id of a placement."""


class Index:
    """A player for worlds that tell."""

    def __init__(self, world: Telling, believe: Believe) -> None:
        """``world`` is asked how long placements are, and for nothing else."""
        self._world = world
        self._believe = believe
        self._counts = Counts()
        self._shown: dict[str, Floats] = {}
        """K impressions of each placement's variants, outcomes known or not."""

    def choose(self, batch: Batch) -> Whole:
        """See ``Player``."""
        n, arms = len(batch.draw), len(batch.spot.arms)
        shown = self._shown.setdefault(batch.spot.id, np.zeros(arms))
        left = np.array([max(self._world.told(batch.spot.id).impressions - shown.sum(), n)])
        parts = np.diff(n * np.arange(PARTS + 1)[:, None] // PARTS, axis=0).astype(np.float64)
        # Of equally good variants, one that the first visitor happens to draw.
        first = (np.arange(arms) - int(batch.draw[0] * arms)) % arms
        known = self._known(batch.spot, shown)
        given = divided(known, left, parts, np.array([-_TINY * first]))[0].astype(np.int64)
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

    def _known(self, spot: Spot, shown: Floats) -> Known:
        """What is known of K variants, 1 x K."""
        clicks, misses = self._counts.of(spot)
        known = self._believe(spot.id).known(clicks, clicks + misses)
        return Known(known.mean, known.worth + shown - clicks - misses)


def _told(world: Telling) -> Believe:
    def believe(placement: str) -> Belief:
        return Informed(np.array([max(world.told(placement).rate, _TINY)]), world.shape)

    return believe


def _untold(world: Telling) -> Believe:
    belief = Untold(world.means, world.shape)
    return lambda _: belief


def _index(name: str, words: str, believing: Callable[[Telling], Believe]) -> Rival:
    def make(world: World, seed: int) -> Player:
        del seed
        if not isinstance(world, Telling):
            raise InvalidInput(
                f"the policy {name!r} must be told of placements, and {world.name} does not tell",
                field="policies",
                hint="let it play in prior:… or newsroom:…, or leave it out",
            )
        return Index(world, believing(world))

    return Rival(f"no candidate: the finite-horizon Gittins index, told {words}", make)


RIVALS: Final[Mapping[str, Rival]] = {
    "index": _index(
        "index", "each placement's mean and length; in prior and newsroom worlds", _told
    ),
    "index-untold": _index(
        "index-untold", "each placement's length, and how means are spread; in the same", _untold
    ),
}
