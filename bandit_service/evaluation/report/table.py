"""A table as data: what the page, Markdown and the terminal each draw in their own way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

FOLD: Final = 25
"""Rows of a long table that are shown before the rest is folded away."""


MOST_NAMES: Final = 9
"""Rows that a note names: as many as one policy has estimates."""


class Column(NamedTuple):
    """A column."""

    name: str
    numeric: bool = False


class Row(NamedTuple):
    """A row; ``cells`` are as many as there are columns, the first being the row's name."""

    cells: Sequence[str]
    status: str = "ok"
    """``ok``, or why it is greyed: ``weak`` or ``unanswerable``."""
    marked: bool = False
    """Whether it is the one to look at."""
    note: str = ""
    """A sentence that belongs below it."""


class Notice(NamedTuple):
    """Rows that have the same note."""

    rows: Sequence[Row]
    note: str

    @property
    def about(self) -> str:
        """The note with the names of its rows; of many the first, and how many more."""
        names = [row.cells[0] for row in self.rows]
        some = ", ".join(names[:MOST_NAMES])
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        return f"{some}{more}: {self.note}"


def notices(rows: Sequence[Row]) -> list[Notice]:
    """The rows in stretches of the same note, which is then said once."""
    return [Notice(list(some), note) for note, some in groupby(rows, key=lambda row: row.note)]


def remarks(rows: Sequence[Row]) -> list[Notice]:
    """What is noted of rows, each note once with all of its rows, in order of the first."""
    by_note: dict[str, list[Row]] = {}
    for row in rows:
        if row.note:
            by_note.setdefault(row.note, []).append(row)
    return [Notice(some, note) for note, some in by_note.items()]


class Table(NamedTuple):
    """A table with what it is of."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    fold: int | None = FOLD
    """How many rows to show before the rest is folded away; None for all."""

    @property
    def head(self) -> Sequence[Row]:
        """The rows that are always seen."""
        return self.rows[: self.fold]

    @property
    def rest(self) -> Sequence[Row]:
        """The rows that are folded away."""
        return self.rows[self.fold :] if self.fold is not None else []


def text(*names: str) -> list[Column]:
    """Columns of text."""
    return [Column(name) for name in names]


def numeric(*names: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(name, numeric=True) for name in names]
