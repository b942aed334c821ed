"""The confidence sequence: its fold merges exactly, and its bounds mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.intervals.sequence import (
    EDGES,
    SequenceFold,
    bounds,
    classes,
    final,
)
from bandit_service.evaluation.results import Moment
from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import a_batch, a_target, changed, without_distributions
from tests.evaluation.intervals.summed import clicks, own_terms

RANGE = (0.0, 1.0)
MINUTE_MS = 60_000


def terms_on(batch: Batch) -> Terms:
    return terms_of(batch, a_target(batch), np.zeros(len(batch.arms)))


def fold_of(*parts: Terms, block_ms: int = MINUTE_MS) -> SequenceFold:
    fold = SequenceFold(block_ms=block_ms)
    for part in parts:
        fold.add(part)
    return fold


def last(terms: Terms, reward_range: tuple[float, float] = RANGE) -> Moment:
    return fold_of(terms).get(reward_range, 0.95)[-1]


def width(moment: Moment) -> float:
    return moment.high - moment.low


def test_parts_merge_to_the_bytes_of_the_whole_in_any_order() -> None:
    # given
    batch = a_batch(500)
    target = a_target(batch)
    whole = fold_of(terms_of(batch, target, np.zeros(len(batch.arms))))
    rows = np.random.default_rng(2).permutation(500)
    # when
    parts = [fold_of(terms_on_rows(batch, np.sort(part))) for part in np.array_split(rows, 4)]
    merged = parts[2] + parts[0] + (parts[3] + parts[1])
    # then
    assert merged.encode() == whole.encode()
    assert merged.get(RANGE, 0.95) == whole.get(RANGE, 0.95)


def terms_on_rows(batch: Batch, rows: np.ndarray) -> Terms:
    part = batch.take(rows)
    return terms_of(part, a_target(part), np.zeros(len(part.arms)))


def test_other_rows_are_other_bytes() -> None:
    assert fold_of(terms_on(a_batch(50))).encode() != fold_of(terms_on(a_batch(51))).encode()


def test_folds_of_other_blocks_do_not_merge() -> None:
    with pytest.raises(ValueError, match="do not merge"):
        SequenceFold(block_ms=1) + SequenceFold(block_ms=2)


def test_no_rows_are_no_moments() -> None:
    assert SequenceFold().get(RANGE, 0.95) == []
    assert final([], 0.95) is None


def test_there_is_a_moment_at_the_end_of_each_block() -> None:
    # given 500 rows, a second apart
    terms = own_terms(clicks(500, 0.3))
    # when
    moments = fold_of(terms).get(RANGE, 0.95)
    # then
    assert [moment.n for moment in moments][-1] == 500
    assert all(moment.ms % MINUTE_MS == 0 for moment in moments)
    assert moments[-1].value == pytest.approx(terms.reward.mean())
    found = final(moments, 0.95)
    assert found is not None
    assert (found.low, found.high, found.kind) == (moments[-1].low, moments[-1].high, "anytime")


def test_a_moment_does_not_depend_on_what_comes_later() -> None:
    batch = a_batch(600)
    early = batch.take(np.flatnonzero(batch.ms // MINUTE_MS < batch.ms[300] // MINUTE_MS))
    some, every = (
        fold_of(terms_on_rows(part, np.arange(len(part)))).get(RANGE, 0.95)
        for part in (early, batch)
    )
    assert 3 < len(some) < len(every)
    assert every[: len(some)] == some


def test_at_ten_thousand_rows_of_one_percent_it_is_less_than_twice_as_wide_as_the_exact() -> None:
    rewards = clicks(10_000, 0.01)
    exact = binomtest(int(rewards.sum()), 10_000).proportion_ci(0.95, method="exact")
    assert width(last(own_terms(rewards))) < 1.8 * (exact.high - exact.low)


def test_rewards_in_another_unit_are_bounds_in_that_unit() -> None:
    # given
    terms = terms_on(a_batch(400))
    scaled = Terms(**{**terms._asdict(), "reward": 30.0 * terms.reward - 10.0})
    # when
    plain, other = last(terms), last(scaled, (-10.0, 20.0))
    # then
    assert other.low == pytest.approx(30.0 * plain.low - 10.0, abs=1e-6)
    assert other.high == pytest.approx(30.0 * plain.high - 10.0, abs=1e-6)


def test_mirrored_rewards_are_mirrored_bounds_once_the_model_has_learned() -> None:
    # given the same clicks as gains and as losses; before any row the model expects nothing
    terms = own_terms(clicks(20_000, 0.4))
    mirrored = Terms(**{**terms._asdict(), "reward": 1.0 - terms.reward})
    plain, other = last(terms), last(mirrored)
    # then
    assert other.low == pytest.approx(1.0 - plain.high, abs=0.002)
    assert other.high == pytest.approx(1.0 - plain.low, abs=0.002)


def test_not_to_know_what_could_have_been_shown_widens_it_above() -> None:
    batch = a_batch(2000)
    known, blind = last(terms_on(batch)), last(terms_on(without_distributions(batch)))
    assert blind.high > known.high


def test_a_target_beyond_the_log_is_bounded_without_a_model() -> None:
    # given a log in which the first candidate of each row could not be shown, with no rewards lost
    batch = a_batch(300, arms=2, uniform=True)
    logged = np.tile([0.0, 1.0], 300)
    batch = changed(batch, logged=logged, chosen=np.ones(300, np.int64), propensity=np.ones(300))
    terms = terms_of(batch, np.full(600, 0.5), np.zeros(600))
    # then every reward missing is thought of as the worst below and the best above
    assert np.all(classes(terms) == len(EDGES) - 1)
    ones = Terms(**{**terms._asdict(), "reward": np.ones(300)})
    assert last(ones).low <= 0.5
    nothing = Terms(**{**terms._asdict(), "reward": np.zeros(300)})
    assert last(nothing).high >= 0.5


def test_a_class_has_only_rows_that_could_not_have_weighed_more() -> None:
    terms = terms_on(a_batch(500))
    assert np.all(terms.bound <= EDGES[classes(terms)])
    assert np.all(terms.weight <= EDGES[classes(terms)])


def test_where_a_reward_can_be_only_one_value_that_is_the_policys() -> None:
    moment = last(own_terms(np.zeros(30)), (0.0, 0.0))
    assert (moment.n, moment.low, moment.value, moment.high) == (30, 0.0, 0.0, 0.0)


def test_where_both_sides_fail_nothing_is_left_but_a_point() -> None:
    # given rewards beyond the range that was promised
    sums = fold_of(own_terms(np.full(3000, 3.0))).sums()
    # when
    found = bounds(sums, RANGE, 0.95)
    # then
    assert found.low[-1] == found.high[-1] == 1.0
