"""A lower bound: what the finite-horizon Gittins index earns.

A variant's index is the price per impression at which it is no longer worth being shown, if it may
be shown until the end or dropped for good at any time (Gittins, Glazebrook & Weber 2011,
"Multi-armed bandit allocation indices", 2nd ed.; with an end, Lattimore 2016, "Regret analysis of
the finite-horizon Gittins index strategy for multi-armed bandits"). With an end to come it is no
longer optimal, but close to it: ``exact`` tells how close.

With a mean of m, known as well as B impressions would tell it, and h impressions to come,

    index = m + sqrt(m / B) * psi(h / B)

where psi belongs to the limit of small steps, in which the mean moves as Brownian motion does
(Chernoff & Ray 1965, "A Bayes sequential sampling inspection problem"; Brezzi & Lai 2002, "Optimal
learning and experimentation in bandit problems"): psi(r) is where a normal variant known with
precision 1 breaks even if impressions of precision 1 each come for a time r. It is computed once,
by dynamic programming. That it is a limit costs a policy a little, and a bound nothing: what is
simulated is what this policy earns, with real clicks.

A batch is divided in parts, one after the other: a variant that was given a part is taken to have
earned what was expected, so that it is known better and its index falls.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple, Protocol

import numpy as np

from simulations.bandits.base import Floats, Whole
from simulations.bandits.bounds.game import Game, expected_best
from simulations.bandits.worlds.prior import pseudo_counts

PARTS: Final = 5
"""Of a batch."""
_PRECISIONS: Final = (2e-3, 1.0)
"""From where to where precision goes while psi is computed: r up to 500."""
_STEPS: Final = 1_500
_REACH: Final = 6.0
"""Standard deviations on both sides that are looked at, in ``_POINTS``."""
_POINTS: Final = 1_201
_NODES: Final = 9
"""Of Gauss-Hermite quadrature."""


class Psi(NamedTuple):
    """The function psi as points to be joined."""

    logs: Floats
    """Logarithms of r, rising."""
    values: Floats

    def at(self, r: Floats) -> Floats:
        """psi(r) for r > 0."""
        found: Floats = np.interp(np.log(r), self.logs, self.values)
        return found


@cache
def psi() -> Psi:
    """The function, from dynamic programming back from the end; see above.

    In state x the mean is x standard deviations above the price. Precision grows from step to step
    by the same factor, so that x makes equal steps.
    """
    precisions = np.geomspace(*_PRECISIONS, _STEPS + 1)
    growth = precisions[1] / precisions[0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    x = np.linspace(-_REACH, _REACH, _POINTS)
    later = np.sqrt(growth) * (x[:, None] + np.sqrt(1.0 - 1.0 / growth) * nodes)
    worth, found = np.zeros_like(x), []
    for before, after in zip(precisions[-2::-1], precisions[:0:-1], strict=True):
        ahead = np.interp(later, x, worth)
        sure = later / np.sqrt(after) * (_PRECISIONS[1] - after)
        ahead = np.where(later > _REACH, sure, ahead) @ weights
        shown = x / np.sqrt(before) * (after - before) + ahead
        worth = np.maximum(shown, 0.0)
        found.append(((_PRECISIONS[1] - before) / before, -float(np.interp(0.0, shown, x))))
    r, values = np.array(found).T
    return Psi(np.log(r), values)


class Known(NamedTuple):
    """What is known of K variants in each of G games."""

    mean: Floats
    """G x K expected click rates."""
    worth: Floats
    """G x K pseudo-impressions that would tell as much."""


def divided(known: Known, left: Floats, parts: Floats, tie: Floats) -> Floats:
    """How many impressions of a batch go to each variant, for G games of K variants.

    Args:
        known: what the batch begins with.
        left: G, impressions to come, this batch included.
        parts: P x G impressions of each part of the batch.
        tie: G x K numbers far below 1, that break ties.

    Returns:
        G x K impressions.
    """
    curve = psi()
    given = np.zeros_like(known.worth)
    rows = np.arange(len(given))
    for part in parts:
        worth = known.worth + given
        to_come = np.maximum(left - given.sum(axis=1), 1.0)[:, None]
        index = known.mean + np.sqrt(known.mean / worth) * curve.at(to_come / worth)
        given[rows, np.argmax(index * (1.0 + tie), axis=1)] += part
    return given


class Belief(Protocol):
    """How clicks make what is known."""

    def known(self, clicks: Floats, shown: Floats) -> Known:
        """After G x K clicks in G x K impressions."""


class Informed(NamedTuple):
    """Who knows the mean of each game's click rates."""

    rates: Floats
    """G means."""
    shape: float

    def known(self, clicks: Floats, shown: Floats) -> Known:
        """See ``Belief``: Beta distributions."""
        a, b = pseudo_counts(self.rates[:, None], self.shape)
        worth = a + b + shown
        return Known((a + clicks) / worth, worth)


class Sizes(NamedTuple):
    """G games that are played at once."""

    rates: Floats
    """G mean click rates."""
    impressions: Whole
    """G"""


class Gains(NamedTuple):
    """What G games came to, in expected clicks beyond uniform choice."""

    policy: Floats
    best: Floats


class Pace(NamedTuple):
    """When news come."""

    batch: int
    """Impressions between two news."""
    parts: int = PARTS
    """Of a batch."""


def played(
    sizes: Sizes,
    arms: int,
    shape: float,
    pace: Pace,
    *,
    rng: np.random.Generator,
    belief: Belief | None = None,
) -> Gains:
    """Play games of ``arms`` variants to their ends; without a belief the means are known."""
    belief = belief or Informed(sizes.rates, shape)
    games = (len(sizes.rates), arms)
    rates = rng.beta(*pseudo_counts(sizes.rates[:, None], shape), games)
    clicks, shown = np.zeros(games), np.zeros(games)
    tie = 1e-9 * rng.random(games)
    earned = np.zeros(len(rates))
    for start in range(0, int(sizes.impressions.max()), pace.batch):
        left = np.maximum(sizes.impressions - start, 0)
        known = belief.known(clicks, shown)
        given = divided(known, left.astype(np.float64), _parts(left, pace), tie)
        earned += (rates * given).sum(axis=1)
        clicks += rng.binomial(given.astype(np.int64), rates)
        shown += given
    uniform = rates.mean(axis=1) * sizes.impressions
    return Gains(earned - uniform, rates.max(axis=1) * sizes.impressions - uniform)


def _parts(left: Whole, pace: Pace) -> Floats:
    """P x G: the impressions of a batch in whole parts, as equal as may be."""
    ends = np.minimum(left, pace.batch) * np.arange(pace.parts + 1)[:, None] // pace.parts
    return np.diff(ends, axis=0).astype(np.float64)


class Share(NamedTuple):
    """A share of the headroom from a simulation."""

    value: float
    error: float
    """Standard error."""


def captured(game: Game, pace: Pace, *, games: int, rng: np.random.Generator) -> Share:
    """What the index captures of a game's headroom."""
    sizes = Sizes(np.full(games, game.rate), np.full(games, game.impressions))
    gains = played(sizes, game.arms, game.shape, pace, rng=rng)
    return steadied(gains.policy, gains.best, game.headroom)


def steadied(policy: Floats, best: Floats, expected: float) -> Share:
    """The mean of G gains as a share of what is expected of the best.

    How good the best variants happened to be is taken out: a control variate, whose mean is known
    (Asmussen & Glynn 2007, "Stochastic simulation", ch. V.2).
    """
    luck = best - expected
    slope = float((luck - luck.mean()) @ policy / ((luck - luck.mean()) @ luck))
    shares = (policy - slope * luck) / expected
    return Share(float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares))))


def expected_gain(arms: int, sizes: Sizes, shape: float) -> Floats:
    """G headrooms of games of ``arms`` variants, in expected clicks."""
    best = np.array([expected_best(arms, rate, shape) for rate in sizes.rates.tolist()])
    gains: Floats = (best - sizes.rates) * sizes.impressions
    return gains
