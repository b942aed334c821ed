"""The charts of an evaluation: what is drawn of which part, and how it fits a phone.

Traces are plain dictionaries, which ``charts.blank`` checks as they are added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from bandit_service.evaluation.report import words
from bandit_service.evaluation.report.charts import (
    BAND,
    CLEAR,
    LESS,
    LOG,
    MORE,
    SAME,
    SERIES,
    WEAK,
    Bar,
    Chart,
    blank,
    finished,
    hover,
    intervals,
    short,
)
from bandit_service.evaluation.report.numbers import Scale, count, moment, points, share, weight
from bandit_service.evaluation.results import Cell, Evaluation, Moment, PolicyResult, Share, Weights

MOST_BARS: Final = 25
"""Rows of a chart of parts of the log."""
MOST_TILES: Final = 30
"""Rows of a heat map."""
MOST_DOTS: Final = 60
"""Moments up to which each has a dot on its line."""

Line = tuple[str, str]
"""A row of a heat map: a placement and an arm."""


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


def over_time(
    policy: PolicyResult, scale: Scale, own: float | None, bounds: tuple[float, float] | None
) -> Chart:
    """The estimate up to each moment, in its band; ``bounds`` are those of the axis."""
    figure = blank()
    figure.add_traces([*_band(policy.over_time), _line(policy, scale)])
    if own is not None:
        figure.add_hline(y=own, line={"color": LOG, "width": 2, "dash": "dash"})
    figure.update_xaxes(type="date", nticks=5)
    figure.update_yaxes(tickformat=scale.ticks, range=bounds)
    figure.update_layout(margin={"t": 12})
    label = f"{policy.name} over time: {scale.unit}, with its anytime-valid band"
    return finished(f"{label}; the log's mean is dashed", figure, 270)


def _band(found: Sequence[Moment]) -> list[dict[str, Any]]:
    """The upper bound, and the lower one filled up to it."""
    plain = {
        "type": "scatter",
        "x": [at.ms for at in found],
        "mode": "lines",
        "line": {"width": 0, "color": CLEAR},
        "hoverinfo": "skip",
    }
    upper = {**plain, "y": [at.high for at in found]}
    lower = {**plain, "y": [at.low for at in found], "fill": "tonexty", "fillcolor": BAND}
    return [upper, lower]


def _line(policy: PolicyResult, scale: Scale) -> dict[str, Any]:
    quoted = words.quoted(policy)
    colour = SERIES if quoted is not None and quoted.status == "ok" else WEAK
    return {
        "type": "scatter",
        "x": [at.ms for at in policy.over_time],
        "y": [at.value for at in policy.over_time],
        "mode": "lines+markers" if len(policy.over_time) < MOST_DOTS else "lines",
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 5},
        "hovertext": [_moment(at, scale) for at in policy.over_time],
        "hoverinfo": "text",
    }


def _moment(at: Moment, scale: Scale) -> str:
    value = f"{scale.value(at.value)}, {scale.interval(at.low, at.high)}"
    return hover(moment(at.ms), value, f"n {count(at.n)}")


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


def _late(policy: PolicyResult) -> Sequence[Moment]:
    return policy.over_time[len(policy.over_time) // 4 :]


def weights(name: str, found: Weights) -> Chart:
    """The histogram of weights, rows on a logarithmic axis."""
    figure = blank()
    labels = [
        f"{weight(low)} to {weight(high)}"
        for low, high in zip(found.edges, found.edges[1:], strict=False)
    ]
    figure.add_trace(
        {
            "type": "bar",
            "x": list(range(len(labels))),
            "y": [n or None for n in found.counts],
            "marker": {"color": SERIES, "line": {"width": 0}},
            "hovertext": [
                hover(f"weight {label}", f"{count(n)} rows")
                for label, n in zip(labels, found.counts, strict=False)
            ],
            "hoverinfo": "text",
        }
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
    return finished(f"Weights of {name}: rows, on a logarithmic axis, by weight", figure, 270)


def shares(name: str, found: Sequence[Share], scale: Scale) -> Chart:
    """Where the policy shows what more or less often than the log: variants by personas."""
    lines, personas = _largest(found)
    figure = blank()
    figure.add_trace(_tiles(found, lines, personas, scale))
    bar = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "thickness": 10, "nticks": 5}
    colours = [[0.0, LESS], [0.5, SAME], [1.0, MORE]]
    figure.update_layout(
        coloraxis={
            "colorscale": colours,
            "cmid": 0,
            "colorbar": {**bar, "ticksuffix": " points"},
        }
    )
    figure.update_xaxes(
        tickvals=list(range(len(personas))), ticktext=[short(p) for p in personas], showgrid=False
    )
    figure.update_yaxes(
        tickvals=list(range(len(lines))),
        ticktext=[_tile(*line, 16) for line in lines],
        range=[len(lines) - 0.5, -0.5],
        showgrid=False,
    )
    narrow = {
        "xaxis": {"ticktext": [short(one, 10) for one in personas], "tickangle": 60},
        "yaxis": {"ticktext": [_tile(*line, 9) for line in lines], "tickfont": {"size": 11}},
        "coloraxis": {"colorbar": {**bar, "nticks": 3}},
    }
    label = f"Shares of {name} minus those of the log, by variant and persona: blue is shown more"
    return finished(label, figure, 150 + 24 * len(lines), narrow)


def _largest(found: Sequence[Share]) -> tuple[list[Line], list[str]]:
    """The rows with the most traffic, by name, and all personas, by traffic."""
    rows: Counter[Line] = Counter()
    columns: Counter[str] = Counter()
    for one in found:
        rows[one.placement, one.arm] += one.n
        columns[one.persona] += one.n
    lines = sorted(rows, key=lambda line: (-rows[line], line))[:MOST_TILES]
    return sorted(lines), sorted(columns, key=lambda persona: (-columns[persona], persona))


def _tiles(
    found: Sequence[Share], lines: Sequence[Line], personas: Sequence[str], scale: Scale
) -> dict[str, Any]:
    known = {(one.placement, one.arm, one.persona): one for one in found}
    grid = [[known.get((*line, persona)) for persona in personas] for line in lines]
    return {
        "type": "heatmap",
        "z": [[_difference(one) for one in row] for row in grid],
        "hovertext": [[_share(one, scale) for one in row] for row in grid],
        "hoverinfo": "text",
        "coloraxis": "coloraxis",
        "xgap": 2,
        "ygap": 2,
    }


def _difference(one: Share | None) -> float | None:
    """In percentage points."""
    return None if one is None else 100.0 * (one.target - one.logged)


def _share(one: Share | None, scale: Scale) -> str:
    if one is None:
        return ""
    return hover(
        f"{one.placement} · {one.arm}",
        f"persona {one.persona}",
        f"log {share(one.logged)}, policy {share(one.target)} "
        f"({points(one.target - one.logged)} points)",
        f"n {count(one.n)}, mean reward {scale.value(one.reward)}",
    )


def _tile(placement: str, arm: str, longest: int) -> str:
    """The name of a row; of a placement its end, which is where names in a hierarchy differ."""
    end = placement if len(placement) <= longest else f"…{placement[1 - longest :]}"
    return f"{short(end)} · {short(arm, longest)}"
