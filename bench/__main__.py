"""``python -m bench``: run benchmarks, print their tables, write their values."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click
import msgspec
import rich.table
from rich.console import Console

from bandit_service.cli.processes import terminated_as_interrupt
from bandit_service.logs import configure_logs
from bench import decide, evaluate, fold, freshness, memory, outage, price, reports, soak
from bench.measures import QUICK, Scale, Table

SECTIONS: Final[Mapping[str, Callable[[Scale], Table]]] = MappingProxyType(
    {
        "decide": decide.measure,
        "freshness": freshness.measure,
        "fold": fold.measure,
        "evaluate": evaluate.measure,
        "memory": memory.measure,
        "price": price.measure,
        "reports": reports.measure,
        "outage": outage.measure,
        "soak": soak.measure,
    }
)
COMPARISONS: Final = (
    "decide",
    "freshness",
    "fold",
    "evaluate",
    "memory",
    "price",
    "reports",
    "outage",
)
"""What is run unless told otherwise: a soak compares nothing, and takes long."""

_WIDTH: Final = 160
"""Least width of the tables, in characters."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("sections", nargs=-1, type=click.Choice(tuple(SECTIONS)))
@click.option("--quick", is_flag=True, help="Only see that everything runs.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of each comparison.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), help="Length of a round of decide, and of soak."
)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the values here too.")
def main(
    sections: tuple[str, ...],
    quick: bool,
    rounds: int | None,
    seconds: float | None,
    path: Path | None,
) -> None:
    """Measure the service beside references; without SECTIONS, all but soak.

    \b
    Example: python -m bench fold --rounds 9 --json fold.json
    """
    configure_logs("warning")
    given = {"rounds": rounds, "seconds": seconds, "soak_seconds": seconds}
    scale = msgspec.structs.replace(
        QUICK if quick else Scale(), **{k: v for k, v in given.items() if v is not None}
    )
    console = Console(width=max(_WIDTH, Console().width))
    results: dict[str, Table] = {}
    with terminated_as_interrupt():
        for name in dict.fromkeys(sections or COMPARISONS):
            results[name] = SECTIONS[name](scale)
            show(console, results[name])
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(_document(scale, results))))


def show(console: Console, table: Table) -> None:
    """Print one table and its notes."""
    drawn = rich.table.Table(title=table.title, title_justify="left")
    drawn.add_column("", no_wrap=True)
    for column in table.columns:
        drawn.add_column(column, justify="right")
    for row in table.rows:
        drawn.add_row(row.name, *row.cells)
    console.print(drawn)
    for note in table.notes:
        console.print(f"  {note}", style="dim", highlight=False)
    console.print()


def _document(scale: Scale, results: Mapping[str, Table]) -> dict[str, Any]:
    return {
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "python": sys.version.split()[0],
            "vowpalwabbit": version("vowpalwabbit"),
            "granian": version("granian"),
        },
        "scale": scale,
        "results": results,
    }


if __name__ == "__main__":
    main()
