"""The bounds of many games together."""

from __future__ import annotations

import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from simulations.bandits.bounds.cell import Bounds, Cell
from simulations.bandits.bounds.index import Share
from simulations.bandits.bounds.newsroom import Fine, Grid, Mix, Replay, limit, mix, reached
from simulations.bandits.told import Means, Told


def a_mix(*sizes: tuple[int, float, int]) -> Mix:
    """Tests by variants, click rate and impressions."""
    truths = [
        (rate * np.linspace(0.8, 1.2, arms), Told(rate, length)) for arms, rate, length in sizes
    ]
    return mix("some", truths, 39.0)


def a_grid(*mixes: Mix) -> Grid:
    return Grid(mixes, Fine(steps=20, futures=2, ratio=2.0), seed=1)


def as_said(cell: Cell, relaxed: float, error: float = 0.0) -> tuple[Cell, Bounds]:
    return cell, Bounds(relaxed, Share(relaxed / 2, error), None, None)


def test_a_mix_of_one_kind_has_that_kinds_bound() -> None:
    # given
    alike = a_mix(*[(4, 0.01, 2_000)] * 3)
    grid = a_grid(alike)
    # when
    (cell,) = grid.every()
    found = limit(grid, alike, dict([as_said(cell, 0.3, 0.01)]))
    # then
    assert (cell.game.arms, cell.game.impressions) == (4, 2_000)
    assert found.relaxed == pytest.approx(0.3)
    assert found.informed == pytest.approx((0.15, 0.01))


def test_tests_count_by_their_headroom() -> None:
    # given two tests, one with six times the clicks of the other, and of a spread that is the same
    both = a_mix((4, 0.01, 1_000), (4, 0.03, 2_000))
    grid = a_grid(both)
    # when: bounds are straight over the logarithm of clicks
    cells, weights = grid.read(both)
    at = np.log([cell.game.clicks for cell in cells])
    # then
    assert weights.sum() == pytest.approx(1.0)
    assert both.headroom[1] / both.headroom[0] == pytest.approx(6.0, rel=0.01)
    mean = float(np.average(np.log(both.clicks), weights=both.headroom))
    assert float(weights @ at) == pytest.approx(mean, abs=0.01)


def test_the_grid_reaches_over_all_tests_in_small_steps() -> None:
    # given
    tests = a_mix(*[(arms, 0.01, length) for arms in (2, 7, 9) for length in (500, 30_000)])
    # when
    grid = a_grid(tests)
    # then: of many variants only the most are computed
    assert sorted(grid.cells) == [2, 9]
    for cells in grid.cells.values():
        clicks = np.array([cell.game.clicks for cell in cells])
        assert clicks[0] == pytest.approx(5, rel=0.05)
        assert clicks[-1] == pytest.approx(300, rel=0.05)
        assert np.all(clicks[1:] / clicks[:-1] < 2.1)


def test_common_clicks_say_a_little_more() -> None:
    rare, common = a_mix((3, 0.01, 2_000)), a_mix((3, 0.1, 200))
    assert common.clicks[0] / rare.clicks[0] == pytest.approx(0.99 / 0.9)


def test_what_is_uncertain_of_cells_is_uncertain_of_the_mix() -> None:
    both = a_mix((2, 0.01, 1_000), (3, 0.01, 1_000))
    grid = a_grid(both)
    cells, weights = grid.read(both)
    found = limit(grid, both, dict(as_said(cell, 0.2, 0.01) for cell in cells))
    assert found.informed.error == pytest.approx(0.01 * np.sqrt((weights**2).sum()))


def test_the_lift_is_that_of_the_true_rates() -> None:
    tests = a_mix((3, 0.01, 1_000), (3, 0.03, 1_000))
    assert tests.lift == pytest.approx(0.2)


def test_tests_without_a_click_are_left_out_and_must_not_be_all() -> None:
    none = (np.zeros(3), Told(0.0, 1_000))
    some = (np.full(2, 0.01), Told(0.01, 1_000))
    assert mix("some", [none, some], 39.0).arms.tolist() == [2]
    with pytest.raises(InvalidInput, match="no test has a click"):
        mix("none", [none], 39.0)


def test_the_index_plays_a_mix_as_it_plays_its_games() -> None:
    # given
    tests = a_mix((2, 0.02, 500), (5, 0.02, 500), (2, 0.01, 700))
    # when
    replay, found = reached(Replay(tests, 1_000_000, None, seed=1))
    _, untold = reached(Replay(tests, 1_000_000, Means(0.015, 0.6), seed=1))
    # then
    assert replay.mix is tests
    assert untold.share.value < found.share.value
    assert 0.05 < found.share.value < 0.4
    assert found.share.error < 0.02
    assert found.once[0] < found.share.value < found.once[1]
