"""What a cell of the tables says."""

from __future__ import annotations

import pytest

from simulations.bandits.estimates import Estimate, Line, WorldTable
from simulations.bandits.table import NOTHING, cells, columns, markdown, number, percent, points


def test_a_share_is_said_with_its_interval_and_a_difference_with_its_sign() -> None:
    estimate = Estimate(0.1234, -0.05, 0.2)
    assert percent(estimate) == "12.3 % [-5.0, 20.0]"
    assert points(estimate) == "+12.3 [-5.0, +20.0]"
    assert number(estimate) == "0.123 [-0.050, 0.200]"


@pytest.mark.parametrize("value", [-0.0, -1e-5, 1e-5])
def test_what_is_rounded_to_nothing_has_no_minus(value: float) -> None:
    assert percent(Estimate(value)) == "0.0 %"
    assert points(Estimate(value)) == "+0.0"


def test_what_is_not_known_is_a_dash() -> None:
    assert {percent(None), points(None), number(None)} == {NOTHING}


def test_names_of_files_break_no_table() -> None:
    # given
    certain = Estimate(0.5, 0.4, 0.6)
    line = Line("ours:a|b<c>.toml", 1, (certain,), certain, certain, None, "", None, 3.0, (0.5,))
    table = WorldTable("w|x", "<words>", (None,), (500,), 2, 30, 15_000, "ours", (line,))
    # when
    rows = [row for row in markdown([table]).splitlines() if row.startswith("| ours")]
    # then
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == len(columns(table)) + 1
    assert "&lt;c>" in rows[0]
    assert cells(line, table)[0] == "ours:a|b<c>.toml (1 of 2 seeds)"


def test_without_a_reference_there_is_no_comparison() -> None:
    certain = Estimate(0.5, 0.4, 0.6)
    line = Line("beta", 1, (certain,), certain, certain, None, "", 0.5, 3.0, (0.5,))
    table = WorldTable("w", "words", (None,), (500,), 1, 30, 15_000, "", (line,))
    assert len(cells(line, table)) == len(columns(table)) == 6
