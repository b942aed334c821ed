"""The exact interval, against SciPy's of the same counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from bandit_service.evaluation.intervals.clopper_pearson import clopper_pearson
from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import a_batch, a_target
from tests.evaluation.intervals.summed import clicks, favourite_terms, own_terms, ratio_of

RANGE = (0.0, 1.0)


def exact(hits: int, trials: int, scale: float = 1.0) -> tuple[float, float]:
    found = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    return scale * found.low, scale * found.high


def bounds(terms: Terms, estimator: str, top: float = 1.0) -> tuple[float, float]:
    found = clopper_pearson(ratio_of(terms, estimator), 0.95, reward_range=(0.0, top))
    assert found is not None
    return found.low, found.high


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.5, 1.0])
def test_of_the_logs_own_policy_all_rows_are_trials(rate: float) -> None:
    rewards = clicks(300, rate)
    expected = exact(int(rewards.sum()), 300)
    for estimator in ("ips", "snips", "replay"):
        assert bounds(own_terms(rewards), estimator) == pytest.approx(expected)


def test_a_mean_has_all_rows_for_trials_and_a_ratio_those_with_weight() -> None:
    # given
    terms = favourite_terms(clicks(2000, 0.1), arms=5)
    used = terms.weight > 0
    hits = int(terms.reward[used].sum())
    # then
    assert bounds(terms, "ips") == pytest.approx(exact(hits, 2000, 5.0))
    assert bounds(terms, "snips") == pytest.approx(exact(hits, int(used.sum())))
    assert bounds(terms, "replay") == pytest.approx(exact(hits, int(used.sum())))


def test_a_reward_may_be_any_one_value() -> None:
    rewards = clicks(300, 0.2)
    expected = exact(int(rewards.sum()), 300, 2.5)
    assert bounds(own_terms(2.5 * rewards), "ips", top=2.5) == pytest.approx(expected)


def test_it_is_not_above_what_a_reward_can_be() -> None:
    assert bounds(favourite_terms(np.ones(20), arms=5), "ips")[1] == 1.0


def test_unequal_weights_give_none() -> None:
    batch = a_batch(300)
    terms = terms_of(batch, a_target(batch), np.zeros(len(batch.arms)))
    for estimator in ("ips", "snips", "replay"):
        assert clopper_pearson(ratio_of(terms, estimator), 0.95, reward_range=RANGE) is None


def test_rewards_between_give_none() -> None:
    rewards = clicks(300, 0.2)
    rewards[7] = 0.5
    assert clopper_pearson(ratio_of(own_terms(rewards)), 0.95, reward_range=RANGE) is None


def test_rewards_of_several_signs_give_none() -> None:
    # given 0, 2 and -1, of which as many that sums alone would not tell them from clicks
    rewards = np.tile([2.0, -1.0, -1.0, 0.0], 50)
    assert clopper_pearson(ratio_of(own_terms(rewards)), 0.95, reward_range=(-1.0, 2.0)) is None


def test_known_visitors_give_none() -> None:
    terms = own_terms(clicks(300, 0.2), visitors=np.arange(300.0) // 3)
    assert clopper_pearson(ratio_of(terms), 0.95, reward_range=RANGE) is None
