"""What the commands of studies share: options, and how progress is shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import track

Command = TypeVar("Command", bound=Callable[..., Any])
Item = TypeVar("Item")


def processes_option(command: Command) -> Command:
    """``--processes``, a keyword ``processes`` of the command."""
    return click.option(
        "--processes",
        type=click.IntRange(1),
        default=os.cpu_count() or 1,
        show_default="one a core",
        help="Changes the time it takes, not the result.",
    )(command)


def upworthy_option(command: Command) -> Command:
    """``--upworthy``, a keyword ``upworthy`` of the command."""
    return click.option(
        "--upworthy",
        type=click.Path(path_type=Path),
        help="A CSV or Parquet file of the Upworthy Research Archive.",
    )(command)


def shown(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """The items as they come; how far they have come is shown, and gone at the end."""
    console = Console(stderr=True)
    yield from track(items, label, total=total, console=console, transient=True)
