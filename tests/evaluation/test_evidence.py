from __future__ import annotations

import math

import numpy as np
import pytest

from bandit_service.evaluation.verification.evidence import average, evidence, p_value


@pytest.mark.parametrize("p", [0.5, 0.1, 0.01])
def test_evidence_is_one_or_less_on_average_whatever_the_probability(p: float) -> None:
    # summed over the whole binomial distribution of 60 draws, not sampled
    n = 60
    mean = math.fsum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k) * math.exp(evidence(k - n * p, n * p * (1 - p)))
        for k in range(n + 1)
    )

    assert 0.0 < mean <= 1.0


def test_evidence_grows_with_the_deviation_on_either_side_and_beyond_any_float() -> None:
    for side in (1, -1):
        grown = [evidence(side * z * 50.0, 2500.0) for z in (0, 3, 6, 9)]
        assert grown == sorted(grown)
        assert p_value(grown[-1]) < 1e-9
        assert p_value(grown[1]) > 0.1
    assert evidence(1e7, 1e4) > 1e4
    assert p_value(evidence(1e7, 1e4)) == 0.0


def test_evidence_that_is_looked_at_after_every_row_seldom_ever_reaches_ten() -> None:
    # given 400 fair logs of 2,000 draws, each looked at after every draw
    rng = np.random.default_rng(5)
    drawn = (rng.uniform(size=(400, 2000)) < 0.3) - 0.3
    excess = drawn.cumsum(axis=1)
    looks = range(50, 2000, 50)

    reached = sum(
        max(evidence(float(log[n]), (n + 1) * 0.21) for n in looks) >= math.log(10)
        for log in excess
    )

    # then at most one in ten was ever blamed at 1 / 10; and the bound is not an empty one
    assert reached <= 40
    biased = excess + 0.1 * np.arange(1, 2001)
    assert min(evidence(float(log[-1]), 420.0) for log in biased) > math.log(10_000)


def test_an_average_is_between_its_parts_and_no_evidence_without_any() -> None:
    assert average([]) == 0.0
    assert average([0.0, 0.0]) == 0.0
    assert average([2000.0, 0.0]) == pytest.approx(2000.0 - math.log(2))
    assert p_value(-3.0) == 1.0
