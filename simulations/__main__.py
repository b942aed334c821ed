"""The studies: ``python -m simulations COMMAND``."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bandit_service.evaluation.coverage import Study, encode_study
from bandit_service.evaluation.results import Coverage
from simulations.coverage import CONFIDENCE, merged, rows_of, run, tasks

ENOUGH = 0.93
"""A claimed interval of 95 % that holds less often than this is marked."""
QUICK_LOGS = 20


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Studies on simulated visitors, whose truth is known."""


@main.command()
@click.option(
    "--logs", type=click.IntRange(1), default=1000, show_default=True, help="Logs of each world."
)
@click.option("--quick", is_flag=True, help=f"{QUICK_LOGS} logs of each world, in seconds.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default="one a core",
    help="Changes the time it takes, not the result.",
)
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
    logs = QUICK_LOGS if quick else logs
    parts = tasks(logs, seed=seed)
    console = Console(highlight=False)
    progress = track(
        run(parts, processes=processes),
        "Simulating",
        total=len(parts),
        console=Console(stderr=True),
        transient=True,
    )
    rows = rows_of(merged(progress))
    console.print(_table(rows))
    if out:
        out.write_bytes(encode_study(Study(confidence=CONFIDENCE, logs=logs, seed=seed, rows=rows)))
        console.print(f"Written to {out}: {len(rows)} rows.", soft_wrap=True)


def _table(rows: list[Coverage]) -> Table:
    table = Table(title=f"Intervals of {CONFIDENCE:.0%}: on how many logs they held")
    for name in ("world", "estimator", "interval"):
        table.add_column(name)
    for name in ("n", "logs", "held"):
        table.add_column(name, justify="right")
    table.add_column("claimed")
    table.add_column("note")
    for row in rows:
        short = row.claimed and row.coverage < ENOUGH
        table.add_row(
            row.world,
            row.estimator,
            row.interval,
            f"{row.n:,}",
            f"{row.logs:,}",
            f"{row.coverage:.1%}" + (" (!)" if short else ""),
            "yes" if row.claimed else "no",
            row.note,
            style="red" if short else None if row.claimed else "dim",
        )
    return table


if __name__ == "__main__":
    main(prog_name="python -m simulations")
