"""What every benchmark reports: spreads over rounds, and processor time of a tree of processes."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec


class BenchError(Exception):
    """Raised when a benchmark measured something other than what it says."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How much to measure."""

    rounds: int = 5
    seconds: float = 3.0
    """Length of one round of load, without its warm-up."""
    fresh_seconds: float = 20.0
    """How long clicks are sent for ``freshness``."""
    soak_seconds: float = 60.0
    """How long ``soak`` offers its load."""
    outcomes: int = 40_000
    """Decisions in the log that ``fold`` reads."""
    rows: int = 10_000_000
    """Rows of the table that ``memory`` evaluates."""
    price_seconds: float = 0.05
    """Length of one round of one line of ``price``."""
    placements: int = 500
    """Of the sites that ``reports`` reads."""
    report_units: int = 200
    """Units of each of those placements."""


QUICK: Final = Scale(
    rounds=1,
    seconds=0.3,
    fresh_seconds=1.0,
    soak_seconds=3.0,
    outcomes=1_500,
    rows=20_000,
    price_seconds=0.002,
    placements=6,
    report_units=10,
)
"""Enough to see that everything runs; the figures mean nothing."""


class Spread(msgspec.Struct, frozen=True):
    """A measurement repeated in rounds: its median, least and largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value."""
        known = sorted(values)
        return cls(statistics.median(known), known[0], known[-1])

    @classmethod
    def of_ratios(cls, ours: Iterable[float], reference: Iterable[float]) -> Spread:
        """The spread of ours / reference, round by round."""
        return cls.of(mine / theirs for mine, theirs in zip(ours, reference, strict=True))

    def shown(self, digits: int = 2) -> str:
        """The spread for people: ``0.61 (0.58–0.66)``."""  # noqa: RUF002 - a range has a dash
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"  # noqa: RUF001


class Row(msgspec.Struct, frozen=True):
    """One line of a table: a name, and a text for each column."""

    name: str
    cells: tuple[str, ...]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark prints, and the values behind it for ``--json``."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    values: object = None


def cpu_seconds(pid: int) -> float | None:
    """Processor time of a process and its living descendants; None where there is no /proc."""
    if not Path("/proc/self/stat").exists():
        return None
    stats = _process_stats()
    tree, found = [pid], set[int]()
    while tree:
        present = tree.pop()
        found.add(present)
        tree += [child for child, (parent, _) in stats.items() if parent == present]
    ticks = sum(stats[each][1] for each in found if each in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the ordered values lie; they must not be empty."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _process_stats() -> dict[int, tuple[int, int]]:
    """Parent and ticks of processor time of every process, by its id."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:  # it ended meanwhile
            continue
        # The name, in parentheses, may hold anything; what follows it is numbers.
        fields = text.rpartition(")")[2].split()
        stats[int(path.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    return stats
