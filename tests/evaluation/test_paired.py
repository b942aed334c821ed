from __future__ import annotations

import numpy as np
import pytest

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import DoublyRobust, Snips
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.intervals.normal import standard_error
from bandit_service.evaluation.paired import difference, interval_of, paired
from bandit_service.evaluation.terms import terms_of
from tests.evaluation.batches import a_batch, a_target, changed


def summed(batch: Batch, target: Floats) -> Ratio:
    fold = EstimateFold(DoublyRobust())
    fold.add(terms_of(batch, target, np.full(len(batch.arms), 0.2)))
    return fold.get()


def row_by_row(batch: Batch, one: Floats, other: Floats) -> Floats:
    """The differences that the paired sums are of."""
    q = np.full(len(batch.arms), 0.2)
    nums = [DoublyRobust().pairs(terms_of(batch, target, q))[0] for target in (one, other)]
    return np.asarray(nums[0] - nums[1])


def test_a_difference_has_the_value_and_the_error_of_the_differences_of_its_rows() -> None:
    batch = a_batch(20_000, seed=3)
    one, other = a_target(batch, seed=1), a_target(batch, seed=2)
    rows = row_by_row(batch, one, other)

    found = paired(summed(batch, one), summed(batch, other))

    assert found.value == pytest.approx(rows.mean(), abs=1e-12)
    error = rows.std(ddof=1) / np.sqrt(len(rows))
    # 1,024 groups: the relative error of a standard error is sqrt(1 / 2048), 2.2 %; four of those.
    assert standard_error(found) == pytest.approx(error, rel=0.09)


def test_what_two_policies_have_in_common_cancels() -> None:
    batch = a_batch(20_000, seed=4)
    one = a_target(batch, seed=1)
    other = 0.95 * one + 0.05 / batch.counts[batch.rows]
    ratios = summed(batch, one), summed(batch, other)

    alone, together = standard_error(ratios[0]), standard_error(paired(*ratios))

    assert together < alone / 4


def test_the_rows_of_a_visitor_are_kept_together() -> None:
    batch = a_batch(4_000, seed=5)
    visits = batch.take(np.repeat(np.arange(4_000), 5))  # each visitor comes five times, alike
    one, other = (a_target(batch, seed=seed) for seed in (1, 2))
    five = [np.repeat(target.reshape(4_000, 4), 5, axis=0).ravel() for target in (one, other)]

    once = paired(summed(batch, one), summed(batch, other))
    often = paired(summed(visits, five[0]), summed(visits, five[1]))

    assert often.sums.n == 5 * once.sums.n
    assert standard_error(often) == pytest.approx(standard_error(once), rel=1e-9)


def test_a_policy_is_exactly_as_good_as_itself() -> None:
    batch = a_batch(500)
    ratio = summed(batch, a_target(batch))

    found = difference(paired(ratio, ratio), confidence=0.95, seed=1)

    assert found.value == 0.0
    assert (found.intervals[0].low, found.intervals[0].high) == (0.0, 0.0)


def test_an_interval_of_a_high_confidence_is_the_normal_one_and_wider() -> None:
    batch = a_batch(5_000)
    found = paired(summed(batch, a_target(batch, seed=1)), summed(batch, a_target(batch, seed=2)))

    usual = interval_of(found, confidence=0.95, seed=1)
    high = interval_of(found, confidence=0.999, seed=1)

    assert usual is not None
    assert high is not None
    assert (usual.kind, high.kind) == ("bootstrap", "normal")
    assert high.high - high.low > 1.3 * (usual.high - usual.low)


def test_intervals_of_differences_hold_as_often_as_they_say() -> None:
    """Two policies that are equally good by symmetry: the truth is 0."""
    missed = 0
    for seed in range(200):
        batch = a_batch(600, seed=seed, uniform=True, placements=1)
        earned = np.random.default_rng(seed).random(600) < 0.2  # whatever is shown
        batch = changed(batch, reward=earned.astype(np.float64))
        one, other = (a_target(batch, seed=each, skew=4.0) for each in (seed, seed + 1_000))
        found = difference(
            paired(summed(batch, one), summed(batch, other)), confidence=0.95, seed=1
        )
        held = found.intervals[0]
        missed += not held.low <= 0.0 <= held.high

    assert missed <= 22  # 10 are expected; a binomial exceeds 22 once in 4,000


def test_doubts_about_either_make_a_difference_weak() -> None:
    batch = a_batch(2_000)
    ratio = paired(summed(batch, a_target(batch, seed=1)), summed(batch, a_target(batch, seed=2)))

    assert difference(ratio, confidence=0.95, seed=1).status == "ok"
    doubted = difference(ratio, confidence=0.95, seed=1, doubts=["One row has most of it."])
    assert (doubted.status, doubted.why) == ("weak", ["One row has most of it."])


def test_a_handful_of_effective_rows_gives_no_value() -> None:
    batch = a_batch(6)
    ratio = paired(summed(batch, a_target(batch, seed=1)), summed(batch, a_target(batch, seed=2)))

    found = difference(ratio, confidence=0.95, seed=1)

    assert (found.value, found.intervals, found.status) == (None, [], "unanswerable")
    assert "10 are the least" in found.why[0]


def test_sums_of_other_rows_and_of_ratios_are_not_paired() -> None:
    batch, less = a_batch(300), a_batch(299)
    whole, part = summed(batch, a_target(batch)), summed(less, a_target(less))
    with pytest.raises(ValueError, match="not of the same rows"):
        paired(whole, part)

    fold = EstimateFold(Snips())
    fold.add(terms_of(batch, a_target(batch), np.zeros(len(batch.arms))))
    with pytest.raises(ValueError, match="not means"):
        paired(whole, fold.get())
