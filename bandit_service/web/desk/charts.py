"""Charts, as figures for plotly's JavaScript: plain data, drawn by ``charts.js``.

Colours are names of the style sheet's tokens (``@ink``), put in by the script, so that a chart
follows the theme. Text is escaped for plotly, which takes markup in labels. No chart stands without
a table of the same numbers beside it.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from bandit_service.catalog.model import Variant
from bandit_service.reporting import placement_report as reported
from bandit_service.reporting.daily import Daily
from bandit_service.reporting.estimates import Estimate
from bandit_service.reporting.placement_report import PlacementReport
from bandit_service.web.desk.writing import Writer

OTHERS: Final = "all others"
COLOURS: Final = 8
"""Colours that the style sheet has for things side by side: ``--c0`` and so on."""
_LONGEST: Final = 26
"""Characters of a label."""


class Course(NamedTuple):
    """Shares over time, and their twin."""

    name: str
    label: str
    figure: dict[str, Any]
    starts: Sequence[int]
    """When each stretch began, in ms."""
    arms: Sequence[str]
    shown: Sequence[Sequence[int]]
    """By stretch, visits of each arm."""


def rates(
    variants: Sequence[Variant], report: PlacementReport, write: Writer
) -> dict[str, Any] | None:
    """Click rate of each variant with its interval, the best on top; None where none has one."""
    lines = {line.arm: line.estimate for line in report.variants}
    found = [
        (v.id, e.rate, e.low, e.high, e.n)
        for v in variants
        if (e := lines.get(v.arm)) and e.rate is not None and None not in (e.low, e.high)
    ]
    if not found:
        return None
    found.sort(key=lambda one: one[1] or 0.0)
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [rate for _, rate, _, _, _ in found],
        "y": list(range(len(found))),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(high or 0.0) - rate for _, rate, _, high, _ in found],
            "arrayminus": [rate - (low or 0.0) for _, rate, low, _, _ in found],
            "color": "@accent",
            "thickness": 2,
            "width": 5,
        },
        "marker": {"color": "@accent", "size": 9},
        "hovertext": [
            f"{escaped(name)}<br>{write.percent(rate)}, {write.interval(low, high)}"
            f"<br>of {write.count(n)} visits"
            for name, rate, low, high, n in found
        ],
        "hoverinfo": "text",
    }
    axis = {
        "tickvals": list(range(len(found))),
        "ticktext": [escaped(name) for name, *_ in found],
    }
    layout = {
        "height": 90 + 30 * max(1, len(found)),
        "xaxis": {"tickformat": ",.1~%", "rangemode": "tozero"},
        "yaxis": {**axis, "showgrid": False, "range": [-0.6, len(found) - 0.4]},
    }
    return figure([points], layout, write)


def colours_of(variants: Sequence[Variant]) -> dict[str, int]:
    """A colour for each variant, by its id: the same in every chart of a page."""
    return {variant.id: n % COLOURS for n, variant in enumerate(variants)}


def courses(variants: Sequence[Variant], report: PlacementReport, write: Writer) -> list[Course]:
    """Share of visits by variant, in the last hours and days; none where there was one stretch."""
    told = (("days", "by day", report.days), ("hours", "by hour", report.hours))
    return [
        Course(
            name, label, _shares(course, variants, write), course.starts, _ids(course), course.shown
        )
        for name, label, course in told
        if len(course.starts) > 1
    ]


def by_day(
    days: Sequence[Daily], changes: Sequence[tuple[int, str]], write: Writer
) -> dict[str, Any]:
    """Click rate by day with intervals; ``changes`` are times (ms) with what began then."""
    lines = [
        _days_line("policy", "@accent", [(day.day, day.policy) for day in days], write),
        _days_line("holdout", "@still", [(day.day, day.holdout) for day in days], write),
    ]
    layout = {
        "height": 320,
        "margin": {"l": 8, "r": 16, "t": 28, "b": 40},
        "xaxis": {"type": "date", "showgrid": False},
        "yaxis": {"tickformat": ",.1~%", "rangemode": "tozero"},
        "legend": {"orientation": "h", "y": -0.2},
        "marks": [{"xms": ms, "text": escaped(text)} for ms, text in changes],
    }
    return figure(lines, layout, write)


def _days_line(
    name: str, colour: str, days: Sequence[tuple[int, Estimate]], write: Writer
) -> dict[str, Any]:
    found = [(day, one, one.rate) for day, one in days if one.rate is not None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "xms": [day for day, _, _ in found],
        "y": [rate for _, _, rate in found],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, (one.high or rate) - rate) for _, one, rate in found],
            "arrayminus": [max(0.0, rate - (one.low or 0.0)) for _, one, rate in found],
            "color": colour,
            "thickness": 1,
            "width": 3,
        },
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 7},
        "hovertext": [
            f"{name}<br>{write.percent(rate)}, {write.interval(one.low, one.high)}"
            f"<br>of {write.count(one.n)} visits"
            for _, one, rate in found
        ],
        "hoverinfo": "text",
    }


def _shares(course: reported.Course, variants: Sequence[Variant], write: Writer) -> dict[str, Any]:
    markers = _markers(course, variants)
    totals = [sum(row) for row in course.shown]
    bars = [
        {
            "type": "bar",
            "name": escaped(name),
            "xms": course.starts,
            "y": [
                row[n] / total if total else 0.0
                for row, total in zip(course.shown, totals, strict=True)
            ],
            "hovertext": [
                f"{escaped(name)}<br>{write.percent(row[n] / total if total else 0.0, 0)}, "
                f"{write.count(row[n])} visits"
                for row, total in zip(course.shown, totals, strict=True)
            ],
            "hoverinfo": "text",
            "marker": markers[n],
        }
        for n, name in enumerate(_ids(course))
    ]
    layout = {
        "height": 320,
        "barmode": "stack",
        "bargap": 0.08,
        "xaxis": {"type": "date", "showgrid": False},
        "yaxis": {"tickformat": ".0%", "range": [0, 1]},
        "legend": {"orientation": "h", "y": -0.3, "traceorder": "normal"},
    }
    return figure(bars, layout, write)


def _markers(course: reported.Course, variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """How the bars of each variant look: versions that are past are paler."""
    colours, present = colours_of(variants), {variant.arm for variant in variants}
    found = [colours.get(arm.rpartition("@")[0]) for arm in course.arms]
    return [
        {
            "color": "@still" if colour is None else f"@c{colour}",
            "opacity": 1.0 if arm in present else 0.5,
        }
        for arm, colour in zip(course.arms, found, strict=True)
    ]


def _ids(course: reported.Course) -> list[str]:
    """Names of a course's variants: without versions, but for those that would be alike."""
    plain = [arm.rpartition("@")[0] for arm in course.arms]
    return [
        OTHERS if not arm else name if plain.count(name) == 1 else arm
        for arm, name in zip(course.arms, plain, strict=True)
    ]


def figure(data: list[dict[str, Any]], layout: dict[str, Any], write: Writer) -> dict[str, Any]:
    """A figure in the look that all share."""
    return {"data": data, "layout": {**layout, "separators": write.separators}}


def escaped(text: str) -> str:
    """A label, cut if it is long, without markup."""
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return html.escape(short, quote=False)
