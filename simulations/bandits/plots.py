"""Curves of a study, as one HTML file that needs nothing but itself.

For each world: headroom captured of the first so many impressions of every placement, a line a
policy, and the same numbers as a table for those who do not see charts. Names come from the command
line and are escaped, for HTML and for plotly, whose labels are markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from bandit_service.evaluation.report.shell import content_policy, embedded
from simulations.bandits.estimates import WorldTable
from simulations.bandits.table import LEGEND, NOTHING, size

_HEIGHT: Final = 460
"""Of a chart, in pixels."""
_DASHES: Final = ("solid", "dash", "dot", "dashdot")
_COLOURS: Final = 10
"""After so many policies colours come again, with other dashes."""
_DRAW: Final = """
for (const chart of document.querySelectorAll(".chart")) {
  const figure = JSON.parse(chart.querySelector("script").textContent);
  Plotly.newPlot(chart, figure.data, figure.layout, {responsive: true, displaylogo: false});
}
"""
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1f2328; background: #fff; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #d5dae0; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
"""


def page(tables: Sequence[WorldTable]) -> str:
    """The file's text."""
    scripts = [get_plotlyjs(), _DRAW]
    parts = [part for table in tables for part in _section(table)]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{content_policy(scripts)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Bandit policies side by side</title><style>{_STYLE}</style></head><body>",
            "<h1>Bandit policies side by side</h1>",
            f"<p>{escape(LEGEND)}</p>",
            *parts,
            *(f"<script>{script}</script>" for script in scripts),
            "</body></html>",
            "",
        ]
    )


def figure(table: WorldTable) -> go.Figure:
    """Headroom by impressions of a placement."""
    drawn = go.Figure()
    for place, line in enumerate(table.lines):
        drawn.add_trace(
            go.Scatter(
                x=table.ends,
                y=line.curve,
                name=escape(line.policy),
                mode="lines+markers",
                line={"dash": _DASHES[place // _COLOURS % len(_DASHES)]},
            )
        )
    drawn.update_layout(
        template="plotly_white",
        height=_HEIGHT,
        margin={"l": 60, "r": 10, "t": 20, "b": 50},
        hovermode="x unified",
        showlegend=True,
    )
    drawn.update_xaxes(
        type="log",
        title="first impressions of each placement",
        tickvals=table.ends,
        ticktext=[f"{end:,}" for end in table.ends],
    )
    drawn.update_yaxes(tickformat=".0%", title="headroom captured")
    return drawn


def _section(table: WorldTable) -> list[str]:
    label = escape(f"{table.name}: headroom captured, by impressions; numbers below", quote=True)
    return [
        f"<h2>{escape(table.name)}</h2>",
        f"<p>{escape(table.words)}. {size(table)}.</p>",
        f'<div class="chart" role="img" aria-label="{label}">',
        f'<script type="application/json">{embedded(figure(table).to_json())}</script></div>',
        f'<div class="wide"><table>{_twin(table)}</table></div>',
    ]


def _twin(table: WorldTable) -> str:
    """The numbers of the chart."""
    heads = "".join(f"<th>{end:,}</th>" for end in table.ends)
    rows = [
        f"<tr><td>{escape(line.policy)}</td>{''.join(map(_cell, line.curve))}</tr>"
        for line in table.lines
    ]
    return f"<tr><th>policy</th>{heads}</tr>{''.join(rows)}"


def _cell(value: float | None) -> str:
    return f"<td>{NOTHING if value is None else f'{value:.1%}'}</td>"
