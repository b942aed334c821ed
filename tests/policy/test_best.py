from __future__ import annotations

import math
import random

import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from bandit_service.policy.best import chances

NEAR = 2e-3
"""How far the sum over cells may be from the integral."""


def integral(means: list[float], deviations: list[float], at: int) -> float:
    """The probability that ``at`` is the best, by adaptive quadrature."""
    others = [n for n in range(len(means)) if n != at]

    def density(z: float) -> float:
        x = means[at] + deviations[at] * z
        below = math.prod(float(ndtr((x - means[n]) / deviations[n])) for n in others)
        return math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi) * below

    edges = sorted({(means[n] - means[at]) / deviations[at] for n in others})
    within = [edge for edge in edges if -9.0 < edge < 9.0]
    value: float = quad(density, -9.0, 9.0, points=within or None, limit=500)[0]
    return value


def beliefs(seed: int, count: int, *, apart: float = 1.0) -> tuple[list[float], list[float]]:
    """Means around 1 and deviations that differ by up to 20 times."""
    rng = random.Random(seed)
    means = [1.0 + apart * rng.gauss(0.0, 0.3) for _ in range(count)]
    return means, [0.3 * 20.0 ** -rng.random() for _ in range(count)]


@pytest.mark.parametrize("count", [2, 3, 5, 12])
@pytest.mark.parametrize("seed", range(4))
def test_chances_are_the_integral(seed: int, count: int) -> None:
    means, deviations = beliefs(seed, count)

    found = chances(means, deviations)

    assert found == pytest.approx([integral(means, deviations, n) for n in range(count)], abs=NEAR)


def test_two_have_the_chance_that_the_normal_distribution_says() -> None:
    for gap in (0.0, 0.1, 0.5, 1.0, 2.0):
        better, worse = chances([1.0 + gap, 1.0], [0.4, 0.3])

        assert better == pytest.approx(float(ndtr(gap / 0.5)), abs=NEAR)
        assert worse == pytest.approx(1.0 - float(ndtr(gap / 0.5)), abs=NEAR)


def test_equals_have_equal_chances() -> None:
    for count in (2, 3, 7, 100):
        assert chances([0.5] * count, [0.1] * count) == pytest.approx([1.0 / count] * count)


def test_the_less_known_of_two_equals_among_others_is_the_best_more_often() -> None:
    found = chances([1.0] * 4, [0.1, 0.1, 0.1, 0.4])

    assert found[3] > 0.4
    assert found[0] < 0.2


def test_one_that_dominates_is_shown_alone() -> None:
    found = chances([2.0, 1.0, 1.0], [0.01, 0.01, 0.01])

    assert found[0] == pytest.approx(1.0, abs=1e-9)
    assert found[1] == found[2] < 1e-9


def test_a_single_candidate_is_the_best() -> None:
    assert chances([0.3], [1e-12]) == [1.0]


def test_a_hundred_candidates_are_told_apart() -> None:
    means, deviations = beliefs(9, 100)
    best = max(range(100), key=lambda n: means[n])

    found = chances(means, deviations)

    for at in (best, 0, 50, 99):
        assert found[at] == pytest.approx(integral(means, deviations, at), abs=NEAR)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_the_unit_does_not_matter(scale: float) -> None:
    means, deviations = beliefs(3, 6)

    found = chances([scale * m for m in means], [scale * d for d in deviations])

    assert found == pytest.approx(chances(means, deviations), abs=1e-9)


@pytest.mark.parametrize(
    ("means", "deviations"),
    [
        ([1.0, 1.0, 1.0], [1e-300, 1e-300, 1e-300]),
        ([1.0, 2.0, 3.0], [1e-12, 1e-12, 1e-12]),
        ([1.0, 2.0, 3.0], [1e12, 1e12, 1e12]),
        ([1.0, 2.0, 3.0], [1e-12, 1.0, 1e12]),
        ([-1e6, 0.0, 1e6], [1.0, 1.0, 1.0]),
        ([0.0, 0.0], [1e-9, 1e9]),
    ],
)
def test_however_small_or_large_they_are_probabilities(
    means: list[float], deviations: list[float]
) -> None:
    found = chances(means, deviations)

    assert all(0.0 <= p <= 1.0 for p in found)
    assert math.fsum(found) == pytest.approx(1.0, abs=1e-12)
    if deviations[0] == deviations[-1] < 1.0 and means[0] < means[-1]:
        assert found[-1] == 1.0
    if deviations[0] == 1e-9:  # one falls within a single cell of the other's
        assert found == pytest.approx([0.5, 0.5], abs=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_they_sum_to_one_and_are_the_same_again(seed: int) -> None:
    means, deviations = beliefs(seed, 2 + seed, apart=3.0)

    found = chances(means, deviations)

    assert math.fsum(found) == pytest.approx(1.0, abs=1e-12)
    assert chances(list(means), list(deviations)) == found


def test_the_order_of_candidates_does_not_matter_to_any() -> None:
    means, deviations = beliefs(5, 9)
    order = random.Random(1).sample(range(9), 9)

    found = chances([means[n] for n in order], [deviations[n] for n in order])

    straight = chances(means, deviations)
    assert found == pytest.approx([straight[n] for n in order], abs=1e-12)
