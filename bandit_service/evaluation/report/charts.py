"""Charts, as figures that plotly's own JavaScript draws in the page.

- *Positions are numbers, names are labels.* A category axis would read a name like ``2030-01-31``
  as a date and merge two names that are cut to the same text.
- *Text is escaped for plotly too*: it takes ``<b>``, ``<a href>`` and the like in labels as markup.
- *Colours are those of the light theme.* ``DARK`` says what each becomes in the dark one; the
  page's script changes what stands under a key with "color" in its name, never a label.
- *No chart without a table*: whoever makes one shows its twin from ``tables``.

What every kind of page needs is here; what an evaluation shows is in ``figures``.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from bandit_service.evaluation.report import words
from bandit_service.evaluation.report.numbers import (
    Scale,
    count,
    size,
    weight,
)
from bandit_service.evaluation.results import (
    Estimate,
)

INK: Final = "#1f2328"
GRID: Final = "#d5dae0"
SERIES: Final = "#0b5cad"
BAND: Final = "rgba(11,92,173,0.18)"
WEAK: Final = "#6e7781"
LOG: Final = "#a04a00"
CLEAR: Final = "rgba(0,0,0,0)"
LESS: Final = "#b35806"
SAME: Final = "#f4f4f4"
MORE: Final = "#1f5fa8"
DARK: Final = {
    INK: "#e6edf3",
    GRID: "#3b424b",
    SERIES: "#6cb6ff",
    BAND: "rgba(108,182,255,0.25)",
    WEAK: "#9aa4af",
    LOG: "#f0a35e",
    LESS: "#f0a35e",
    SAME: "#2a3038",
    MORE: "#6cb6ff",
}
"""What each colour becomes in the dark theme."""

LONGEST_LABEL: Final = 24
"""Characters of a label; the rest is in what the pointer shows, and in the table."""
NARROW_LABEL: Final = 14
"""The same on a phone."""


class Chart(NamedTuple):
    """A figure for the page."""

    label: str
    """What it shows, for those who do not see it."""
    height: int
    """Pixels."""
    figure: str
    """JSON: data and layout for Plotly, and ``narrow``, by axis, what is different on a phone."""


class Bar(NamedTuple):
    """A point with its interval, or a name without any."""

    name: str
    estimate: Estimate


def script() -> str:
    """Plotly's JavaScript, from its wheel."""
    return str(get_plotlyjs())


def intervals(label: str, bars: Sequence[Bar], scale: Scale, own: float | None) -> Chart:
    """Points with intervals, one a line; ``own`` is the log's mean, a line across."""
    figure = blank()
    for status, colour, symbol in (("ok", SERIES, "circle"), ("weak", WEAK, "circle-open")):
        figure.add_trace(_points(bars, status, colour, symbol, scale))
    # A name without a value still has its line.
    figure.update_yaxes(
        tickvals=list(range(len(bars))),
        ticktext=[short(bar.name) for bar in bars],
        range=[len(bars) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_xaxes(tickformat=scale.ticks, nticks=6)
    if own is not None:
        figure.add_vline(x=own, line={"color": LOG, "width": 2, "dash": "dash"})
        figure.add_annotation(
            x=own,
            y=1.0,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
            text=f"log {scale.value(own)}",
            font={"color": LOG},
        )
    for line, bar in enumerate(bars):
        if bar.estimate.value is None:
            _write(figure, line, words.status(bar.estimate))
    told = f"{label}: {scale.unit}, with intervals; weak ones are hollow, the log's mean is dashed"
    narrow = {
        "xaxis": {"nticks": 4},
        "yaxis": {"ticktext": [short(bar.name, NARROW_LABEL) for bar in bars]},
    }
    return finished(told, figure, 84 + 34 * max(1, len(bars)), narrow)


def _write(figure: go.Figure, line: int, text: str) -> None:
    figure.add_annotation(
        x=0.01,
        xref="paper",
        xanchor="left",
        y=line,
        showarrow=False,
        text=text,
        font={"color": WEAK},
    )


def _points(bars: Sequence[Bar], status: str, colour: str, symbol: str, scale: Scale) -> go.Scatter:
    found = [
        (line, bar.name, bar.estimate, bar.estimate.value, bar.estimate.intervals[0])
        for line, bar in enumerate(bars)
        if bar.estimate.status == status and bar.estimate.value is not None
    ]
    return go.Scatter(
        x=[value for *_, value, _ in found],
        y=[line for line, *_ in found],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, held.high - value) for *_, value, held in found],
            "arrayminus": [max(0.0, value - held.low) for *_, value, held in found],
            "color": colour,
            "thickness": 2,
            "width": 6,
        },
        mode="markers",
        marker={"color": colour, "size": 10, "symbol": symbol, "line": {"color": colour}},
        hovertext=[_told(name, estimate, scale) for _, name, estimate, *_ in found],
        hoverinfo="text",
    )


def _told(name: str, estimate: Estimate, scale: Scale) -> str:
    held = estimate.intervals[0]
    return hover(
        name,
        f"{words.estimator(estimate.estimator)} {scale.value(estimate.value)} {estimate.status}",
        f"{scale.interval(held.low, held.high)} ({words.interval_kind(held)})",
        f"n {count(estimate.n)}, ESS {size(estimate.ess)}, "
        f"largest weight {weight(estimate.max_weight)}",
    )


def blank() -> go.Figure:
    """A figure in the look that all share."""
    axis = {
        "automargin": True,
        "gridcolor": GRID,
        "linecolor": GRID,
        "zerolinecolor": GRID,
        "zeroline": False,
        "fixedrange": False,
    }
    return go.Figure(
        layout={
            "template": "none",
            "autosize": True,
            "showlegend": False,
            "dragmode": False,  # a finger that scrolls the page must not zoom the chart
            "margin": {"l": 8, "r": 16, "t": 32, "b": 40},
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "hoverlabel": {"align": "left"},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def finished(
    label: str, figure: go.Figure, height: int, narrow: Mapping[str, Any] | None = None
) -> Chart:
    """The chart of a figure; ``narrow`` is what changes by axis on a phone."""
    figure.update_layout(height=height)
    drawn = {**figure.to_plotly_json(), "narrow": narrow or {}}
    return Chart(label, height, msgspec.json.encode(drawn).decode())


def short(name: str, longest: int = LONGEST_LABEL) -> str:
    """A name as a label, cut if it is long."""
    short = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return html.escape(short, quote=False)


def hover(*lines: str) -> str:
    """What the pointer shows; plotly's only line break is its own markup."""
    return "<br>".join(short(line, 80) for line in lines)
