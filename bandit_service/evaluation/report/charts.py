"""Charts, as figures that plotly's own JavaScript draws in the page.

- *Positions are numbers, names are labels.* A category axis would read a name like ``2030-01-31``
  as a date and merge two names that are cut to the same text.
- *Text is escaped for plotly too*: it takes ``<b>``, ``<a href>`` and the like in labels as markup.
- *Colours are those of the light theme.* ``DARK`` says what each becomes in the dark one; the
  page's script changes what stands under a key with "color" in its name, never a label.
- *No chart without a table*: whoever asks for one here shows its twin from ``tables``.
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
    moment,
    points,
    share,
    size,
    weight,
)
from bandit_service.evaluation.results import (
    Cell,
    Estimate,
    Evaluation,
    PolicyResult,
    Share,
    Weights,
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
MOST_BARS: Final = 25
"""Rows of a chart of parts of the log."""
MOST_TILES: Final = 30
"""Rows of a heat map."""


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


def estimates(evaluation: Evaluation, scale: Scale) -> Chart:
    """The quoted estimate of each policy against the log's own mean."""
    bars = [
        Bar(policy.name, found)
        for policy in evaluation.policies
        if (found := words.quoted(policy)) is not None
    ]
    return intervals("The quoted estimate of each policy", bars, scale, evaluation.mean_reward)


def parts(label: str, found: Sequence[Cell], scale: Scale, own: float | None) -> Chart:
    """Estimates within the largest parts of the log."""
    largest = sorted(found, key=lambda cell: (-cell.estimate.n, cell.name))[:MOST_BARS]
    return intervals(label, [Bar(cell.name, cell.estimate) for cell in largest], scale, own)


def intervals(label: str, bars: Sequence[Bar], scale: Scale, own: float | None) -> Chart:
    """Points with intervals, one a line; ``own`` is the log's mean, a line across."""
    figure = _figure()
    for status, colour, symbol in (("ok", SERIES, "circle"), ("weak", WEAK, "circle-open")):
        figure.add_trace(_points(bars, status, colour, symbol, scale))
    # A name without a value still has its line.
    figure.update_yaxes(
        tickvals=list(range(len(bars))),
        ticktext=[_label(bar.name) for bar in bars],
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
        "yaxis": {"ticktext": [_label(bar.name, NARROW_LABEL) for bar in bars]},
    }
    return _chart(told, figure, 84 + 34 * max(1, len(bars)), narrow)


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
    return _lines(
        name,
        f"{words.estimator(estimate.estimator)} {scale.value(estimate.value)} {estimate.status}",
        f"{scale.interval(held.low, held.high)} ({words.interval_kind(held)})",
        f"n {count(estimate.n)}, ESS {size(estimate.ess)}, "
        f"largest weight {weight(estimate.max_weight)}",
    )


def over_time(
    policy: PolicyResult, scale: Scale, own: float | None, bounds: tuple[float, float] | None
) -> Chart:
    """The estimate up to each moment, in its band; ``bounds`` are those of the axis."""
    figure = _figure()
    found = words.quoted(policy)
    colour = SERIES if found is not None and found.status == "ok" else WEAK
    times = [at.ms for at in policy.over_time]
    low, high = ([getattr(at, side) for at in policy.over_time] for side in ("low", "high"))
    plain: dict[str, Any] = {"x": times, "mode": "lines", "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(y=high, line={"width": 0, "color": CLEAR}, **plain))
    figure.add_trace(
        go.Scatter(
            y=low, line={"width": 0, "color": CLEAR}, fill="tonexty", fillcolor=BAND, **plain
        )
    )
    figure.add_trace(
        go.Scatter(
            x=times,
            y=[at.value for at in policy.over_time],
            mode="lines+markers" if len(times) < 60 else "lines",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 5},
            hovertext=[
                _lines(
                    moment(at.ms),
                    f"{scale.value(at.value)}, {scale.interval(at.low, at.high)}",
                    f"n {count(at.n)}",
                )
                for at in policy.over_time
            ],
            hoverinfo="text",
        )
    )
    if own is not None:
        figure.add_hline(y=own, line={"color": LOG, "width": 2, "dash": "dash"})
    figure.update_xaxes(type="date", nticks=5)
    figure.update_yaxes(tickformat=scale.ticks, range=bounds)
    figure.update_layout(margin={"t": 12})
    label = f"{policy.name} over time: {scale.unit}, with its anytime-valid band"
    return _chart(f"{label}; the log's mean is dashed", figure, 270)


def time_bounds(evaluation: Evaluation) -> tuple[float, float] | None:
    """One axis for all policies over time: what the last three quarters of each need.

    An anytime-valid band begins as wide as the rewards; if that set the axis, nothing else could
    be seen.
    """
    late = [at for policy in evaluation.policies for at in _late(policy)]
    if not late:
        return None
    own = [] if evaluation.mean_reward is None else [evaluation.mean_reward]
    low, high = min([*own, *(at.low for at in late)]), max([*own, *(at.high for at in late)])
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _late(policy: PolicyResult) -> Sequence[Any]:
    return policy.over_time[len(policy.over_time) // 4 :]


def weights(name: str, found: Weights) -> Chart:
    """The histogram of weights, rows on a logarithmic axis."""
    figure = _figure()
    labels = [
        f"{weight(low)} to {weight(high)}"
        for low, high in zip(found.edges, found.edges[1:], strict=False)
    ]
    figure.add_trace(
        go.Bar(
            x=list(range(len(labels))),
            y=[n or None for n in found.counts],
            marker={"color": SERIES, "line": {"width": 0}},
            hovertext=[
                _lines(f"weight {label}", f"{count(n)} rows")
                for label, n in zip(labels, found.counts, strict=False)
            ],
            hoverinfo="text",
        )
    )
    step = max(1, -(-len(found.counts) // 5))
    ends = list(range(0, len(found.edges), step))
    figure.update_xaxes(
        tickvals=[end - 0.5 for end in ends],
        ticktext=[weight(found.edges[end]) for end in ends],
        title_text="weight",
        showgrid=False,
    )
    figure.update_yaxes(type="log", title_text="rows", dtick=1, tickformat=",d")
    figure.update_layout(bargap=0.06, margin={"t": 12})
    return _chart(f"Weights of {name}: rows, on a logarithmic axis, by weight", figure, 270)


def shares(name: str, found: Sequence[Share], scale: Scale) -> Chart:
    """Where the policy shows what more or less often than the log: variants by personas."""
    rows: dict[tuple[str, str], int] = {}
    columns: dict[str, int] = {}
    for one in found:
        rows[one.placement, one.arm] = rows.get((one.placement, one.arm), 0) + one.n
        columns[one.persona] = columns.get(one.persona, 0) + one.n
    largest = sorted(rows, key=lambda key: (-rows[key], key))[:MOST_TILES]
    lines = sorted(largest)
    personas = sorted(columns, key=lambda persona: (-columns[persona], persona))
    known = {(one.placement, one.arm, one.persona): one for one in found}
    grid = [[known.get((*line, persona)) for persona in personas] for line in lines]
    figure = _figure()
    figure.add_trace(
        go.Heatmap(
            z=[[_difference(one) for one in row] for row in grid],
            hovertext=[["" if one is None else _share(one, scale) for one in row] for row in grid],
            hoverinfo="text",
            coloraxis="coloraxis",
            xgap=2,
            ygap=2,
        )
    )
    figure.update_layout(
        coloraxis={
            "colorscale": [[0.0, LESS], [0.5, SAME], [1.0, MORE]],
            "cmid": 0,
            "colorbar": {
                "orientation": "h",
                "y": 1.0,
                "yanchor": "bottom",
                "thickness": 10,
                "ticksuffix": " points",
                "nticks": 5,
            },
        }
    )
    figure.update_xaxes(
        tickvals=list(range(len(personas))), ticktext=[_label(p) for p in personas], showgrid=False
    )
    figure.update_yaxes(
        tickvals=list(range(len(lines))),
        ticktext=[_tile(*line, 16) for line in lines],
        range=[len(lines) - 0.5, -0.5],
        showgrid=False,
    )
    label = f"Shares of {name} minus those of the log, by variant and persona: blue is shown more"
    bar = figure.layout.coloraxis.colorbar.to_plotly_json()
    narrow = {
        "xaxis": {"ticktext": [_label(persona, 10) for persona in personas]},
        "yaxis": {"ticktext": [_tile(*line, 9) for line in lines], "tickfont": {"size": 11}},
        "coloraxis": {"colorbar": {**bar, "nticks": 3, "ticksuffix": ""}},
    }
    return _chart(label, figure, 150 + 24 * len(lines), narrow)


def _difference(one: Share | None) -> float | None:
    """In percentage points."""
    return None if one is None else 100.0 * (one.target - one.logged)


def _share(one: Share, scale: Scale) -> str:
    return _lines(
        f"{one.placement} · {one.arm}",
        f"persona {one.persona}",
        f"log {share(one.logged)}, policy {share(one.target)} "
        f"({points(one.target - one.logged)} points)",
        f"n {count(one.n)}, mean reward {scale.value(one.reward)}",
    )


def _figure() -> go.Figure:
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


def _chart(
    label: str, figure: go.Figure, height: int, narrow: Mapping[str, Any] | None = None
) -> Chart:
    figure.update_layout(height=height)
    drawn = {**figure.to_plotly_json(), "narrow": narrow or {}}
    return Chart(label, height, msgspec.json.encode(drawn).decode())


def _label(name: str, longest: int = LONGEST_LABEL) -> str:
    short = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return html.escape(short, quote=False)


def _tile(placement: str, arm: str, longest: int) -> str:
    """The name of a row; of a placement its end, which is where names in a hierarchy differ."""
    end = placement if len(placement) <= longest else f"…{placement[1 - longest :]}"
    return f"{_label(end)} · {_label(arm, longest)}"


def _lines(*lines: str) -> str:
    """What the pointer shows; plotly's only line break is its own markup."""
    return "<br>".join(_label(line, 80) for line in lines)
