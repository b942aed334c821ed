"""How far the variants of one placement differ, by their true click rates.

If rates of K variants are Gamma(s, s / m), each by itself, their shares of the sum are
Dirichlet(s, ..., s), whatever the mean m is: s can be had by maximum likelihood from shares alone,
and a mean that each test brings of its own does not disturb it. (That Gamma variables divided by
their sum are Dirichlet: Johnson, Kotz & Balakrishnan (2000), Continuous multivariate distributions,
vol. 1, ch. 49.)

The truths of the newsroom are shrunk means, which differ less than the rates behind them: their s
is not the archive's k.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from bandit_service.errors import InvalidInput
from simulations.bandits.base import Floats
from simulations.bandits.worlds.archive import WHERE, Trial

_SHAPES: Final = (-3.0, 12.0)
"""Bounds of ln s."""


def shape_of(rates: Iterable[Floats]) -> float:
    """The s that makes the rates of some placements, K each, likeliest; see above.

    Raises:
        InvalidInput: if there is no placement of two variants or more.
    """
    shares = [np.log(found / found.sum()) for found in rates if len(found) > 1]
    if not shares:
        raise InvalidInput(
            "there are no tests to tell from how far variants differ", field="upworthy", hint=WHERE
        )
    arms = np.array([len(found) for found in shares])
    logs = sum(float(found.sum()) for found in shares)

    def unlikely(log_shape: float) -> float:
        s = float(np.exp(log_shape))
        return -float((gammaln(arms * s) - arms * gammaln(s)).sum() + (s - 1.0) * logs)

    return float(np.exp(minimize_scalar(unlikely, bounds=_SHAPES, method="bounded").x))


def shape_of_tests(tests: Iterable[Trial], k: float) -> float:
    """The s of the truths that the newsroom gives to some tests; ``k`` is the archive's.

    Raises:
        InvalidInput: if none of them has a click.
    """
    return shape_of(test.rates(k) for test in tests if test.clicks.sum() > 0)
