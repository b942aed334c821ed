"""The empirical Bernstein interval, against the inequality written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.intervals.bernstein import empirical_bernstein
from tests.evaluation.intervals.summed import clicks, favourite_terms, own_terms, ratio_of

CLIP = 20.0


def slack(rows: np.ndarray, reach: float, delta: float) -> float:
    """Theorem 4 of Maurer and Pontil for rows in a range of length ``reach``."""
    n, scaled = len(rows), rows / reach
    log = math.log(2.0 / delta)
    return reach * (math.sqrt(2.0 * scaled.var(ddof=1) * log / n) + 7.0 * log / (3.0 * (n - 1)))


def test_it_is_the_theorem_and_what_clipping_may_have_cut_off() -> None:
    # given
    terms = favourite_terms(clicks(4000, 0.2), arms=4)
    rows, weights = terms.weight * terms.reward, terms.weight
    # when
    found = empirical_bernstein(
        ratio_of(terms, "clipped-ips"), 0.95, clip=CLIP, reward_range=(0.0, 1.0)
    )
    # then
    delta = 0.05 / 3
    cut = 1.0 - weights.mean() + slack(weights, CLIP, delta)
    assert found is not None
    assert found.low == pytest.approx(max(0.0, rows.mean() - slack(rows, CLIP, delta)))
    assert found.high == pytest.approx(rows.mean() + slack(rows, CLIP, delta) + cut)
    assert found.kind == "empirical-bernstein"


def test_what_was_clipped_may_have_earned_the_most() -> None:
    # given weights of 40, of which 20 count: half of the policy's choices are cut off
    terms = favourite_terms(np.zeros(200_000), arms=40)
    # when
    found = empirical_bernstein(
        ratio_of(terms, "clipped-ips"), 0.95, clip=CLIP, reward_range=(0.0, 1.0)
    )
    # then
    assert found is not None
    assert found.low == 0.0
    assert 0.5 < found.high < 0.6


def test_rewards_below_nothing_widen_it_downwards() -> None:
    ratio = ratio_of(own_terms(clicks(5000, 0.5)), "clipped-ips")
    plain = empirical_bernstein(ratio, 0.95, clip=CLIP, reward_range=(0.0, 1.0))
    signed = empirical_bernstein(ratio, 0.95, clip=CLIP, reward_range=(-1.0, 1.0))
    assert plain is not None
    assert signed is not None
    assert signed.low < plain.low


def test_it_stays_within_what_a_reward_can_be() -> None:
    ratio = ratio_of(own_terms(clicks(10, 0.5)), "clipped-ips")
    found = empirical_bernstein(ratio, 0.95, clip=CLIP, reward_range=(0.0, 1.0))
    assert found is not None
    assert (found.low, found.high) == (0.0, 1.0)


def test_one_row_gives_none() -> None:
    ratio: Ratio = ratio_of(own_terms(np.ones(1)), "clipped-ips")
    assert empirical_bernstein(ratio, 0.95, clip=CLIP, reward_range=(0.0, 1.0)) is None
