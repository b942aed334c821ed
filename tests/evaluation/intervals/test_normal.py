"""The normal interval: the textbook's where rows are independent, wider where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from bandit_service.evaluation.intervals.normal import normal, standard_error
from bandit_service.evaluation.terms import Terms
from tests.evaluation.intervals.summed import clicks, favourite_terms, own_terms, ratio_of


def test_of_a_mean_it_is_the_textbooks() -> None:
    # given
    rewards = np.random.default_rng(3).normal(2.0, 0.5, 400)
    # when
    interval = normal(ratio_of(own_terms(rewards)), 0.95)
    # then
    half = 1.959963984540054 * rewards.std(ddof=1) / np.sqrt(400)
    assert interval is not None
    assert interval.low == pytest.approx(rewards.mean() - half, rel=1e-12)
    assert interval.high == pytest.approx(rewards.mean() + half, rel=1e-12)
    assert (interval.kind, interval.confidence) == ("normal", 0.95)


def test_of_a_ratio_it_is_that_of_the_linearised_residuals() -> None:
    terms = favourite_terms(clicks(500, 0.3))
    residuals = terms.weight * (terms.reward - ratio_of(terms, "snips").value)
    expected = np.sqrt(500 / 499 * np.sum(residuals**2)) / terms.weight.sum()
    assert standard_error(ratio_of(terms, "snips")) == pytest.approx(expected, rel=1e-12)


def test_rows_of_a_visitor_count_once() -> None:
    # given 20 visitors, whose groups happen to differ, with 10 equal rows each
    rewards = clicks(20, 0.4)
    # when
    many = ratio_of(own_terms(np.repeat(rewards, 10), visitors=np.repeat(np.arange(20.0), 10)))
    # then
    assert np.count_nonzero(many.group_n) == 20
    once = standard_error(ratio_of(own_terms(rewards)))
    assert standard_error(many) == pytest.approx(once, rel=1e-12)


@pytest.mark.parametrize("rewards", [np.zeros(50), np.ones(50), np.full(7, 0.1), np.ones(1)])
def test_rows_that_do_not_vary_prove_no_certainty(rewards: np.ndarray) -> None:
    assert normal(ratio_of(own_terms(rewards)), 0.95) is None


def test_without_a_denominator_there_is_none() -> None:
    terms = favourite_terms(clicks(50, 0.5))
    nothing = Terms(**{**terms._asdict(), "weight": np.zeros(50)})
    assert normal(ratio_of(nothing, "snips"), 0.95) is None
