"""A world of a few easy placements, and a race through it, for tests of players."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Player, Spot, Whole, World

ROWS = 40
"""Impressions of a batch."""
LOW, HIGH = 0.05, 0.9
"""Click rates of the best variant, and of all others."""
START_MS = 1_800_000_000_000
STEP_MS = 1000


def a_spot(name: str = "film", arms: Sequence[str] = "vwxyz") -> Spot:
    """A placement with one variant a letter."""
    return Spot(
        name, tuple(Arm(arm, headline=f"The {arm} of: it|all", tags=(arm,)) for arm in arms)
    )


class SmallWorld:
    """Placements in turn; the best variant of each is that named, for each persona."""

    name = "small"
    words = "a few easy placements"
    window_ms = 10 * STEP_MS

    def __init__(
        self,
        best: Mapping[str, Sequence[str]],
        *,
        batches: int = 60,
        arms: Callable[[int], Sequence[str]] = lambda _: "vwxyz",
        keys: tuple[str, ...] = ("device",),
    ) -> None:
        """``best``: of each placement and persona; ``arms``: live in its batch of that number."""
        self._best = best
        self._batches = batches
        self._arms = arms
        self.keys = keys
        self.personas = tuple(f"persona {n}" for n in range(len(next(iter(best.values())))))

    def batches(self) -> Iterator[Batch]:
        """Every placement's first batch, then every second, and so on."""
        random = {name: np.random.default_rng([5, n]) for n, name in enumerate(sorted(self._best))}
        for number in range(self._batches):
            for place, name in enumerate(self._best):
                at = START_MS + number * 2 * STEP_MS + place
                yield self._batch(name, self._arms(number), at, random[name])

    def _batch(self, name: str, arms: Sequence[str], at: int, random: np.random.Generator) -> Batch:
        persona = random.integers(0, len(self.personas), ROWS)
        rates = np.full((len(self.personas), len(arms)), LOW)
        for number, best in enumerate(self._best[name]):
            if best in arms:
                rates[number, arms.index(best)] = HIGH
        devices = random.choice(["phone", "tv: big | flat"], ROWS)
        return Batch(
            spot=a_spot(name, arms),
            at=np.full(ROWS, at),
            persona=persona,
            visitor=np.full(ROWS, -1),
            context=[(str(device),) * len(self.keys) for device in devices],
            truth=rates[persona],
            luck=random.random(ROWS),
            draw=random.random(ROWS),
            delay=np.zeros(ROWS, dtype=np.int64),
        )


class Played(NamedTuple):
    """What a player did in one batch."""

    batch: Batch
    chosen: Whole


Told = Callable[[Batch, Floats], Floats]
"""Rewards that the player is told, from those there were."""


def play(
    world: SmallWorld,
    make: Callable[[World, int], Player],
    *,
    seed: int = 1,
    told: Told = lambda _, rewards: rewards,
    lag: int = 0,
    lost: float = 0.0,
) -> list[Played]:
    """Choose and learn through a world.

    ``lag``: batches until outcomes are told; ``lost``: share that never are.
    """
    player, played = make(world, seed), list[Played]()
    for number, batch in enumerate(world.batches()):
        played.append(Played(batch, player.choose(batch)))
        if number >= lag:
            past, chosen = played[number - lag]
            rows = np.flatnonzero(past.luck * 7919 % 1.0 >= lost)
            rewards = told(past, past.rewards(chosen))
            for half in np.array_split(rows, 2):
                player.learn(past, half, chosen[half], rewards[half])
            player.refresh()
    player.close()
    return played


def best_share(played: Sequence[Played], *, last: float = 1 / 3) -> float:
    """How often the best variant was shown, in the last part."""
    late = played[round(len(played) * (1 - last)) :]
    hits = [p.batch.truth[np.arange(ROWS), p.chosen] == p.batch.truth.max(axis=1) for p in late]
    return float(np.mean(hits))


def of(played: Sequence[Played], placement: str) -> list[Played]:
    """What was done on one placement."""
    return [p for p in played if p.batch.spot.id == placement]
