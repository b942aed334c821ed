"""Charts, as figures for plotly's JavaScript: plain data, drawn by ``charts.js``.

Colours are names of the style sheet's tokens (``@ink``), put in by the script, so that a chart
follows the theme. Text is escaped for plotly, which takes markup in labels. No chart stands without
a table of the same numbers beside it.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

from bandit_service.catalog.model import Variant
from bandit_service.web.desk.numbers import PlacementNumbers
from bandit_service.web.desk.writing import Writer

_LONGEST: Final = 26
"""Characters of a label."""


def rates(variants: Sequence[Variant], numbers: PlacementNumbers, write: Writer) -> dict[str, Any]:
    """Click rate of each variant with its interval, the best first."""
    rows = numbers.by_variant()
    found = [(v, rows[v.arm].policy) for v in variants if v.arm in rows]
    found = [(v, e) for v, e in found if e.rate is not None and e.low is not None]
    found.sort(key=lambda pair: pair[1].rate or 0.0)
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [e.rate for _, e in found],
        "y": list(range(len(found))),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(e.high or 0.0) - (e.rate or 0.0) for _, e in found],
            "arrayminus": [(e.rate or 0.0) - (e.low or 0.0) for _, e in found],
            "color": "@accent",
            "thickness": 2,
            "width": 5,
        },
        "marker": {"color": "@accent", "size": 9},
        "hovertext": [
            f"{escaped(v.id)}<br>{write.percent(e.rate)}, {write.interval(e.low, e.high)}"
            f"<br>of {write.count(e.n)}"
            for v, e in found
        ],
        "hoverinfo": "text",
    }
    axis = {"tickvals": list(range(len(found))), "ticktext": [escaped(v.id) for v, _ in found]}
    layout = {
        "height": 90 + 30 * max(1, len(found)),
        "xaxis": {"tickformat": ",.1~%", "rangemode": "tozero", "title": {"text": "click rate"}},
        "yaxis": {**axis, "showgrid": False, "range": [-0.6, len(found) - 0.4]},
    }
    return figure([points], layout, write)


def figure(data: list[dict[str, Any]], layout: dict[str, Any], write: Writer) -> dict[str, Any]:
    """A figure in the look that all share."""
    return {"data": data, "layout": {**layout, "separators": write.separators}}


def escaped(text: str) -> str:
    """A label, cut if it is long, without markup."""
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return html.escape(short, quote=False)
