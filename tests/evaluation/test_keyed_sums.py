import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.evaluation.batch import Whole
from bandit_service.evaluation.folds.cells import cells_of
from bandit_service.evaluation.folds.keyed_sums import KeyedSums

rows_of_cells = st.lists(
    st.tuples(st.integers(-9, 9), st.floats(-1e300, 1e300)), min_size=0, max_size=50
)


def folded(rows: list[tuple[int, float]]) -> KeyedSums[int]:
    """One row at a time."""
    sums: KeyedSums[int] = KeyedSums("x")
    for key, value in rows:
        sums.add([key], 0, 1, {"x": np.array([value])})
    return sums


@given(rows_of_cells)
def test_cells_are_summed_up_apart_in_order_of_their_keys(rows: list[tuple[int, float]]) -> None:
    keys, n, columns = folded(rows).get()

    assert keys == sorted({key for key, _ in rows})
    assert n.tolist() == [sum(k == key for k, _ in rows) for key in keys]
    assert columns["x"].tolist() == [math.fsum(v for k, v in rows if k == key) for key in keys]


@given(rows_of_cells)
def test_cells_under_new_keys_keep_their_rows(rows: list[tuple[int, float]]) -> None:
    regrouped = folded(rows).regrouped(lambda key: None if key < 0 else key % 3)

    expected = folded([(key % 3, value) for key, value in rows if key >= 0])
    assert regrouped.encode() == expected.encode()
    assert regrouped.n == sum(key >= 0 for key, _ in rows)
    assert regrouped.total("x") == math.fsum(value for key, value in rows if key >= 0)


codes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11)), max_size=40)


@pytest.mark.parametrize("size", [12, 10**12])
@given(pairs=codes)
def test_rows_are_put_into_the_cell_of_their_codes(pairs: list[tuple[int, int]], size: int) -> None:
    first, second = (column(pairs, k) for k in (0, 1))

    cells = cells_of((first, 4), (second, size))

    distinct = [*zip(*(codes.tolist() for codes in cells.codes), strict=True)]
    assert distinct == sorted({*pairs})
    assert [distinct[group] for group in cells.group.tolist()] == pairs


def column(pairs: list[tuple[int, int]], k: int) -> Whole:
    return np.array([pair[k] for pair in pairs], np.int64)
