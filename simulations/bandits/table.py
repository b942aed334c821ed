"""A study's tables, for the terminal and as Markdown: one text a cell, the same in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.table import Table

from simulations.bandits.estimates import Estimate, Line, WorldTable

NOTHING: Final = "\N{EN DASH}"
LEGEND: Final = (
    "headroom: share of what the best variant earns over uniform choice, exploration paid; in "
    "brackets 95 % intervals over placements. regret: per 1,000 impressions. better, worse: the "
    "paired difference of headroom, in points, is not 0 at 95 %; same: not told apart. Of many "
    "comparisons one in twenty is wrong by chance. least share: the smallest that a live variant "
    "had in any stretch, of an even one. µs: processor time of an impression, learning included."
)


def columns(table: WorldTable) -> list[str]:
    """The heads of the columns."""
    at = [f"headroom at {h:,}" if h else "headroom, all" for h in table.horizons]
    paired = [f"against {table.reference}", ""] if table.reference else []
    return ["policy", *at, "lift", "regret", *paired, "least share", "µs"]


def cells(line: Line, table: WorldTable) -> list[str]:
    """The texts of one line; a policy that does not have all seeds says so."""
    name = line.policy
    if line.seeds != table.seeds:
        name = f"{name} ({line.seeds} of {table.seeds} seeds)"
    return [
        name,
        *(percent(estimate) for estimate in line.headroom),
        percent(line.lift),
        number(line.regret),
        *((points(line.against), line.mark) if table.reference else ()),
        NOTHING if line.least is None else f"{line.least:.0%}",
        f"{line.microseconds:.0f}" if line.microseconds >= 1 else "< 1",
    ]


def title(table: WorldTable) -> str:
    """What the table is about."""
    return f"{table.name}: {table.words}"


def size(table: WorldTable) -> str:
    """How much it rests on."""
    seeds = "1 seed" if table.seeds == 1 else f"{table.seeds} seeds"
    places = "1 placement" if table.placements == 1 else f"{table.placements:,} placements"
    return f"{seeds}, {places}, {table.impressions:,} impressions"


def in_terminal(table: WorldTable) -> Table:
    """The table for the terminal."""
    shown = Table()
    for number_of, head in enumerate(columns(table)):
        shown.add_column(head, justify="right" if number_of else "left")
    for line in table.lines:
        shown.add_row(*cells(line, table))
    return shown


def markdown(tables: Sequence[WorldTable]) -> str:
    """All tables as one document."""
    return "\n".join([line for table in tables for line in _document(table)] + [LEGEND, ""])


def percent(estimate: Estimate | None) -> str:
    """A share with its interval."""
    return _with_interval(estimate, 100.0, "z.1f", " %")


def points(estimate: Estimate | None) -> str:
    """A difference of shares, in points."""
    return _with_interval(estimate, 100.0, "+z.1f", "")


def number(estimate: Estimate | None) -> str:
    """A number with its interval."""
    return _with_interval(estimate, 1.0, "z.3f", "")


def _with_interval(estimate: Estimate | None, scale: float, form: str, unit: str) -> str:
    """``form`` has a z: what is rounded to 0 has no sign."""
    if estimate is None:
        return NOTHING
    value = f"{scale * estimate.value:{form}}{unit}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{scale * estimate.low:{form}}, {scale * estimate.high:{form}}]"


def _document(table: WorldTable) -> Iterator[str]:
    heads = columns(table)
    yield f"## {_escaped(table.name)}"
    yield ""
    yield f"{_escaped(table.words)}. {size(table)}."
    yield ""
    yield row(heads)
    yield row(["---", *["---:"] * (len(heads) - 1)])
    for line in table.lines:
        yield row(cells(line, table))
    yield ""


def row(texts: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(_escaped(text) for text in texts) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
