"""The studies: ``python -m simulations COMMAND``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bandit_service.errors import BanditError
from bandit_service.evaluation.coverage import Study, encode_study
from bandit_service.evaluation.results import Coverage
from simulations import logged
from simulations import watching as watched
from simulations.bandits.adapting import adapts_command
from simulations.bandits.bounding import bound_command
from simulations.bandits.command import run_command, show_command
from simulations.coverage import CONFIDENCE, merged, rows_of, run, tasks
from simulations.obd_offline import CAMPAIGNS, lines, table
from simulations.options import processes_option, shown
from simulations.watched import LOOKS
from simulations.watched import WORLDS as WATCHED
from simulations.watching import CLAIMS

ENOUGH = 0.93
"""A claimed interval of 95 % that holds less often than this is marked."""
QUICK_LOGS = 20
CONFIG = Path("config")
"""The configuration folder of a working copy, where studies are run."""
WIDTH = 150
"""Least width of wide tables, in characters."""
WIDEST = 220
"""Least width of the widest."""
KINDS = ("clopper-pearson", "normal", "bootstrap", "empirical-bernstein", "anytime")
LEGEND = (
    f"On how many logs intervals of {CONFIDENCE:.0%} held. In brackets: held back there, on all "
    f"logs; (!): claimed, but below {ENOUGH:.0%}; of anytime, on how many it never failed."
)

ALWAYS = 0.995
"""Part of the looks from which a claim is said to have always stood."""
WATCHED_LEGEND = (
    "In which part of its places (a variant with a persona, a placement, a site) a claim ever "
    "failed; (!): more than 5%. Of intervals, those places are counted in which one was ever "
    "shown. In brackets: at which part of all looks a claim was made, where not at nearly all."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Studies on simulated visitors, whose truth is known."""


@main.command()
@click.option(
    "--logs", type=click.IntRange(1), default=1000, show_default=True, help="Logs of each world."
)
@click.option("--quick", is_flag=True, help=f"{QUICK_LOGS} logs of each world, in seconds.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@processes_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the result there, as JSON.",
)
def coverage(*, logs: int, quick: bool, seed: int, processes: int, out: Path | None) -> None:
    """Measure how often the intervals of off-policy estimates hold.

    \b
    Example: python -m simulations coverage --out bandit_service/evaluation/coverage.json
    """
    if out and not out.parent.is_dir():
        raise click.BadParameter(f"no such folder: {out.parent}", param_hint="--out")
    logs = QUICK_LOGS if quick else logs
    parts = tasks(logs, seed=seed)
    console = Console(highlight=False)
    rows = rows_of(merged(shown(run(parts, processes=processes), "Simulating", len(parts))))
    console.print(*_tables(rows), sep="\n")
    console.print(LEGEND, soft_wrap=True)
    if out:
        out.write_bytes(encode_study(Study(confidence=CONFIDENCE, logs=logs, seed=seed, rows=rows)))
        console.print(f"Written to {out}: {len(rows)} rows.", soft_wrap=True)


@main.command()
@click.option(
    "--sites", type=click.IntRange(1), default=40, show_default=True, help="Sites of each world."
)
@click.option("--quick", is_flag=True, help="One site of each world, in a minute or two.")
@click.option(
    "--world", "worlds", type=click.Choice([*WATCHED]), multiple=True, help="Leave out for all."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@processes_option
def watching(
    *, sites: int, quick: bool, worlds: tuple[str, ...], seed: int, processes: int
) -> None:
    """Measure how often what reports claim ever fails, looked at every day for two months.

    \b
    Example: python -m simulations watching --world alike-0.01 --sites 10
    """
    parts = watched.tasks(1 if quick else sites, seed=seed, worlds=worlds or tuple(WATCHED))
    done = shown(watched.run(parts, processes=processes), "Watching", len(parts))
    tallies = watched.together(done)
    console = Console(highlight=False)
    console = Console(width=max(console.width, WIDEST), highlight=False)
    console.print(_claims(tallies))
    console.print(WATCHED_LEGEND, soft_wrap=True)


@main.command()
@click.option(
    "--rows", type=click.IntRange(1), default=1_000_000, show_default=True, help="Decisions."
)
@click.option("--click-rate", type=click.FloatRange(0, 0.5, min_open=True), default=0.02)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The Parquet file to write.",
)
def log(*, rows: int, click_rate: float, seed: int, out: Path) -> None:
    """Write a log of any length, and say what policies would have earned on it.

    \b
    Example: python -m simulations log --rows 100000 --out log.parquet
             bandit-service evaluate log.parquet --mapping simulated --policy fixed:h2
    """
    if not out.parent.is_dir():
        raise click.BadParameter(f"no such folder: {out.parent}", param_hint="--out")
    truth = logged.world(seed, click_rate=click_rate)
    logged.write(out, truth, rows, seed)
    click.echo(f"Written to {out}: {rows:,} rows. A decision earns on average")
    click.echo(f"  {truth.logged:.6f} under the policy that logged")
    click.echo(f"  {truth.uniform:.6f} under uniform choice")
    for number, arm in enumerate(logged.VARIANTS):
        click.echo(f"  {truth.always(number):.6f} if it is always {arm}")


@main.command()
@click.option(
    "--campaign",
    "campaigns",
    type=click.Choice(CAMPAIGNS),
    multiple=True,
    default=CAMPAIGNS,
    show_default="all three",
)
@click.option(
    "--policy",
    "learned",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path("config/demo/obd.toml"),
    show_default=True,
    help="Settings of a policy that learns, with and without the visitors' features.",
)
def obd(*, campaigns: tuple[str, ...], learned: Path) -> None:
    """Estimate policies on the Open Bandit Dataset, beside what they earned where they ran.

    \b
    Example: bandit-service data obd && python -m simulations obd --campaign men
    """
    console = Console(highlight=False)
    console = Console(width=max(console.width, WIDTH), highlight=False)
    try:
        found = lines(campaigns, learned=learned, config_path=CONFIG)
        for campaign, several in groupby(found, key=lambda line: line.campaign):
            console.print(table(campaign, [*several]))
    except BanditError as exc:
        raise click.ClickException(f"{exc.message}\n{exc.hint or ''}".strip()) from exc


main.add_command(run_command)
main.add_command(adapts_command)
main.add_command(bound_command)
main.add_command(show_command)


def _claims(tallies: watched.Tallies) -> Table:
    """A row for each world, a column for each claim."""
    table = Table(title=f"Where claims ever failed in {LOOKS} looks", title_justify="left")
    table.add_column("world")
    for claim in CLAIMS:
        table.add_column(claim, justify="right")
    for name in dict.fromkeys(world for world, _ in tallies):
        cells = (_claim(tallies[name, claim]) for claim in CLAIMS)
        table.add_row(WATCHED[name].words, *cells)
    return table


def _claim(tally: watched.Tally) -> str:
    """In which part of its places a claim ever failed, and at which part of the looks it stood."""
    if not tally.places:
        return "never"
    failed, stood = tally.failed / tally.places, tally.made / tally.looks
    text = f"{failed:.1%}" + ("" if stood > ALWAYS else f" ({stood:.1%})")
    return text if failed <= 1.0 - CONFIDENCE else f"[red]{text} (!)[/red]"


def _tables(rows: list[Coverage]) -> Iterator[Table]:
    """A table for each world: estimators down, intervals across."""
    for (world, n), mine in groupby(rows, key=lambda row: (row.world, row.n)):
        table = Table(title=f"{world} ({n:,} rows)", title_justify="left")
        table.add_column("estimator")
        for kind in KINDS:
            table.add_column(kind, justify="right")
        for estimator, several in groupby(mine, key=lambda row: row.estimator):
            found = {row.interval: row for row in several}
            table.add_row(estimator, *(_held(found.get(kind)) for kind in KINDS))
        yield table


def _held(row: Coverage | None) -> str:
    """On how many logs an interval held: in brackets if it is not claimed, marked if too few."""
    if row is None:
        return ""
    if not row.claimed:
        return f"({row.coverage:.1%})"
    return f"{row.coverage:.1%}" if row.coverage >= ENOUGH else f"[red]{row.coverage:.1%} (!)[/red]"


if __name__ == "__main__":
    main(prog_name="python -m simulations")
