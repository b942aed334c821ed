"""One player in one world: what it earns, of what there was to earn.

Before a batch, the player is told all outcomes that are due by the batch's first impression, each
once: a reward at its delay after the impression, that there was none at the end of the world's
window, a lost one never. Then it may take them into use, and chooses for the whole batch. What is
known only after the last batch is told to nobody: nothing is chosen after it.

Counted are expected rewards, from the world's truth: the luck of single visitors is noise that
needs no averaging out. What they really did is counted besides. Sums are kept by placement and by
stretch of its impressions (``EDGES``), of those that the world reports on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from simulations.bandits.base import NEVER, Batch, Floats, Player, Spot, Whole, World
from simulations.bandits.results import Ground, Run

EDGES: Final[Whole] = np.array(
    [
        *(100, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000),
        *(20_000, 30_000, 50_000, 70_000, 100_000, 200_000, 500_000, 1_000_000),
    ]
)
"""Where stretches end, in impressions of one placement; the last one has no end."""
_ENOUGH: Final = 100
"""Fewest impressions for each of some variants whose shares are looked at."""


def race(
    world: World,
    player: Player,
    *,
    policy: str,
    seed: int,
    clock: Callable[[], float] = time.process_time,
) -> tuple[Ground, Run]:
    """Let ``player`` play through ``world``; ``policy`` and ``seed`` name it in the result.

    ``clock`` gives seconds, for how long the player takes.
    """
    tally = Tally()
    news = _News(world.window_ms)
    spent, n = 0.0, 0
    for batch in world.batches():
        began = clock()
        if news.tell(int(batch.at[0]), player):
            player.refresh()
        chosen = player.choose(batch)
        spent += clock() - began
        n += len(chosen)
        rewards = batch.rewards(chosen)
        news.expect(batch, chosen, rewards)
        if batch.spot.reported:
            tally.add(batch, chosen, rewards)
    return tally.ground(world.name, seed), tally.run(world.name, policy, seed, spent / max(n, 1))


class _Waiting(NamedTuple):
    """Outcomes of one batch that are not known yet, in the order in which they will be."""

    batch: Batch
    rows: Whole
    due: Whole
    """When each is known, in ms."""
    chosen: Whole
    rewards: Floats


class _News:
    """Outcomes on their way."""

    def __init__(self, window_ms: int) -> None:
        self._window = window_ms
        self._heap: list[tuple[int, int, _Waiting]] = []
        """By when the next outcome of a batch is due; batches are numbered as they came."""
        self._batches = 0

    def expect(self, batch: Batch, chosen: Whole, rewards: Floats) -> None:
        """Remember what is to be told of a batch."""
        due = batch.at + np.where(rewards > 0, batch.delay, self._window)
        told = np.flatnonzero(batch.delay != NEVER)
        rows = told[np.argsort(due[told], kind="stable")]
        if len(rows):
            waiting = _Waiting(batch, rows, due[rows], chosen[rows], rewards[rows])
            heappush(self._heap, (int(waiting.due[0]), self._batches, waiting))
            self._batches += 1

    def tell(self, now: int, player: Player) -> bool:
        """Tell what is due by ``now`` (ms), and say whether that was anything."""
        ready = []
        while self._heap and self._heap[0][0] <= now:
            ready.append(heappop(self._heap))
        for _, number, waiting in ready:
            known = int(np.searchsorted(waiting.due, now, side="right"))
            batch, rows, due, chosen, rewards = waiting
            player.learn(batch, rows[:known], chosen[:known], rewards[:known])
            if known < len(rows):
                rest = _Waiting(batch, rows[known:], due[known:], chosen[known:], rewards[known:])
                heappush(self._heap, (int(rest.due[0]), number, rest))
        return bool(ready)


class _Place:
    """What one placement has come to so far: S stretches, grown as they are reached."""

    __slots__ = ("_counts", "_live", "least", "seen", "sums")

    def __init__(self) -> None:
        self.seen = 0
        self.sums: Floats = np.zeros((len(EDGES) + 1, 5))
        """Impressions, and expected rewards of uniform choice, of the best, of the chosen, and
        rewards."""
        self.least: float | None = None
        """Least share that a live variant had in a stretch, relative to an even one."""
        self._live: tuple[object, int] = ((), -1)
        self._counts: Whole = np.zeros(0, np.int64)

    def add(self, batch: Batch, chosen: Whole, rewards: Floats) -> None:
        n = len(chosen)
        values = np.stack(
            [
                np.ones(n),
                batch.truth.mean(axis=1),
                batch.truth.max(axis=1),
                batch.truth[np.arange(n), chosen],
                rewards,
            ],
            axis=1,
        )
        stretches = np.searchsorted(EDGES, self.seen + np.arange(1, n + 1))
        first, last = int(stretches[0]), int(stretches[-1])
        for stretch in range(first, last + 1):
            mine = slice(*np.searchsorted(stretches, [stretch, stretch + 1]))
            self.sums[stretch] += values[mine].sum(axis=0)
            self._share(batch.spot, stretch, chosen[mine])
        self.seen += n

    def _share(self, spot: Spot, stretch: int, chosen: Whole) -> None:
        """Count what was shown of the same variants within one stretch."""
        if self._live != (spot.arms, stretch):
            self._live = (spot.arms, stretch)
            self._counts = np.zeros(len(spot.arms), np.int64)
        self._counts += np.bincount(chosen, minlength=len(spot.arms))
        shown = int(self._counts.sum())
        even = shown / len(spot.arms)
        if even >= _ENOUGH:
            share = float(self._counts.min() / even)
            self.least = share if self.least is None else min(self.least, share)


class Tally:
    """What a player earned, by placement and stretch."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def add(self, batch: Batch, chosen: Whole, rewards: Floats) -> None:
        """Count a batch."""
        place = self._places.get(batch.spot.id)
        if place is None:
            place = self._places[batch.spot.id] = _Place()
        place.add(batch, chosen, rewards)

    def ground(self, world: str, seed: int) -> Ground:
        """What there was to earn; the same for all who play with this seed."""
        return Ground(
            world=world,
            seed=seed,
            placements=list(self._places),
            impressions=self._column(0),
            uniform=self._column(1),
            best=self._column(2),
        )

    def run(self, world: str, policy: str, seed: int, seconds: float) -> Run:
        """What the player made of it."""
        return Run(
            world=world,
            policy=policy,
            seed=seed,
            earned=self._column(3),
            rewards=self._column(4),
            least=[place.least for place in self._places.values()],
            seconds=seconds,
        )

    def _column(self, number: int) -> list[list[float]]:
        return [
            place.sums[: self._reached(place), number].tolist() for place in self._places.values()
        ]

    @staticmethod
    def _reached(place: _Place) -> int:
        """How many stretches have impressions."""
        return int(np.searchsorted(EDGES, place.seen)) + 1
