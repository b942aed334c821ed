"""Rates: corrected for who was shown what, and with an interval that is as wide as is due."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from bandit_service.reporting.columns import (
    ASKED,
    SPREAD,
    W2,
    W2R,
    W2R2,
    WR,
    W,
    counts,
    everybody,
    merged,
)
from bandit_service.reporting.columns import weighted as weighted_sums
from bandit_service.reporting.estimates import (
    ENOUGH,
    NO_DIFFERENCE,
    apart,
    compared,
    effective_n,
    measured,
    weighted,
)
from bandit_service.reporting.sequences import shares
from bandit_service.reporting.tables import Scale, whole
from tests.reporting.counting import Counting, placement
from tests.reporting.tables import CLICKS, Shown, row, table

BOTH_SIGNS = Scale(-1.0, 1.0)


def test_a_variant_shown_mostly_to_an_eager_persona_does_not_look_better_than_it_is() -> None:
    """Both variants are liked alike; eager visitors get ``a`` nine times of ten, others ``b``."""
    rng, site = random.Random(1), Counting(placement("film", ["a", "b"]))
    for n in range(4_000):
        eager = n % 2 == 0
        probabilities = [0.9, 0.1] if eager else [0.1, 0.9]
        arm = "a" if rng.random() < probabilities[0] else "b"
        clicked = float(rng.random() < (0.5 if eager else 0.1))
        persona = "eager" if eager else "other"
        site.count(arm, clicked, persona=persona, probabilities=probabilities)
    found = whole(site.sums())
    rows = found.of_everybody()

    raw = measured(counts(rows)[:, 0], CLICKS)
    corrected = weighted(weighted_sums(rows), CLICKS)

    assert raw.rate[0] > 0.4
    assert raw.rate[1] < 0.2
    assert apart(raw.take(0), raw.take(1)).low > 0.2
    assert corrected.rate == pytest.approx([0.3, 0.3], abs=0.06)
    difference = compared(corrected.take(0), corrected.take(1))
    assert difference.verdict == "undecided"
    assert corrected.effective_n[0] < 0.5 * counts(rows)[0, 0, 2]


def test_units_that_weigh_alike_have_the_exact_interval_of_their_share() -> None:
    found = weighted(weighted_sums(row(Shown(400, 60, p=0.25))), CLICKS).record(400)
    plain = measured(counts(row(Shown(400, 60)))[0], CLICKS).record(400)
    exact = shares(np.array(60.0), np.array(400.0))

    for estimate in (found, plain):
        assert estimate.rate == pytest.approx(0.15)
        assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))
        assert (estimate.n, estimate.effective_n, estimate.held_back) == (400, 400.0, None)
    assert (found.largest_weight, plain.largest_weight) == (4.0, 1.0)


def test_the_effective_size_knows_of_weights_that_came_and_of_those_that_could_have() -> None:
    sums = weighted_sums(row(Shown(90, 9, p=0.9), Shown(10, 1, p=0.1)))
    alike = weighted_sums(row(Shown(90, 9, p=0.9)))
    hidden = alike.copy()  # visitors who are hardly ever shown it came as well, and were not
    hidden[[ASKED, SPREAD]] += [100.0, 100.0 / 0.02]

    w = np.array([1 / 0.9] * 90 + [10.0] * 10)
    assert effective_n(sums) == pytest.approx(w.sum() ** 2 / (w @ w))
    assert effective_n(alike) == pytest.approx(90.0)
    assert effective_n(hidden) == pytest.approx(200.0**2 / (90 / 0.9**2 + 5_000.0))
    assert effective_n(np.zeros(8)) == 0.0


def test_the_rate_is_self_normalised() -> None:
    sums = weighted_sums(row(Shown(90, 9, p=0.9), Shown(10, 4, p=0.1)))

    assert weighted(sums, CLICKS).rate == pytest.approx((9 / 0.9 + 40) / (90 / 0.9 + 100))
    assert sums[[W, WR]] == pytest.approx([200.0, 50.0])


def test_before_any_is_settled_there_is_no_rate_and_no_interval() -> None:
    for found in (measured(np.zeros(6), CLICKS), weighted(np.zeros(8), CLICKS)):
        estimate = found.record(0)

        assert (estimate.rate, estimate.low, estimate.high) == (None, None, None)
        assert (estimate.n, estimate.effective_n, estimate.held_back) == (0, 0.0, "nothing_settled")


def test_without_any_reward_the_upper_bound_still_falls() -> None:
    few, many = (measured(counts(row(Shown(n, 0)))[0], Scale(0.0, 0.0)) for n in (10, 1_000))

    assert few.bounds.low == many.bounds.low == 0.0
    assert 10 * float(many.bounds.high) < 0.2 < float(few.bounds.high)


def test_rewards_up_to_a_largest_one_are_that_many_times_a_share() -> None:
    clicks = measured(counts(row(Shown(400, 60)))[0], CLICKS)
    five = counts(row(Shown(400, 60)))[0] * np.array([1, 1, 1, 1, 5.0, 25.0])

    found = measured(five, Scale(0.0, 5.0))

    assert found.rate == pytest.approx(0.75)
    assert found.bounds.low == pytest.approx(5.0 * clicks.bounds.low)
    assert found.bounds.high == pytest.approx(5.0 * clicks.bounds.high)


def test_rewards_of_both_signs_have_an_interval_once_there_are_enough() -> None:
    sums = weighted_sums(row(Shown(1_000, 0, p=0.5)))
    few, many = sums.copy(), sums.copy()
    few[[WR, W2R, W2R2]] = [10.0, 20.0, 4.0 * (ENOUGH - 1.0)]
    many[[WR, W2R, W2R2]] = [100.0, 200.0, 4.0 * 200.0]

    none, some = weighted(few, BOTH_SIGNS).record(1_000), weighted(many, BOTH_SIGNS).record(1_000)

    assert none.rate == pytest.approx(0.005)
    assert none.held_back == "too_few_rewards"
    assert (none.low, none.high) == (None, None)
    assert some.rate == pytest.approx(0.05)
    assert some.low is not None
    assert some.high is not None
    deviation = math.sqrt(0.2 - 0.05**2) / math.sqrt(1_000)
    assert 3.0 < (some.high - some.low) / (2 * deviation) < 4.0


def test_a_difference_is_decided_when_zero_is_outside() -> None:
    found = weighted(
        weighted_sums(np.stack([row(Shown(2_000, 400)), row(Shown(2_000, 100)), row(Shown(9, 1))])),
        CLICKS,
    )

    better, worse = compared(found.take(0), found.take(1)), compared(found.take(1), found.take(0))

    assert better.verdict == "higher"
    assert worse.verdict == "lower"
    assert better.value == pytest.approx(0.15)
    assert better.low is not None
    assert worse.high == pytest.approx(-better.low)
    assert compared(found.take(0), found.take(2)).verdict == "undecided"
    nothing = weighted(np.zeros(8), CLICKS)
    assert compared(found.take(0), nothing) == NO_DIFFERENCE


def test_rows_merge_into_the_row_of_the_whole() -> None:
    parts = [row(Shown(90, 9, p=0.9)), row(Shown(10, 4, p=0.1), holdout=True), row(Shown(5, 5))]

    together = merged(np.stack(parts), axis=0)

    assert weighted_sums(together)[[W, W2, W2R, W2R2]] == pytest.approx(
        sum(weighted_sums(part)[[W, W2, W2R, W2R2]] for part in parts)
    )
    assert everybody(np.stack([weighted_sums(part) for part in parts]), 0) == pytest.approx(
        weighted_sums(together)
    )
    assert weighted(weighted_sums(together), CLICKS).largest == 10.0
    assert merged(np.zeros((0, 28)), axis=0).tolist() == [0.0] * 28


def test_a_table_of_some_variants_has_nothing_of_those_that_were_never_counted() -> None:
    found = table({"a": {"p": Shown(10, 1)}, "b": {"p": Shown(20, 2)}})

    some = found.only(["b@1", "new@1"])

    assert some.arms == ["b@1", "new@1"]
    assert some.rows[0].tolist() == found.rows[1].tolist()
    assert not some.rows[1].any()
