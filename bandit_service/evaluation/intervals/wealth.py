"""Bounds on a running mean that hold at all times at once: the mathematics of ``sequence``.

The setting. Rows t = 1, 2, ... are in the order of their decisions; F is what happened before row
t; p may depend on F, and so may the target. s in [0, 1] is the scaled reward of a row (for the
lower side) or 1 minus that (for the upper side), w = pi / p its weight, b >= w the largest weight
that it could have had, and nu = E_pi[s | F]. With u' and m in [0, 1] known before the draw,

    phi = u' + w (s - u')        has  E[phi | F] = nu        where E[w | F] = 1,
    d   = phi - m                has  d >= -c,  c = m + u' (b - 1).

phi is a doubly robust row (Dudik, Langford, Li, 2011) whose model of the reward is the constant u',
kept so small that c stays below 1/lambda however large b is. Rows whose b is not known, or whose
target lies partly where the log could not go (E[w | F] < 1), get u' = 0: then E[phi | F] <= nu,
which errs on the safe side of a lower bound.

The inequality. For d >= -c and 0 <= lambda < 1/c,

    exp(lambda d - d^2 psi_c(lambda)) <= 1 + lambda d,
    psi_c(lambda) = (-log(1 - c lambda) - c lambda) / c^2,     psi_0(lambda) = lambda^2 / 2

(Fan, Grama, Liu, 2015, "Exponential inequalities for martingales with applications", for c = 1;
put d / c for the general case). Taking E[. | F] and 1 + x <= exp(x), the process

    exp(sum of lambda (phi - nu) - d^2 psi_c(lambda))

is a supermartingale that begins at 1. No bound on phi from above is needed, so large weights cost
only their squares. Its average over a fixed grid of lambda with fixed masses is one as well (the
discrete mixture of Howard, Ramdas, McAuliffe, Sekhon, 2021, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", section 3.3), and by Ville's inequality stays below 1/alpha at
all times with probability 1 - alpha. The smallest sum of nu for which it is below 1/alpha now is
therefore a lower bound at all times at once. That truncated rows suffice for valid inference of
off-policy values is from Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro, 2022, "Anytime-valid
off-policy inference for contextual bandits".

Why a grid and not the closed form of a gamma mixture: with a grid each lambda has its own
truncation u', as much as that lambda can bear, so there is no scale c to be guessed beforehand. A
gamma mixture needs one scale for all: chosen for weights near 1 it rules out control variates
under heavier weights, chosen for heavy weights it adds its log(1/alpha) multiples of c to every
bound. The grid is fixed here, before any log was seen.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Floats

_EXPONENTS: Final[Floats] = np.arange(-1.0, 12.5, 0.5)
LAMBDAS: Final[Floats] = 2.0**-_EXPONENTS
"""The grid. The best lambda for a sum of squares V is near sqrt(11 / V), so this serves V from 3 to
10^8; between two neighbours a bound is at most 2 % wider than at its best."""
_SHARES: Final[Floats] = 1.0 / (1.0 + ((_EXPONENTS - 3.0) / 2.0) ** 2)
_LOG_MASS: Final[Floats] = np.log(_SHARES / _SHARES.sum())[:, None]
"""Log of the mass of each lambda: most at 1/8, the best for some hundred rewarded rows, with tails
so heavy that ten thousand times as many cost little. Chosen on simulated clicks, before any log."""
REACH: Final = 0.75
"""The largest lambda c that is let happen: psi grows without bound towards 1. 0.75 more than
doubles the price of a square, and buys the control variate."""
_STEPS: Final = 60
"""Newton steps at most; they converge from one side, and 10 are plenty."""


class Cells(NamedTuple):
    """Sums over the rows of T stretches of time, in order, by J classes of the largest weight.

    Each is T x J. s is scaled into [0, 1].
    """

    n: Floats
    w: Floats
    w2: Floats
    ws: Floats
    w2s: Floats
    w2s2: Floats


def lower_sums(cells: Cells, edges: Floats, model: Floats, alpha: float) -> Floats:
    """T: at the end of each stretch, a bound that the sum of nu so far is not below.

    Args:
        cells: the sums of the rows.
        edges: J: no row of a class could have had a larger weight; inf where that is not known, or
            where the target lies partly where the log could not go.
        model: T: what s is expected to be in a stretch, in [0, 1], known before it begins. The
            bound holds with any; it is narrower with a good one.
        alpha: how often the bound may fail, ever.
    """
    lambdas = LAMBDAS[:, None, None]
    centre = np.minimum(model[None, :, None], REACH / lambdas)
    with np.errstate(divide="ignore"):
        room = (REACH / lambdas - centre) / (edges - 1.0)
    variate = np.minimum(model[None, :, None], room)
    scale = centre + np.where(variate > 0, variate, 0.0) * np.where(variate > 0, edges - 1.0, 0.0)
    shift = variate - centre
    gained = variate * (cells.n - cells.w) + cells.ws
    squares = (
        shift**2 * cells.n
        + cells.w2s2
        + variate**2 * cells.w2
        + 2.0 * shift * cells.ws
        - 2.0 * shift * variate * cells.w
        - 2.0 * variate * cells.w2s
    )
    price = np.maximum(squares, 0.0) * _psi(lambdas, scale)
    evidence = LAMBDAS[:, None] * gained.sum(axis=2) - price.sum(axis=2)
    return _root(np.cumsum(evidence, axis=1), math.log(1.0 / alpha))


def _psi(lambdas: Floats, scale: Floats) -> Floats:
    """psi_c(lambda); the series where c lambda is too small for the formula's digits."""
    x = lambdas * scale
    small = x < 1e-4
    safe = np.where(small, 0.5, x)
    exact = (-np.log1p(-safe) - safe) / safe**2
    psi: Floats = lambdas**2 * np.where(small, 0.5 + x / 3.0, exact)
    return psi


def _root(evidence: Floats, threshold: float) -> Floats:
    """The N at which the log of the mean of exp(evidence - lambda N) falls to the threshold.

    It is convex and falling in N, and at the start, where one term alone is as large, not below the
    threshold: so Newton's steps never pass the root, and stopping early only errs on the safe side.
    """
    lambdas = LAMBDAS[:, None]
    total: Floats = ((evidence + _LOG_MASS - threshold) / lambdas).max(axis=0)
    for _ in range(_STEPS):
        terms = evidence + _LOG_MASS - lambdas * total
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        mass = shares.sum(axis=0)
        step = (top + np.log(mass) - threshold) * mass / (lambdas * shares).sum(axis=0)
        total = total + np.maximum(step, 0.0)
        if np.all(step <= 1e-9 * (1.0 + np.abs(total))):
            break
    return total
