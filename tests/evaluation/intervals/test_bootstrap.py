"""The studentised bootstrap over groups of visitors."""

from __future__ import annotations

import numpy as np
import pytest

from bandit_service.evaluation.intervals.bootstrap import bootstrap
from bandit_service.evaluation.intervals.normal import normal
from tests.evaluation.intervals.summed import clicks, favourite_terms, own_terms, ratio_of


def test_the_seed_decides() -> None:
    ratio = ratio_of(own_terms(clicks(500, 0.2)))
    assert bootstrap(ratio, 0.95, seed=1) == bootstrap(ratio, 0.95, seed=1)
    assert bootstrap(ratio, 0.95, seed=1) != bootstrap(ratio, 0.95, seed=2)


def test_of_many_rows_that_are_nearly_normal_it_is_nearly_the_normal() -> None:
    # given
    ratio = ratio_of(own_terms(np.random.default_rng(4).normal(1.0, 1.0, 20_000)))
    # when
    mine, other = bootstrap(ratio, 0.95, seed=1, replicates=8000), normal(ratio, 0.95)
    # then quantiles of 8,000 replicates are within 5 % of the half width, at 4 standard errors
    assert mine is not None
    assert other is not None
    slack = 0.05 * (other.high - other.low)
    assert mine.low == pytest.approx(other.low, abs=slack)
    assert mine.high == pytest.approx(other.high, abs=slack)


def test_of_few_rewarded_rows_it_reaches_further_up_than_down() -> None:
    ratio = ratio_of(favourite_terms(clicks(2000, 0.03)))
    found = bootstrap(ratio, 0.95, seed=1)
    assert found is not None
    assert found.high - ratio.value > 1.2 * (ratio.value - found.low)


def test_it_reads_groups_and_not_rows() -> None:
    rewards = clicks(60, 0.4)
    visitors = np.repeat(np.arange(60.0), 20)
    once = bootstrap(ratio_of(own_terms(np.repeat(rewards, 20), visitors=visitors)), 0.95, seed=1)
    rows = bootstrap(ratio_of(own_terms(np.repeat(rewards, 20))), 0.95, seed=1)
    assert once is not None
    assert rows is not None
    assert once.high - once.low > 3.0 * (rows.high - rows.low)


@pytest.mark.parametrize("hits", [0, 1, 2])
def test_too_few_rewarded_rows_give_none(hits: int) -> None:
    rewards = np.zeros(1000)
    rewards[:hits] = 1.0
    assert bootstrap(ratio_of(own_terms(rewards)), 0.95, seed=1) is None


def test_a_thousandfold_reward_is_a_thousandfold_interval() -> None:
    rewards = clicks(900, 0.2)
    one = bootstrap(ratio_of(own_terms(rewards)), 0.9, seed=5)
    thousand = bootstrap(ratio_of(own_terms(rewards * 1000.0)), 0.9, seed=5)
    assert one is not None
    assert thousand is not None
    assert thousand.low == pytest.approx(1000.0 * one.low, rel=1e-9)
    assert thousand.high == pytest.approx(1000.0 * one.high, rel=1e-9)
