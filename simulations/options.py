"""What the commands of all studies share: an option, and how progress is shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
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


def shown(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """The items as they come; how far they have come is shown, and gone at the end."""
    console = Console(stderr=True)
    yield from track(items, label, total=total, console=console, transient=True)
