from __future__ import annotations

import numpy as np
import pytest

from bandit_service.evaluation.thinned import Thinned


@pytest.mark.parametrize("batch", [1, 7, 64, 1_000, 5_000])
def test_what_is_kept_is_evenly_spaced_however_the_numbers_came(batch: int) -> None:
    thinned = Thinned(most=100)
    numbers = np.arange(5_000)
    for start in range(0, 5_000, batch):
        thinned.add(numbers[start : start + batch])

    assert thinned.kept == list(range(0, 5_000, 64))


def test_few_numbers_are_kept_as_they_are() -> None:
    thinned = Thinned(most=100)

    thinned.add(np.array([5, 3, 9]))

    assert thinned.kept == [5, 3, 9]
