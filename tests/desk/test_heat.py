"""The heat map and what stands beside it, against what is known to have happened."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import get_args

import pytest

from bandit_service.catalog.model import Persona, Variant
from bandit_service.reporting.estimates import Estimate
from bandit_service.reporting.placement_report import Cell, PlacementReport
from bandit_service.reporting.words import State
from bandit_service.services import Services
from bandit_service.web.desk.heat import STEPS, heat_of
from bandit_service.web.desk.standing import STATES
from bandit_service.web.desk.writing import NOTHING
from tests.conftest import Api, Clock, body_of
from tests.desk.counting import counted, settled
from tests.desk.people import Person, text_of


def visited(
    api: Api, clock: Clock, services: Services, persona: str, clicks: dict[str, int]
) -> dict[str, list[int]]:
    """Let visitors of a persona come; the first so many that see a variant click it.

    Returns how often each variant was shown and clicked.
    """
    seen: dict[str, list[int]] = {}
    for _ in range(120):
        clock.advance(0.5)
        answer = body_of(api.decide(persona=persona))
        name = answer["variant"]["id"]
        shown = seen.setdefault(name, [0, 0])
        shown[0] += 1
        kind = "click" if shown[1] < clicks.get(name, 0) else "impression"
        shown[1] += kind == "click"
        body_of(api.events({"decision": answer["decision"], "type": kind}), 202)
    return seen


def cells_of(page: str, column: int) -> dict[str, str]:
    """What stands in a column of the map, by variant."""
    table = re.search(r'<table class="heat">(.*?)</table>', page, re.DOTALL)
    assert table is not None
    found = {}
    for row in re.findall(r"<tr>(.*?)</tr>", table[1], re.DOTALL)[1:]:
        name = re.search(r'<th scope="row">([^<]*)', row)
        assert name is not None
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        found[name[1].strip()] = " ".join(unescape(re.sub("<[^>]*>", " ", cells[column])).split())
    return found


def test_the_map_shows_what_happened(
    editor: Person, api: Api, clock: Clock, services: Services
) -> None:
    # given two personas that click in ways that are known
    romantic = visited(api, clock, services, "romantic", {"kiss": 12})
    comedy = visited(api, clock, services, "comedy", {"joke": 9})
    settled(services, clock)

    # when
    page = editor.get("/desk/placements/film").text

    # then each cell has its visits, and a variant that nobody of them clicked earned nothing
    for column, seen in enumerate((romantic, comedy)):
        cells = cells_of(page, column)
        for name, (shown, clicked) in seen.items():
            assert f"{shown} visits" in cells[name]
            assert cells[name].startswith("0%") == (clicked == 0)
    assert set(cells_of(page, 2).values()) == {"none yet"}  # nobody of no persona came

    # and the numbers at the top add up
    total = sum(shown for seen in (romantic, comedy) for shown, _ in seen.values())
    assert total == 240
    assert f"Visits {total}" in text_of(editor.get("/desk/placements/film"))


def test_visits_and_clicks_are_told_before_rates_can_be(
    editor: Person, api: Api, clock: Clock, services: Services
) -> None:
    # given visitors whose time for clicks is not over
    seen = visited(api, clock, services, "romantic", {"kiss": 12})
    counted(services)

    # when
    page = editor.get("/desk/placements/film").text

    # then what happened is told, and when rates follow
    cells = cells_of(page, 0)
    for name, (shown, clicked) in seen.items():
        clicks = f"{clicked} click{'' if clicked == 1 else 's'} so far"
        assert cells[name] == f"{shown} visits {clicks}"
    words = text_of(editor.get("/desk/placements/film"))
    clicked = sum(clicked for _, clicked in seen.values())
    assert f"Visits 120 Clicked {clicked} Click rate {NOTHING}" in words
    assert "Rates follow in 10 minutes" in words
    assert 'id="rates"' not in page

    # and once it is over they are there
    settled(services, clock)
    assert "Rates follow" not in text_of(editor.get("/desk/placements/film"))


def test_the_table_beside_the_map_names_the_persona_of_each_number(
    editor: Person, api: Api, clock: Clock, services: Services
) -> None:
    # given visitors of the second persona alone
    seen = visited(api, clock, services, "comedy", {"joke": 9})
    settled(services, clock)

    # when
    page = editor.get("/desk/placements/film").text

    # then every number is theirs, or everybody's
    twin = re.search(r"<caption>Rates are corrected(.*?)</table>", page, re.DOTALL)
    assert twin is not None
    rows = re.findall(r'<tr><th scope="row">(\w+)</th><td>(\w+)</td>', twin[1])
    assert sorted(rows) == sorted((name, whom) for name in seen for whom in ("all", "comedy"))


def test_the_page_says_what_each_persona_is_shown_and_why(
    editor: Person, api: Api, clock: Clock, services: Services
) -> None:
    before = text_of(editor.get("/desk/placements/film"))
    assert "All alike" in before
    assert "Nothing tells the variants apart yet" in before
    assert "Shown most to" not in before

    visited(api, clock, services, "romantic", {"kiss": 60})
    settled(services, clock)

    page = editor.get("/desk/placements/film").text
    row = re.search(r'<th scope="row">romantic</th>(.*?)</tr>', page, re.DOTALL)
    assert row is not None
    words = unescape(re.sub("<[^>]*>", " ", row[1]))
    assert "kiss" in words
    assert "expected to earn" in words


# -- colours


def test_a_variant_has_one_colour_in_all_of_a_page(
    editor: Person, api: Api, clock: Clock, services: Services
) -> None:
    # given shares that differ between personas, over more than an hour
    for persona, best in (("romantic", "kiss"), ("comedy", "joke")):
        visited(api, clock, services, persona, {best: 60})
        settled(services, clock)

    # when
    page = editor.get("/desk/placements/film").text

    # then the strips and the bars below them agree
    strips = set(re.findall(r'<rect class="s(\d)"[^>]*><title>(\w+) ', page))
    hours = re.search(r'data-chart="hours".*?<script[^>]*>(.*?)</script>', page, re.DOTALL)
    assert hours is not None
    bars = {
        (bar["marker"]["color"].removeprefix("@c"), bar["name"])
        for bar in json.loads(hours[1])["data"]
    }
    assert strips == bars
    assert len({colour for colour, _ in strips}) == len(strips) == 3


# -- states


def test_every_state_can_be_looked_for() -> None:
    assert set(STATES) == set(get_args(State))


# -- the shades


def estimate(rate: float | None, n: int, effective: float) -> Estimate:
    return Estimate(rate=rate, low=0.0, high=1.0, n=n, effective_n=effective, largest_weight=1.0)


def report(**cells: Estimate) -> PlacementReport:
    """A report of nothing but cells of a persona ``p``."""
    fields = dict.fromkeys(PlacementReport.__struct_fields__)
    found = [
        Cell(arm=f"{arm}@1", persona="p", shown=e.n, rewarded=0, estimate=e)
        for arm, e in cells.items()
    ]
    return PlacementReport(**{**fields, "cells": found, "variants": []})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "effective", "shade"),
    [(0.10, 500.0, STEPS), (0.05, 500.0, 5), (0.001, 500.0, 1), (0.0, 500.0, 0), (0.2, 29.0, 0)],
)
def test_a_shade_says_how_much_of_the_best_rate_a_cell_has(
    rate: float, effective: float, shade: int
) -> None:
    variants = [Variant(id=name, version=1) for name in ("best", "other")]
    cells = {"best": estimate(0.10, 500, 500.0), "other": estimate(rate, 500, effective)}

    found = heat_of(variants, [Persona(id="p")], report(**cells))

    assert found.lines[0].cells[0].shade == STEPS
    assert found.lines[1].cells[0].shade == shade
    assert found.personas == ["p", "unknown"]
