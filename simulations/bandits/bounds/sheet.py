"""The tables of ``bound``, for the terminal and as Markdown: one text a cell, the same in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.table import Table

from simulations.bandits.bounds.index import Share
from simulations.bandits.table import NOTHING, row

Z95: Final = 1.959963984540054
"""Standard normal quantile of 0.975."""


class Sheet(NamedTuple):
    """A table with what is to be said of it."""

    title: str
    words: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def share(value: float | None) -> str:
    """A share in per cent."""
    return NOTHING if value is None else f"{100.0 * value:z.1f} %"


def simulated(found: Share | None) -> str:
    """A share with half of the width of its interval of 95 %."""
    if found is None:
        return NOTHING
    return f"{share(found.value)} ± {100.0 * Z95 * found.error:.1f}"


def in_terminal(sheet: Sheet) -> Table:
    """The table for the terminal."""
    shown = Table()
    for head in sheet.heads:
        shown.add_column(head, justify="right")
    for texts in sheet.rows:
        shown.add_row(*texts)
    return shown


def markdown(sheets: Sequence[Sheet]) -> str:
    """All of them as one document."""
    lines = []
    for sheet in sheets:
        lines += [f"## {sheet.title}", "", sheet.words, ""]
        lines += [row(sheet.heads), row(["---:"] * len(sheet.heads))]
        lines += [*map(row, sheet.rows), ""]
    return "\n".join(lines)
