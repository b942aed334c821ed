"""Drawn placements, and how far the variants of real ones differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from simulations.bandits.told import Telling, Told
from simulations.bandits.worlds import Setup, archive, world
from simulations.bandits.worlds.newsroom import Newsroom
from simulations.bandits.worlds.prior import SHAPE, Drawn, Prior, pseudo_counts
from simulations.bandits.worlds.spread import shape_of, shape_of_tests


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.3])
def test_rates_are_drawn_around_the_mean_as_far_as_the_shape_says(rate: float) -> None:
    drawn = np.random.default_rng(1).beta(*pseudo_counts(rate, SHAPE), 200_000)
    assert drawn.mean() == pytest.approx(rate, rel=0.003)
    assert drawn.std() == pytest.approx(rate / np.sqrt(SHAPE), rel=0.02)


def test_a_drawn_world_is_as_long_as_it_says_and_tells_what_it_is_made_of() -> None:
    # given
    place = world("prior:4:0.02:250", Setup(1))
    # when
    batches = list(place.batches())
    spots = {batch.spot.id: batch for batch in batches}
    rates = np.array([batch.truth[0] for batch in spots.values()])
    # then
    assert isinstance(place, Telling)
    assert place.told("placement-7") == Told(0.02, 250)
    assert sum(len(batch.at) for batch in batches) == 300 * 250
    assert rates.shape == (300, 4)
    assert abs(rates.mean() - 0.02) < 4 * 0.02 / np.sqrt(SHAPE * rates.size)
    assert shape_of(rates) == pytest.approx(SHAPE, rel=0.25)


def test_all_outcomes_are_known_before_the_next_batch_of_the_same_placement() -> None:
    place = Prior("prior", arms=2, told=Told(0.5, 350), placements=30, seed=1)
    known: dict[str, int] = {}
    before = 0
    for batch in place.batches():
        assert before <= batch.at[0]
        assert np.all(np.diff(batch.at) >= 0)
        assert batch.at[0] >= known.get(batch.spot.id, 0)
        assert np.all((batch.delay >= 1) & (batch.delay < place.window_ms))
        known[batch.spot.id] = int(batch.at[-1]) + place.window_ms
        before = int(batch.at[-1])


def test_a_seed_makes_a_world() -> None:
    one, again, other = (
        next(world("prior:3:0.01:100", Setup(seed)).batches()) for seed in (1, 1, 2)
    )
    assert np.array_equal(one.truth, again.truth)
    assert np.array_equal(one.luck, again.luck)
    assert not np.array_equal(one.truth, other.truth)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("prior", "does not say how many variants"),
        ("prior:3:0.01", "does not say how many variants"),
        ("prior:3:0.01:100:5", "does not say how many variants"),
        ("prior:1:0.01:100", "'1' in 'prior:1:0.01:100' is not a number from 2"),
        ("prior:3:often:100", "'often' in 'prior:3:often:100' is no click rate"),
        ("prior:3:0.9:100", "is no click rate from 0.0001 to 0.5"),
        ("prior:3:nan:100", "is no click rate"),
        ("prior:3:0.01:0", "'0' in 'prior:3:0.01:0' is not a number from 1"),
        ("prior:newsroom:tomorrow", "'tomorrow' means nothing"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_how_to_write_it(
    name: str, words: str, tests_file: Path
) -> None:
    with pytest.raises(InvalidInput) as told:
        world(name, Setup(1, upworthy=tests_file))
    assert words in told.value.message
    assert told.value.hint


def test_the_newsroom_with_drawn_rates_is_the_newsroom_otherwise(tests_file: Path) -> None:
    # given
    setup = Setup(1, upworthy=tests_file)
    real, drawn = world("newsroom:200", setup), world("prior:newsroom:200", setup)
    # when
    pairs = list(zip(real.batches(), drawn.batches(), strict=True))
    # then
    assert "drawn around each test's mean" in drawn.words
    for one, two in pairs:
        assert one.spot.id == two.spot.id
        assert np.array_equal(one.at, two.at)
        assert one.truth.shape == two.truth.shape
        assert not np.array_equal(one.truth, two.truth)
    assert isinstance(drawn, Newsroom)
    for one, _ in pairs:
        rate, impressions = drawn.told(one.spot.id)
        assert rate == pytest.approx(one.truth[0].mean())
        assert impressions == 200


def test_a_test_without_a_click_has_none_when_drawn() -> None:
    rates = Drawn(39.0).rates(np.zeros(3), np.random.default_rng(1))
    assert rates.tolist() == [[0.0, 0.0, 0.0]]


def test_how_far_variants_differ_is_found_again_whatever_the_means() -> None:
    # given placements whose means lie far apart
    rng = np.random.default_rng(2)
    rates = [rng.uniform(0.001, 0.1) * rng.gamma(25.0, 1 / 25.0, arms) for arms in [2, 4, 6] * 600]
    # when
    found = shape_of(rates)
    # then: 5,400 degrees of freedom are worth some 2 %
    assert found == pytest.approx(25.0, rel=0.08)
    assert shape_of([9.0 * one for one in rates]) == pytest.approx(found)


def test_where_nothing_can_be_told_of_the_spread_it_is_said() -> None:
    with pytest.raises(InvalidInput, match="no tests to tell from"):
        shape_of([])


def test_the_shape_is_that_of_the_archives_tuning_weeks() -> None:
    try:
        tests = archive.read(archive.found(None))
    except InvalidInput as exc:
        pytest.skip(exc.message)
    assert shape_of_tests(tests.tuning(), tests.k) == pytest.approx(SHAPE, abs=0.05)
    assert shape_of_tests(tests.reporting(), tests.k) == pytest.approx(41.1, abs=0.05)
