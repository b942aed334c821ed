"""The supermartingale behind the confidence sequence, against first principles."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import logsumexp

from bandit_service.evaluation.batch import Floats
from bandit_service.evaluation.intervals import wealth
from bandit_service.evaluation.intervals.wealth import LAMBDAS, REACH, Cells, lower_sums

EDGES = np.array([2.0, 8.0, np.inf])


def cells(w: Floats, s: Floats, kind: np.ndarray) -> Cells:
    """Each row a stretch of its own."""
    one = np.eye(len(EDGES))[kind]
    columns = (np.ones_like(w), w, w * w, w * s, w * w * s, (w * s) ** 2)
    return Cells(*(one * column[:, None] for column in columns))


def psi(scale: float, x: float) -> float:
    """psi_c(lambda) as the docstring has it."""
    if scale == 0:
        return x * x / 2.0
    return (-math.log(1.0 - scale * x) - scale * x) / scale**2


def by_hand(w: Floats, s: Floats, kind: np.ndarray, model: Floats, alpha: float) -> float:
    """The bound after all rows, one row and one lambda after the other."""
    evidence = []
    for x in LAMBDAS:
        log = 0.0
        for weight, reward, edge, mean in zip(w, s, EDGES[kind], model, strict=True):
            centre = min(mean, REACH / x)
            variate = min(mean, (REACH / x - centre) / (edge - 1.0))
            scale = centre + (variate * (edge - 1.0) if variate else 0.0)
            phi = variate + weight * (reward - variate)
            log += x * phi - (phi - centre) ** 2 * psi(scale, x)
        evidence.append(log)
    mass = wealth._LOG_MASS[:, 0]

    def over(total: float) -> float:
        return float(logsumexp(np.array(evidence) + mass - LAMBDAS * total)) + math.log(alpha)

    return float(brentq(over, -1e6, 1e6, xtol=1e-10))


def test_the_masses_sum_to_one() -> None:
    assert np.exp(wealth._LOG_MASS).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_the_root_of_the_mixture(seed: int) -> None:
    # given
    rng = np.random.default_rng(seed)
    n = 40
    kind = rng.integers(0, 3, n)
    w = rng.random(n) * np.array([2.0, 8.0, 50.0])[kind]
    s, model = rng.random(n), rng.random(n)
    # when
    found = lower_sums(cells(w, s, kind), EDGES, model, 0.025)
    # then
    for stop in (1, 7, 40):
        rows = slice(0, stop)
        expected = by_hand(w[rows], s[rows], kind[rows], model[rows], 0.025)
        assert found[stop - 1] == pytest.approx(expected, abs=1e-6)


def test_the_inequality_holds_for_all_that_a_row_can_be() -> None:
    # given
    scale = np.linspace(0.01, 20.0, 60)[:, None, None]
    x = np.linspace(0.0, REACH, 40)[None, :, None] / scale
    d = -scale + np.geomspace(1e-9, 1e4, 200)[None, None, :]
    # then
    price = np.vectorize(psi)(scale, x)
    assert np.all(np.exp(np.minimum(x * d - d * d * price, 700.0)) <= (1.0 + x * d) * (1 + 1e-9))


@pytest.mark.parametrize(("weights", "model"), [("alike", 0.0), ("heavy", 0.3), ("unknown", 0.6)])
def test_no_row_is_expected_to_gain_under_any_lambda(weights: str, model: float) -> None:
    """E exp(evidence - lambda nu) <= 1, over all outcomes of a row, for each lambda."""
    # given two arms, their propensities, the target's probabilities and the chances of a reward
    p = {"alike": [0.5, 0.5], "heavy": [0.2, 0.8], "unknown": [0.01, 0.99]}[weights]
    pi, chance, kind = [0.9, 0.1], [0.7, 0.2], {"alike": 0, "heavy": 1, "unknown": 2}[weights]
    value = sum(a * b for a, b in zip(pi, chance, strict=True))
    expected = np.zeros(len(LAMBDAS))
    for arm, s in itertools.product((0, 1), (0.0, 1.0)):
        odds = p[arm] * (chance[arm] if s else 1.0 - chance[arm])
        expected += odds * np.exp(evidence_of(pi[arm] / p[arm], s, kind, model) - LAMBDAS * value)
    assert np.all(expected <= 1.0 + 1e-12)
    assert np.any(expected > 0.99)


def evidence_of(w: float, s: float, kind: int, model: float) -> Floats:
    """What one row adds for each lambda, read back from the roots of a mixture of one lambda."""
    whole = cells(np.array([w]), np.array([s]), np.array([kind]))
    evidence = np.empty(len(LAMBDAS))
    for index in range(len(LAMBDAS)):
        one = np.full((len(LAMBDAS), 1), -np.inf)
        one[index] = 0.0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wealth, "_LOG_MASS", one)
            total = lower_sums(whole, EDGES, np.array([model]), 1.0)[0]
        evidence[index] = LAMBDAS[index] * total
    return evidence


def test_over_all_that_can_happen_it_fails_no_more_often_than_it_may() -> None:
    """Every sequence of 6 rows of which each has 3 outcomes, with its probability."""
    # given a target that always shows an arm which the log shows every fourth time
    p, chance, alpha, n = 0.25, 0.6, 0.3, 6
    outcomes = [(0.0, 0.0, 1 - p), (1 / p, 0.0, p * (1 - chance)), (1 / p, 1.0, p * chance)]
    failing = 0.0
    for rows in itertools.product(outcomes, repeat=n):
        w, s, odds = (np.array(column) for column in zip(*rows, strict=True))
        earned, weight = np.cumsum(w * s), np.cumsum(w)
        model = np.append(0.0, earned / (1.0 + weight))[:-1]
        # when
        least = lower_sums(cells(w, s, np.ones(n, np.int64)), EDGES, model, alpha)
        # then
        if np.any(least > chance * np.arange(1, n + 1)):
            failing += float(odds.prod())
    assert 0.0 < failing <= alpha
