"""Libraries that know one set of arms: a learner for each placement.

What a library cannot say is left to chance: the choice is uniform until the placement's first
outcome, since none predicts before it is fitted, and where an algorithm is defined to try every arm
first, variants without an outcome are shown before all others. Variants that come and go are added
to the learner and taken from it; what is told of one after it went is of no use to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from simulations.bandits.base import Batch, Floats, Spot, Whole, World
from simulations.bandits.rivals.columns import Columns
from simulations.bandits.rivals.drawing import uniform

Names = npt.NDArray[Any]
"""Ids of arms."""


class Learner(Protocol):
    """What a library learns of one placement."""

    def keep(self, arms: Sequence[str]) -> None:
        """Have these arms and no others from now on."""

    def learn(self, arms: Names, contexts: Floats, rewards: Floats) -> None:
        """M outcomes: arms shown, contexts (m x D), rewards (0 or 1)."""

    def choose(self, contexts: Floats) -> Sequence[str]:
        """An arm for each of n contexts (n x D); called after ``learn``."""


Make = Callable[[Sequence[str], int], Learner]
"""A learner of some arms, and the seed of its own random numbers."""


class _Told(NamedTuple):
    """Outcomes that have not been learned yet."""

    arms: Names
    contexts: Floats
    rewards: Floats


class _Course:
    """One placement: its learner once there is an outcome, and what it has yet to learn."""

    def __init__(self) -> None:
        self.arms: tuple[str, ...] = ()
        self.learner: Learner | None = None
        self.tried: set[str] = set()
        self.told: list[_Told] = []


class Apart:
    """A player with a learner for each placement."""

    def __init__(self, world: World, seed: int, make: Make, *, tries_all: bool = False) -> None:
        """``tries_all``: whether an arm without an outcome goes before all others."""
        self._columns = Columns(world)
        self._seed = seed
        self._make = make
        self._tries_all = tries_all
        self._courses: dict[str, _Course] = {}

    def choose(self, batch: Batch) -> Whole:
        """See ``Player``."""
        course = self._at(batch.spot)
        untried = [k for k, arm in enumerate(course.arms) if arm not in course.tried]
        if course.learner is None or len(course.arms) == 1:
            return uniform(batch)
        if self._tries_all and untried:
            return np.array(untried)[(batch.draw * len(untried)).astype(np.int64)]
        places = {arm: place for place, arm in enumerate(course.arms)}
        names = course.learner.choose(self._columns.of(batch, range(len(batch.draw))))
        return np.array([places[name] for name in names], dtype=np.int64)

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """See ``Player``."""
        names = np.array([arm.id for arm in batch.spot.arms])[chosen]
        contexts = self._columns.of(batch, rows)
        self._courses[batch.spot.id].told.append(_Told(names, contexts, rewards))

    def refresh(self) -> None:
        """Every learner learns what was told, at once."""
        for placement, course in self._courses.items():
            if course.told and len(course.arms) > 1:
                self._teach(placement, course)

    def close(self) -> None:
        """Nothing is held."""

    def _at(self, spot: Spot) -> _Course:
        course = self._courses.setdefault(spot.id, _Course())
        arms = tuple(arm.id for arm in spot.arms)
        if arms != course.arms:
            course.arms = arms
            if course.learner is not None and len(arms) > 1:
                course.learner.keep(arms)
                course.tried &= set(arms)
        return course

    def _teach(self, placement: str, course: _Course) -> None:
        arms, contexts, rewards = (np.concatenate(part) for part in zip(*course.told, strict=True))
        course.told.clear()
        live = np.isin(arms, np.array(course.arms))
        if not live.any():
            return
        if course.learner is None:
            course.learner = self._make(course.arms, _seed(self._seed, placement))
        course.learner.learn(arms[live], contexts[live], rewards[live])
        course.tried.update(arms[live].tolist())


def _seed(seed: int, placement: str) -> int:
    """A seed below 2^31 for one placement."""
    digest = blake2b(f"{seed}/{placement}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1
