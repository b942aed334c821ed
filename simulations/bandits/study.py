"""Every policy in every world with every seed, on all cores.

A task is one policy in one world with one seed; the result is the same in whatever order tasks end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bandit_service.errors import InvalidInput
from simulations.bandits import policies, results
from simulations.bandits.race import EDGES, race
from simulations.bandits.results import Ground, Run, Study
from simulations.bandits.worlds import Setup, world
from simulations.pool import each


class Plan(NamedTuple):
    """What is to be run."""

    worlds: Sequence[str]
    policies: Sequence[str]
    seeds: Sequence[int]
    quick: bool = False
    upworthy: Path | None = None

    def setup(self, seed: int) -> Setup:
        """How worlds of a seed are made."""
        return Setup(seed, self.quick, self.upworthy)


class Task(NamedTuple):
    """One policy in one world with one seed."""

    world: str
    policy: str
    setup: Setup

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.policy} in {self.world}, seed {self.setup.seed}"


Played = tuple[Ground, Run]


def tasks(plan: Plan) -> list[Task]:
    """All of them, once each."""
    return [
        Task(name, policy, plan.setup(seed))
        for name in dict.fromkeys(plan.worlds)
        for seed in plan.seeds
        for policy in dict.fromkeys(plan.policies)
    ]


def described(plan: Plan) -> list[results.World]:
    """The worlds of a plan, in words; a plan that cannot be run fails here, before it takes time.

    Raises:
        InvalidInput: if a world or a policy is not known, or cannot be made here.
    """
    for name in plan.policies:
        policies.make(name)
    made = [world(name, plan.setup(plan.seeds[0])) for name in dict.fromkeys(plan.worlds)]
    return [results.World(name=one.name, words=one.words) for one in made]


def play(task: Task) -> Played:
    """Run one task.

    Raises:
        InvalidInput: if the world has no impression that is reported on.
    """
    place = world(task.world, task.setup)
    player = policies.make(task.policy)(place, task.setup.seed)
    try:
        played = race(place, player, policy=task.policy, seed=task.setup.seed)
    finally:
        player.close()
    if not played[0].placements:
        raise InvalidInput(f"{task.world} reports on nothing", hint="it is all history: add to it")
    return played


def run(parts: Sequence[Task], *, processes: int) -> Iterator[Played]:
    """What came of each task, as they end.

    Raises:
        EvaluationError: naming the first task that failed.
    """
    return each(parts, play, processes=processes)


def study(plan: Plan, worlds: list[results.World], played: Sequence[Played]) -> Study:
    """All results together, in the order of the plan.

    Raises:
        InvalidInput: if two players did not meet the same visitors.
    """
    grounds: dict[tuple[str, int], Ground] = {}
    for ground, _ in played:
        results.same(grounds.setdefault((ground.world, ground.seed), ground), ground)
    runs = {(run.world, run.policy, run.seed): run for _, run in played}
    names, rivals = [one.name for one in worlds], list(dict.fromkeys(plan.policies))
    return Study(
        edges=EDGES.tolist(),
        worlds=worlds,
        policies=rivals,
        grounds=[grounds[name, seed] for name in names for seed in plan.seeds],
        runs=[
            runs[name, policy, seed] for name in names for policy in rivals for seed in plan.seeds
        ],
    )
