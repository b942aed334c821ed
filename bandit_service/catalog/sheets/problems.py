"""What is wrong with a spreadsheet, at its row and column."""

from __future__ import annotations

from typing import Final

import msgspec

MAX_PROBLEMS: Final = 1_000
"""Problems that are listed; how many more there are is counted."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend."""

    row: int | None
    """Row as spreadsheets number it: 1 is the header; None: the file as a whole."""
    column: str | None
    """The column's name, as the file has it; None: the row as a whole."""
    message: str
    hint: str | None = None


class Problems:
    """What was found, in order; from MAX_PROBLEMS on it is only counted."""

    def __init__(self) -> None:
        self.listed: list[Problem] = []
        self.count = 0

    def add(self, row: int | None, column: str | None, message: str, hint: str | None) -> None:
        """Note a problem."""
        self.count += 1
        if len(self.listed) < MAX_PROBLEMS:
            self.listed.append(Problem(row=row, column=column, message=message, hint=hint))
