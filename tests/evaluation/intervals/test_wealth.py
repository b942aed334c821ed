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


def evidence_of(whole: Cells, model: Floats) -> Floats:
    """What the rows add up to for each lambda, read from the roots of mixtures of one lambda."""
    evidence = np.empty(len(LAMBDAS))
    for index in range(len(LAMBDAS)):
        one = np.full((len(LAMBDAS), 1), -np.inf)
        one[index] = 0.0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wealth, "_LOG_MASS", one)
            total = lower_sums(whole, EDGES, model, 1.0)[-1]
        evidence[index] = LAMBDAS[index] * total
    return evidence


@pytest.mark.parametrize(("weights", "model"), [("alike", 0.0), ("heavy", 0.3), ("unknown", 0.6)])
def test_no_row_is_expected_to_gain_under_any_lambda(weights: str, model: float) -> None:
    """E exp(evidence - lambda nu) <= 1, over all outcomes of a row, for each lambda."""
    # given two arms, their propensities, the target's probabilities and the chances of a reward
    p = {"alike": [0.5, 0.5], "heavy": [0.2, 0.8], "unknown": [0.01, 0.99]}[weights]
    pi, chance = [0.9, 0.1], [0.7, 0.2]
    kind = np.array([{"alike": 0, "heavy": 1, "unknown": 2}[weights]])
    value = sum(a * b for a, b in zip(pi, chance, strict=True))
    expected = np.zeros(len(LAMBDAS))
    # when
    for arm, s in itertools.product((0, 1), (0.0, 1.0)):
        odds = p[arm] * (chance[arm] if s else 1.0 - chance[arm])
        row = cells(np.array([pi[arm] / p[arm]]), np.array([s]), kind)
        expected += odds * np.exp(evidence_of(row, np.array([model])) - LAMBDAS * value)
    # then
    assert np.all(expected <= 1.0 + 1e-12)
    assert np.any(expected > 0.99)


def test_nor_are_several_rows_of_a_policy_that_learns_while_the_model_learns() -> None:
    """The same over all sequences of 4 rows; a reward makes the arm likelier in the next row."""
    # given a target that always shows the one arm of two, shown with odds that depend on the past
    chance, n = 0.4, 4
    expected = np.zeros(len(LAMBDAS))
    for drawn in itertools.product((None, 0.0, 1.0), repeat=n):
        odds, earned, weight, rows = 1.0, 0.0, 0.0, []
        for s in drawn:
            p = 0.6 if earned else 0.2
            model = earned / (1.0 + weight)
            odds *= 1 - p if s is None else p * (chance if s else 1 - chance)
            w = 0.0 if s is None else 1.0 / p
            rows.append((w, s or 0.0, 0 if earned else 1, model))
            earned, weight = earned + w * (s or 0.0), weight + w
        weights, rewards, kinds, models = (np.array(column) for column in zip(*rows, strict=True))
        # when
        evidence = evidence_of(cells(weights, rewards, kinds), np.minimum(models, 1.0))
        expected += odds * np.exp(evidence - LAMBDAS * chance * n)
    # then
    assert np.all(expected <= 1.0 + 1e-12)
    assert np.any(expected > 0.99)
