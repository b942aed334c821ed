"""``python -m simulations adapts``: how soon policies adapt, and what readiness costs.

Three worlds of the same site: preferences reverse (``drift:flip``), a winner stops earning
(``drift:break``), and nothing happens (``drift:still``). The price of readiness is what the policy
captures in the last one less than ``PATIENT``: itself, but that it never forgets and never alarms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

import click
import msgspec
import numpy as np
from rich.table import Table

from bandit_service.policy.settings import SiteSettings
from simulations.bandits.base import Player
from simulations.bandits.claims import Adaptation, Record, adaptation, price, retreat, watched
from simulations.bandits.command import names_of, said, wide_console
from simulations.bandits.ours import Ours
from simulations.bandits.policies import make, without_holdout
from simulations.bandits.worlds import Setup, world
from simulations.bandits.worlds.drift import Drift
from simulations.options import processes_option, shown
from simulations.pool import each

KINDS: Final = ("flip", "break", "still")
PATIENT: Final = "patient"
NEVER: Final = 1e12
COLUMNS: Final = (
    *("policy", "level", "learned", "again", "multiple"),
    *("break: median", "worst tenth", "never", "price"),
)


class Task(NamedTuple):
    """One race."""

    policy: str
    kind: str
    seed: int
    quick: bool

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.policy} in drift:{self.kind}, seed {self.seed}"


def recorded(task: Task) -> tuple[Task, Record]:
    """The record of a race."""
    place = _world(task)
    if task.policy == PATIENT:
        player: Player = Ours(place, patient(), seed=task.seed)
    else:
        player = make(task.policy)(place, task.seed)
    return task, watched(place, player, policy=task.policy, seed=task.seed)


def patient() -> SiteSettings:
    """The default settings, but that nothing is forgotten and no change believed."""
    settings = without_holdout(SiteSettings())
    policy = msgspec.structs.replace(settings.policy, memory=NEVER, alarm=NEVER)
    return msgspec.structs.replace(settings, policy=policy)


def _world(task: Task) -> Drift:
    return cast("Drift", world(f"drift:{task.kind}", Setup(seed=task.seed, quick=task.quick)))


@click.command(name="adapts")
@click.option("--policies", default="ours,beta-hier", show_default=True, help="See run --list.")
@click.option("--seeds", type=click.IntRange(1, 100), default=2, show_default=True)
@click.option("--quick", is_flag=True, help="Small worlds, which say little.")
@processes_option
@said
def adapts_command(*, policies: str, seeds: int, quick: bool, processes: int) -> None:
    """Measure how soon policies adapt to changed preferences and broken variants.

    \b
    Example: python -m simulations adapts --policies ours,beta --seeds 2
    """
    names = names_of(policies)
    for name in names:
        make(name)  # a sentence for what cannot play, before anything does
    tasks = [
        Task(name, kind, seed, quick)
        for kind in KINDS
        for name in (*names, *((PATIENT,) if kind == "still" else ()))
        for seed in range(seeds)
    ]
    console = wide_console()
    found = each(tasks, recorded, processes=min(processes, len(tasks)))
    records = dict(shown(found, "Playing", len(tasks)))
    console.print(_table(names, seeds, records, quick=quick))
    console.print(
        "flip: impressions of a placement until 80 % of the level was earned at first, and again "
        "after preferences reversed. break: impressions of a broken variant until its share had "
        "halved. price: headroom points less than this service would earn if it never forgot, in a "
        "world that does not change.",
        soft_wrap=True,
    )


def _table(
    names: Sequence[str], seeds: int, records: Mapping[Task, Record], *, quick: bool
) -> Table:
    table = Table(title=f"{seeds} seeds of drift:flip, drift:break and drift:still")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "policy" else "right")
    for name in names:
        by_kind = {kind: [Task(name, kind, seed, quick) for seed in range(seeds)] for kind in KINDS}
        flips = [(records[task], _world(task).changes) for task in by_kind["flip"]]
        lost = price(
            [records[task] for task in by_kind["still"]],
            [records[task._replace(policy=PATIENT)] for task in by_kind["still"]],
            rng=np.random.default_rng(1),
        )
        table.add_row(
            name,
            *_adapted(adaptation(flips, rng=np.random.default_rng(1))),
            *_retreated(by_kind["break"], records),
            f"{100 * lost.value:+.1f} [{100 * lost.low:+.1f}, {100 * lost.high:+.1f}]",
        )
    return table


def _adapted(found: Adaptation) -> Iterator[str]:
    yield f"{found.level:.0%}"
    yield "never" if found.learned is None else f"{found.learned:,}"
    yield "never" if found.recovered is None else f"{found.recovered:,}"
    multiple = found.multiple
    if multiple is None:
        yield ""
    else:
        yield f"{multiple.value:.1f} [{multiple.low:.1f}, {multiple.high:.1f}]"


def _retreated(tasks: Sequence[Task], records: Mapping[Task, Record]) -> Iterator[str]:
    worlds = [_world(task) for task in tasks]
    found = retreat(
        [(records[task], place.changes) for task, place in zip(tasks, worlds, strict=True)],
        [place.broken for place in worlds],
        below=lambda usual: usual / 2,
    )
    yield f"{found.median:,.0f}"
    yield f"{found.worst_tenth:,.0f}"
    yield f"{found.never} of {found.units}"
