"""Every policy in every world with every seed, on all cores.

A task is one policy in one world with one seed, in a process of its own kind: nothing that one task
does can change another, so the result is the same whatever the number of processes and in whatever
order tasks end. A task that fails ends the study, by name: a table with a policy silently left out
would be read as if it had lost.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bandit_service.errors import BanditError, EvaluationError, InvalidInput
from simulations.bandits import policies, results
from simulations.bandits.race import EDGES, race
from simulations.bandits.results import Ground, Run, Study
from simulations.bandits.worlds import Setup, world

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of each task's own is made in it
"""Where temporary files cost no disk: models are written to one at every refresh."""


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
    with _in_memory():
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
    if processes == 1:
        for task in parts:
            yield _played(task)
        return
    # Spawned, not forked: a fork would copy the threads of the progress bar as they stand.
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=fresh)
    try:
        futures = {pool.submit(play, task): task for task in parts}
        for done in as_completed(futures):
            yield _result(done, futures[done])
    finally:
        pool.shutdown(cancel_futures=True)


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


@contextmanager
def _in_memory() -> Iterator[None]:
    """Have temporary files in memory, where there is a folder for that."""
    before = tempfile.tempdir
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        tempfile.tempdir = str(MEMORY)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _played(task: Task) -> Played:
    try:
        return play(task)
    except Exception as exc:
        raise _failed(task, exc) from exc


def _result(done: Future[Played], task: Task) -> Played:
    try:
        return done.result()
    except Exception as exc:
        raise _failed(task, exc) from exc


def _failed(task: Task, exc: Exception) -> EvaluationError:
    if isinstance(exc, BanditError):
        return EvaluationError(f"{task.name}: {exc.message}", hint=exc.hint)
    return EvaluationError(
        f"{task.name}: {type(exc).__name__}: {exc}",
        hint="leave that policy or that world out, or mend it; nothing was written",
    )
