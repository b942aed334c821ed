import math
import pickle
import random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.batch import Floats
from bandit_service.evaluation.folds.sums import LEFT_OUT, ExactSums

TINY = 5e-324
LARGEST = 1.7976931348623157e308

finite = st.floats(allow_nan=False, allow_infinity=False)
summable = st.floats(-1e300, 1e300)
"""Few enough of these never overflow, in any order."""


def floats(values: list[float]) -> Floats:
    return np.array(values, np.float64)


def sums_of(values: list[float]) -> ExactSums:
    sums = ExactSums()
    sums.add(floats(values))
    return sums


@given(st.lists(summable, max_size=60))
@example([])
@example([-0.0])
@example([TINY] * 3)
@example([TINY, -TINY])
@example([2.0**-1022, -TINY])
@example([1e300, 1.0, -1e300])
@example([1e300, TINY, -1e300])
@example([1.0, 2.0**-53, TINY])
@example([1.0, 2.0**-53])
@example([1.0 + 2.0**-52, 2.0**-53])
@example([2.0**880, 2.0**879, -(2.0**880)])
@example([2.0**39, -(2.0**40), 2.0**-40, -(2.0**-41)])
@example([0.1] * 10)
def test_a_total_is_the_exact_sum_rounded_once(values: list[float]) -> None:
    assert sums_of(values).total() == math.fsum(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([LARGEST], LARGEST),
        ([-LARGEST], -LARGEST),
        ([LARGEST, LARGEST, -LARGEST], LARGEST),
        ([LARGEST, TINY, -LARGEST], TINY),
    ],
)
def test_sums_on_the_way_may_be_beyond_any_float(values: list[float], expected: float) -> None:
    assert sums_of(values).total() == expected


def test_a_total_beyond_any_float_is_refused() -> None:
    with pytest.raises(EvaluationError, match="beyond"):
        sums_of([LARGEST, LARGEST]).total()


@given(
    st.lists(st.tuples(finite, st.integers(0, 4)), max_size=40),
    st.lists(st.integers(0, 2), min_size=40, max_size=40),
    st.randoms(use_true_random=False),
)
def test_any_order_and_any_partition_give_the_same_bytes(
    rows: list[tuple[float, int]], parts: list[int], order: random.Random
) -> None:
    def folded(some: list[tuple[float, int]]) -> ExactSums:
        sums = ExactSums(5)
        sums.add(floats([v for v, _ in some]), np.array([g for _, g in some], np.int64))
        return sums

    whole = folded(rows)
    cut = [[row for row, part in zip(rows, parts, strict=False) if part == k] for k in range(3)]
    for part in cut:
        order.shuffle(part)
    order.shuffle(cut)
    merged = folded(cut[0]) + (folded(cut[1]) + folded(cut[2]))

    assert merged.encode() == whole.encode()


@given(st.lists(st.tuples(summable, st.integers(0, 3)), max_size=60))
def test_groups_are_summed_up_apart(rows: list[tuple[float, int]]) -> None:
    sums = ExactSums(4)
    sums.add(floats([v for v, _ in rows]), np.array([g for _, g in rows], np.int64))

    apart = [math.fsum(v for v, group in rows if group == g) for g in range(4)]
    assert sums.totals().tolist() == apart
    assert sums.total() == math.fsum(v for v, _ in rows)


def test_different_sums_have_different_bytes() -> None:
    kept = [[], [1.0], [-1.0], [TINY], [1.0, TINY], [2.0**40], [2.0**39], [-(2.0**39)], [LARGEST]]

    assert len({sums_of(values).encode() for values in kept}) == len(kept)
    assert ExactSums(2).encode() != ExactSums(3).encode()


def test_what_cancels_out_leaves_nothing() -> None:
    assert sums_of([1e300, -3.0, TINY, 3.0, -1e300, -TINY]).encode() == ExactSums().encode()


@pytest.mark.parametrize("seed", range(4))
def test_many_values_in_many_batches_are_summed_up_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = ExactSums()
    kept = []

    for size in rng.integers(1, 40_000, 12):
        values = rng.normal(size=size) * 10.0 ** rng.integers(-30, 30, size)
        sums.add(values)
        kept.append(values)

    assert sums.total() == math.fsum(np.concatenate(kept))


def test_digits_are_carried_before_they_overflow() -> None:
    """A whole chunk of values just below a digit's largest, more often than an int64 takes."""
    chunk = np.full(8_192, 2.0**40 - 1.0)
    sums = ExactSums()

    for _ in range(1_500):
        sums.add(chunk)

    assert sums.total() == (2.0**40 - 1.0) * 8_192 * 1_500


@given(st.lists(st.tuples(finite, st.integers(0, 4)), max_size=30), st.permutations(range(5)))
def test_spread_groups_keep_their_sums(rows: list[tuple[float, int]], to: list[int]) -> None:
    moved_to = np.array(to, np.int64)
    group = np.array([g for _, g in rows], np.int64)
    here, there = ExactSums(5), ExactSums(5)
    here.add(floats([v for v, _ in rows]), group)
    there.add(floats([v for v, _ in rows]), moved_to[group])

    assert here.spread(moved_to, 5).encode() == there.encode()


def test_groups_spread_to_one_are_added_and_those_left_out_are_not() -> None:
    sums = ExactSums(3)
    sums.add(floats([1.0, 2.0, 4.0]), np.array([0, 1, 2]))

    assert sums.spread(np.array([1, LEFT_OUT, 1]), 2).totals().tolist() == [0.0, 5.0]


def test_very_many_groups_spread_to_one_do_not_overflow() -> None:
    groups = 2**17
    sums = ExactSums(groups)
    sums.add(np.full(groups, 2.0**39 - 1.0), np.arange(groups))
    one = ExactSums()

    for _ in range(600):
        one.include(sums, np.zeros(groups, np.int64))

    assert one.total() == (2.0**39 - 1.0) * groups * 600


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_by_name_and_row_and_nothing_is_added(wrong: float) -> None:
    sums = ExactSums(of="weight of ips")
    sums.add(floats([1.0]))

    with pytest.raises(
        EvaluationError, match=r"weight of ips is (nan|-?inf) in row 2 of 4"
    ) as raised:
        sums.add(floats([1.0, 2.0, wrong, 4.0]))

    assert raised.value.hint is not None
    assert sums.encode() == sums_of([1.0]).encode()


def test_sums_of_different_groups_are_not_merged() -> None:
    with pytest.raises(ValueError, match="2 groups cannot be merged with 3"):
        ExactSums(2) + ExactSums(3)


def test_sums_travel_between_processes() -> None:
    sums = sums_of([0.1, 1e300, -7.0])

    assert pickle.loads(pickle.dumps(sums)).encode() == sums.encode()
