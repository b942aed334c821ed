"""Which intervals an estimate may show."""

from __future__ import annotations

import numpy as np
import pytest

from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.intervals.chooser import (
    APPLIES,
    Evidence,
    Offer,
    Rules,
    intervals_for,
    worth,
)
from bandit_service.evaluation.results import Interval
from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import Row, a_batch, a_target, batch_of
from tests.evaluation.intervals.summed import SETTINGS, clicks, favourite_terms, own_terms, ratio_of

RULES = Rules((0.0, 1.0), SETTINGS)
SEQUENCE = Interval(low=0.0, high=1.0, kind="anytime", confidence=0.95)


def offers(
    terms: Terms, estimator: str, rules: Rules = RULES, unsupported: float = 0.0
) -> dict[str, Offer]:
    evidence = Evidence(ratio_of(terms), float(terms.reward.sum()), unsupported, SEQUENCE)
    found = intervals_for(estimator, ratio_of(terms, estimator), rules, evidence)
    return {offer.kind: offer for offer in found}


def claimed(terms: Terms, estimator: str, rules: Rules = RULES) -> list[str]:
    return [kind for kind, offer in offers(terms, estimator, rules).items() if offer.claimed]


def some_terms(n: int = 6000) -> Terms:
    batch = a_batch(n)
    return terms_of(batch, a_target(batch), np.zeros(len(batch.arms)))


def test_every_estimator_has_its_intervals() -> None:
    assert list(APPLIES) == list(estimators(SETTINGS))


def test_an_exact_interval_comes_first_where_there_is_one() -> None:
    terms = own_terms(clicks(1000, 0.3))
    assert claimed(terms, "ips") == ["clopper-pearson", "bootstrap", "normal", "anytime"]
    assert claimed(some_terms(), "ips") == ["bootstrap", "normal", "anytime"]
    assert claimed(terms, "clipped-ips") == ["bootstrap", "normal", "empirical-bernstein"]


def test_what_cannot_be_computed_says_why() -> None:
    offer = offers(some_terms(), "ips")["clopper-pearson"]
    assert offer.interval is None
    assert offer.why is not None
    assert "Weights above 0 differ" in offer.why


def test_dm_shows_none() -> None:
    found = offers(some_terms(), "dm")
    assert claimed(some_terms(), "dm") == []
    assert all("reward model gets wrong" in (offer.why or "") for offer in found.values())


def test_few_rewards_leave_what_holds_for_any_number_of_rows() -> None:
    terms = favourite_terms(clicks(2000, 0.01))
    assert claimed(terms, "ips") == ["clopper-pearson", "anytime"]
    assert claimed(terms, "dr") == []
    assert "rows of the largest weight" in (offers(terms, "dr")["bootstrap"].why or "")


def test_few_effective_rows_are_refused_whatever_they_earned() -> None:
    terms = own_terms(clicks(40, 0.9))
    assert "effective sample size is 40" in (offers(terms, "dr")["normal"].why or "")


@pytest.mark.parametrize("estimator", ["clipped-ips", "switch-dr", "dr-os"])
def test_a_bias_that_may_count_is_not_covered(estimator: str) -> None:
    terms = favourite_terms(clicks(2000, 0.4), arms=4)
    strict = RULES._replace(settings=EstimatorSettings(clip=2.0, switch=2.0, shrinkage=16.0))
    mild = RULES._replace(settings=EstimatorSettings(clip=9.0, switch=9.0, shrinkage=4e4))
    assert "bootstrap" not in claimed(terms, estimator, strict)
    assert "bootstrap" in claimed(terms, estimator, mild)


def test_a_learning_logger_rules_out_what_needs_independent_rows() -> None:
    terms, learning = own_terms(clicks(1000, 0.3)), RULES._replace(adaptive=True)
    assert claimed(terms, "ips", learning) == ["bootstrap", "normal", "anytime"]
    assert "empirical-bernstein" not in claimed(terms, "clipped-ips", learning)


def test_known_visitors_rule_out_what_needs_independent_rows() -> None:
    terms = own_terms(clicks(1000, 0.3), visitors=np.arange(1000.0) // 2)
    assert claimed(terms, "ips") == ["bootstrap", "normal", "anytime"]
    assert "empirical-bernstein" not in claimed(terms, "clipped-ips")


def test_choices_that_are_repeated_rule_out_the_confidence_sequence() -> None:
    assert "anytime" not in claimed(
        own_terms(clicks(1000, 0.3)), "ips", RULES._replace(fresh=False)
    )


def test_what_the_log_could_not_show_is_not_covered() -> None:
    found = offers(own_terms(clicks(1000, 0.3)), "ips", unsupported=0.05)
    assert [kind for kind, offer in found.items() if offer.claimed] == ["anytime"]
    assert "5.0%" in (found["normal"].why or "")


def test_without_a_range_of_rewards_only_what_needs_none_is_given() -> None:
    blind = RULES._replace(reward_range=None)
    terms = own_terms(clicks(1000, 0.3))
    evidence = Evidence(ratio_of(terms), float(terms.reward.sum()))
    found = intervals_for("ips", ratio_of(terms), blind, evidence)
    assert [offer.kind for offer in found if offer.claimed] == ["bootstrap", "normal"]


def test_the_worth_is_in_rewarded_rows_of_the_largest_weight() -> None:
    # given clicks that ips counts 4 times each
    terms = favourite_terms(clicks(2000, 0.2), arms=4)
    reference = ratio_of(terms)
    hits = int(terms.reward[terms.weight > 0].sum())
    # then
    rich = Evidence(reference, earned=1e9)
    assert worth("dr", reference, (0.0, 1.0), rich) == pytest.approx(hits)
    poor = Evidence(reference, earned=40.0)
    assert worth("dr", reference, (0.0, 1.0), poor) == pytest.approx(10.0)
    assert worth("dr", reference, None, poor) == pytest.approx(hits)
    assert worth("dr", reference, (0.0, 2.0), rich) == pytest.approx(hits / 2)


def test_what_never_came_is_missed_by_the_weights_that_did() -> None:
    # given a log that shows its second arm once in 10,000 rows, and happens not to have shown it
    rows = [Row({"a": 0.9999, "b": 0.0001}, "a", float(n % 2)) for n in range(2_000)]
    batch = batch_of(rows)
    terms = terms_of(batch, np.full(4_000, 0.5), np.zeros(4_000))

    # when
    found = offers(terms, "ips")

    # then all weights are alike, and yet half of what the policy shows is in none of them
    assert found["clopper-pearson"].interval is not None
    assert [kind for kind, offer in found.items() if offer.claimed] == ["anytime"]
    assert "0.5 on average, where 1 is due" in (found["clopper-pearson"].why or "")


def test_few_visitors_with_many_rows_are_few() -> None:
    # given 20,000 rows of 8 visitors, and 20,000 of whom one made half
    even = own_terms(clicks(20_000, 0.3), visitors=np.arange(20_000.0) % 8)
    robot = np.where(np.arange(20_000) % 2, 0.0, np.arange(20_000.0))
    uneven = own_terms(clicks(20_000, 0.3), visitors=robot)

    # then
    assert claimed(even, "dr") == []
    assert "few visitors, worth 8" in (offers(even, "dr")["normal"].why or "")
    assert "few visitors, worth 4" in (offers(uneven, "dr")["normal"].why or "")


def test_a_confidence_beyond_the_replicates_is_left_to_others() -> None:
    terms = own_terms(clicks(6_000, 0.3))
    strict = RULES._replace(confidence=0.999)
    assert claimed(terms, "dr") == ["bootstrap", "normal"]
    assert claimed(terms, "dr", strict) == ["normal"]
