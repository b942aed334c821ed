"""``python -m simulations bound``: how much of the headroom any policy can get.

Bounds of drawn placements (``bounds``), of the newsroom, and beside them what policies really earn
in a world drawn the same way (``worlds.prior``), through the same races as in every study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, cast

import click
from rich.console import Console

from bandit_service.errors import InvalidInput
from simulations.bandits import estimates, table
from simulations.bandits.bounds import newsroom, sheets
from simulations.bandits.bounds.cell import Bounds, Cell, bounds
from simulations.bandits.bounds.sheet import Sheet, in_terminal, markdown
from simulations.bandits.command import names_of, said, wide_console
from simulations.bandits.study import Plan, described, run, study, tasks
from simulations.bandits.told import Means
from simulations.bandits.worlds import Setup, archive, world
from simulations.bandits.worlds.newsroom import Newsroom
from simulations.options import processes_option, shown, upworthy_option
from simulations.pool import each

HORIZONS: Final = (2_000, 10_000, None)
"""Impressions of a test of the newsroom; None: as many as it had."""
QUICK_HORIZONS: Final = (1_000,)
SEED: Final = 1
"""Of what is simulated, and of the newsroom whose tests are taken."""
WORLDS: Final = "prior:5:0.01:2000"
POLICIES: Final = "index,ours,beta-sharp16"
AGAINST: Final = "ours"
MAX_SEEDS: Final = 100


@click.command(name="bound")
@click.option("--worlds", default=WORLDS, show_default=True, help="Where policies play.")
@click.option("--policies", default=POLICIES, show_default=True, help="See run --list.")
@click.option(
    "--seeds",
    type=click.IntRange(0, MAX_SEEDS),
    default=1,
    show_default=True,
    help="Of what is played; 0: nothing is.",
)
@click.option("--quick", is_flag=True, help="Few and coarse: seconds, and rough numbers.")
@upworthy_option
@processes_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the tables there, as Markdown.",
)
@said
def bound_command(
    *,
    worlds: str,
    policies: str,
    seeds: int,
    quick: bool,
    upworthy: Path | None,
    processes: int,
    out: Path | None,
) -> None:
    """Bound what any policy can get of the headroom that sees nothing but clicks.

    \b
    Example: python -m simulations bound --out bounds.md
    """
    if out is not None and not out.parent.is_dir():
        raise InvalidInput(f"--out {out}: there is no folder {out.parent}", hint="make it first")
    plan = Plan(names_of(worlds), names_of(policies), range(1, 1 + seeds), quick, upworthy)
    words = described(plan) if seeds else []
    console = wide_console()
    rooms = _rooms(console, upworthy, quick=quick)
    # First, though told last: a policy that cannot play there says so now.
    parts = tasks(plan)
    races = run(parts, processes=min(processes, max(len(parts), 1)))
    played = list(shown(races, "Playing", len(parts)))
    found = _sheets(rooms, sheets.QUICK if quick else sheets.FULL, processes)
    for sheet in found:
        console.print(f"{sheet.title}\n{sheet.words}", soft_wrap=True)
        console.print(in_terminal(sheet))
    console.print(sheets.LEGEND, soft_wrap=True)
    text = f"{markdown(found)}\n{sheets.LEGEND}\n"
    if seeds:
        against = AGAINST if AGAINST in plan.policies else ""
        text += "\n" + _told(console, estimates.tables(study(plan, words, played), against=against))
    if out is not None:
        out.write_text(text, encoding="utf-8")
        console.print(f"Written to {out}.", soft_wrap=True)


def _told(console: Console, played: Sequence[estimates.WorldTable]) -> str:
    """Show what was played, and give it as Markdown."""
    for one in played:
        console.print(f"{table.title(one)}\n{table.size(one)}", soft_wrap=True)
        console.print(table.in_terminal(one))
    return table.markdown(played)


class Room(NamedTuple):
    """The newsroom at one horizon."""

    mix: newsroom.Mix
    means: Means


def _rooms(console: Console, upworthy: Path | None, *, quick: bool) -> list[Room]:
    """The newsroom at each horizon; none, aloud, if its tests are not here."""
    try:
        archive.found(upworthy)
    except InvalidInput as exc:
        if upworthy is not None:
            raise
        console.print(f"Left out: the newsroom: {exc.message}; {exc.hint}.", soft_wrap=True)
        return []
    found = []
    for horizon in QUICK_HORIZONS if quick else HORIZONS:
        name, words = ("newsroom", "all") if horizon is None else _at(horizon)
        room = cast("Newsroom", world(name, Setup(SEED, quick, upworthy)))
        found.append(Room(newsroom.mix(words, room.truths, room.shape), room.means))
    return found


def _at(horizon: int) -> tuple[str, str]:
    return f"newsroom:{horizon}", f"{horizon:,}"


def _sheets(rooms: Sequence[Room], effort: sheets.Effort, processes: int) -> list[Sheet]:
    """Compute what the tables say."""
    first, second = sheets.games(effort, seed=SEED), sheets.solved(effort, seed=SEED)
    grid = None
    if rooms:
        fine = newsroom.Fine(sheets.STEPS, effort.futures, effort.ratio)
        grid = newsroom.Grid([room.mix for room in rooms], fine, seed=SEED)
    cells = {*first, *second, *(grid.every() if grid else ())}
    # The longest first: else one process might end with it while the others wait.
    parts = sorted(cells, key=lambda cell: (-cell.game.clicks, cell))
    done = each(parts, bounds, processes=min(processes, len(parts)))
    found = dict(shown(done, "Bounding", len(parts)))
    told = [sheets.games_sheet(first, found), sheets.solved_sheet(second, found)]
    if grid is None:
        return told
    return [*told, sheets.newsroom_sheet(_rows(rooms, grid, found, effort, processes))]


def _rows(
    rooms: Sequence[Room],
    grid: newsroom.Grid,
    found: Mapping[Cell, Bounds],
    effort: sheets.Effort,
    processes: int,
) -> list[sheets.Newsroom]:
    """The newsroom's bounds, and what the index earns there."""
    replays = [
        newsroom.Replay(room.mix, effort.impressions, means, SEED)
        for room in rooms
        for means in (None, room.means)
    ]
    again = each(replays, newsroom.reached, processes=min(processes, len(replays)))
    reached = {
        (replay.mix.words, replay.means is None): found
        for replay, found in shown(again, "Playing", len(replays))
    }
    return [
        sheets.Newsroom(
            mix,
            newsroom.limit(grid, mix, found),
            reached[mix.words, True],
            reached[mix.words, False],
        )
        for mix, _ in rooms
    ]
