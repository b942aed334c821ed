"""A log to sweep over, in a file so that other processes can open it, and the truth about it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bandit_service.archive.export import write_jsonl
from bandit_service.evaluation.evaluate import EvaluationSettings, result
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.evaluation.logs.ours import SiteLog
from bandit_service.evaluation.logs.sources import LinesSource
from bandit_service.evaluation.survey import Survey, survey
from bandit_service.evaluation.sweeping.grid import Plan, Point
from bandit_service.evaluation.sweeping.passes import OpenLog
from bandit_service.evaluation.sweeping.results import SweepResult
from bandit_service.evaluation.sweeping.sweep import SweepSettings, sweep
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.settings import PolicySettings, SiteSettings
from tests.world import World

RATES: Final = {"h0": 0.1, "h1": 0.5, "h2": 0.1, "h3": 0.05}
"""How often each variant is clicked."""
EVEN: Final = dict.fromkeys(RATES, 0.25)
"""No variant is better than another, so no policy is, whatever it learns."""
BASE: Final = SiteSettings(
    rewards=RewardSettings(window_seconds=5.0, max_reward=1.0),
    policy=PolicySettings(
        exploration="squarecb",
        typical_reward=0.2,
        learning_rate=0.05,
        gamma=1.0,
        slot_seconds=1.0,
        floor=0.0,
    ),
)
"""Follows what it learned half-heartedly."""


def settings(*, rewards: dict[str, float] | None = None, **policy: object) -> SiteSettings:
    """The base with some of the policy changed, or with other rewards to learn from."""
    changed = msgspec.structs.replace(BASE.policy, **policy)
    worth = (
        BASE.rewards if rewards is None else msgspec.structs.replace(BASE.rewards, worth=rewards)
    )
    return SiteSettings(rewards=worth, policy=changed)


GOOD: Final = Point("greedy", settings(gamma=60.0))
"""Follows what it learned: clearly better than the base."""
POOR: Final = Point("timid", settings(floor=1.0))
"""Shows all alike: clearly worse than the base."""
HARMFUL: Final = Point("harmful", settings(gamma=60.0, rewards={"impression": 0.5, "click": -1.0}))
"""Learns to avoid clicks."""


def a_log(
    folder: Path,
    *,
    visits: int = 1500,
    seed: int = 1,
    rates: dict[str, float] = RATES,
    gap: float = 1.0,
) -> Path:
    """A file with the log of a site that showed variants nearly alike and never learned.

    ``gap`` are the seconds between two visits.
    """
    world = World(BASE, seed=seed)
    chance = random.Random(seed + 1)
    for _ in range(visits):
        world.pass_time(gap * chance.choice((0.5, 1.0, 1.5)))
        world.visit(rates, traits={"genres": [chance.choice(("romantic", "comedy"))]})
    world.pass_time(20.0)
    world.visit(rates)  # closes all that is open
    path = folder / f"log-{seed}-{visits}-{gap}-{'-'.join(map(str, rates.values()))}.jsonl"
    with path.open("wb") as out:
        write_jsonl(world.rows(), out)
    return path


@contextmanager
def opened(path: Path) -> Iterator[LoggedData]:
    """The log in a file, read under the base's rewards."""
    with closing(SiteLog(LinesSource([path], path.name), BASE)) as log:
        yield log


def opener(path: Path) -> OpenLog:
    return partial(opened, path)


def surveyed(path: Path) -> Survey:
    with opened(path) as log:
        return survey(log, progress=lambda _: None)


def swept(path: Path, *points: Point, plan: Plan | None = None, **changes: object) -> SweepResult:
    """A sweep of the base and some points."""
    options = msgspec.structs.replace(SweepSettings(), **changes)
    found = surveyed(path)
    with opened(path) as log:
        return sweep(
            log,
            plan or Plan([Point("base", BASE), *points], []),
            found,
            options,
            open_log=opener(path),
            evaluated=BASE,
            progress=lambda _: None,
            whole=result(log, [], found, [], EvaluationSettings(), forced=False, now_ms=0),
        )
