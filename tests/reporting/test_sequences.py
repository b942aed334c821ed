"""Confidence sequences: the bounds are where the formula says, and hold at all times at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln
from scipy.stats import norm

from bandit_service.reporting.sequences import ALPHA, Bounds, difference, radius, shares


def excess(p: float, hits: float, trials: float, alpha: float) -> float:
    """Log of by how much the formula keeps ``p``: 0 at the bounds, negative beyond them."""
    misses = trials - hits
    likelihood = (hits * math.log(p) if hits else 0.0) + (misses * math.log1p(-p) if misses else 0)
    return float(
        likelihood - math.log(alpha) - betaln(hits + 0.5, misses + 0.5) + math.log(math.pi)
    )


def bounds_of(hits: float, trials: float, alpha: float = ALPHA) -> tuple[float, float]:
    found = shares(np.array(hits), np.array(trials), alpha)
    return float(found.low), float(found.high)


@given(st.floats(0.001, 1e7), st.floats(0.0, 1.0), st.sampled_from([0.05, 0.001, 1e-6]))
@settings(max_examples=300, deadline=None)
def test_the_bounds_of_a_share_are_where_the_formula_crosses(
    trials: float, rate: float, alpha: float
) -> None:
    hits = trials * rate

    low, high = bounds_of(hits, trials, alpha)

    assert 0.0 <= low <= rate + 1e-9
    assert rate - 1e-9 <= high <= 1.0
    slack = 1e-5 * (1.0 + trials)
    if 1e-300 < low < 1.0:
        assert abs(excess(low, hits, trials, alpha)) <= slack
    if 0.0 < high < 1.0 - 1e-12:
        assert abs(excess(high, hits, trials, alpha)) <= slack


def test_without_trials_everything_is_possible_and_without_hits_or_misses_one_end_is() -> None:
    assert bounds_of(0.0, 0.0) == (0.0, 1.0)
    assert bounds_of(0.0, 50.0)[0] == 0.0
    assert bounds_of(50.0, 50.0)[1] == 1.0
    assert bounds_of(50.0, 50.0)[0] == pytest.approx(1.0 - bounds_of(0.0, 50.0)[1])


def test_bounds_of_many_are_those_of_each_whatever_the_shape() -> None:
    rng = np.random.default_rng(1)
    trials = rng.uniform(0.0, 500.0, (3, 4, 5))
    hits = trials * rng.random(trials.shape) ** 3
    alphas = rng.uniform(0.001, 0.2, trials.shape)

    found = shares(hits, trials, alphas)

    assert found.low.shape == found.high.shape == (3, 4, 5)
    for at in np.ndindex(*trials.shape):
        one = bounds_of(float(hits[at]), float(trials[at]), float(alphas[at]))
        assert (found.low[at], found.high[at]) == pytest.approx(one, abs=1e-9)


def test_bounds_of_a_share_hardly_ever_fail_however_often_one_looks() -> None:
    """1,500 streams of 400 trials, looked at after each: at most 5 % may ever fail."""
    rng = np.random.default_rng(2)
    for rate in (0.02, 0.3, 0.9):
        hits = np.cumsum(rng.random((500, 400)) < rate, axis=1).astype(np.float64)
        found = shares(hits, np.broadcast_to(np.arange(1.0, 401.0), hits.shape))

        failed = ((found.low > rate) | (found.high < rate)).any(axis=1)

        assert failed.mean() <= ALPHA


def test_the_interval_of_one_look_would_fail_where_one_looks_often() -> None:
    """What the sequences are for: Wald's interval at the end of each day, on the same streams."""
    rng = np.random.default_rng(2)
    hits = np.cumsum(rng.random((500, 400)) < 0.3, axis=1)[:, 20:]
    n = np.arange(21.0, 401.0)
    mean = hits / n
    half = norm.ppf(0.975) * np.sqrt(mean * (1.0 - mean) / n)

    assert (np.abs(mean - 0.3) > half).any(axis=1).mean() > 4 * ALPHA


def test_half_the_width_of_a_mean_is_the_normal_mixtures() -> None:
    variance, worth = np.array([0.04, 0.04, 0.01]), np.array([90.0, 9_000.0, 90.0])

    found = radius(variance, worth, 0.05)

    expected = math.sqrt(0.04 * (1.0 + 10.0 / 90.0) * math.log(10.0 / 0.05**2))
    assert found[0] == pytest.approx(expected)
    assert found[2] == pytest.approx(expected / 2.0)
    assert found[1] / math.sqrt(0.04) > norm.ppf(0.975)


def test_where_nothing_speaks_for_a_mean_it_may_be_anything() -> None:
    assert radius(np.array(0.1), np.array(0.0)) == math.inf


def test_means_hardly_ever_leave_their_intervals_however_often_one_looks() -> None:
    rng = np.random.default_rng(3)
    n = np.arange(1.0, 1001.0)
    means = np.cumsum(rng.standard_normal((400, 1000)), axis=1) / n

    failed = (np.abs(means) > radius(1.0 / n, n)).any(axis=1)

    assert failed.mean() <= ALPHA


def test_the_interval_of_a_difference_is_as_wide_as_both_at_right_angles() -> None:
    one, other = Bounds(np.array(0.2), np.array(0.4)), Bounds(np.array(0.1), np.array(0.12))

    found = difference(np.array(0.3), one, np.array(0.1), other)

    assert float(found.low) == pytest.approx(0.2 - math.hypot(0.1, 0.02))
    assert float(found.high) == pytest.approx(0.2 + 0.1)
