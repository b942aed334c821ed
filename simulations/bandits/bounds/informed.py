"""A closer upper bound: the future is known, but knowing it is paid for.

Let the player know every click that any variant will get. It does too well; so it pays, whenever it
shows a variant, what the clicks that it then sees raise the value of that variant by, beyond what
they were expected to:

    earned by showing variant a in step t  =  unit * mean - (V[t+1] after - E V[t+1] after)

with V the values of ``relaxed`` at its prices. Whoever does not know the future pays nothing on
average, whatever V is, so the optimum is no larger than what the player who does know earns on
average (Brown, Smith & Sun 2010, "Information relaxations and duality in stochastic dynamic
programs"; for such games Brown & Smith 2020).

What that player earns at most, knowing all, is bounded in turn by prices of its own (found for each
future by itself): then each variant's best times to be shown are a path through (t, n), easily
found. At the prices of ``relaxed`` this would be exactly the bound of ``relaxed``; what is gained
is that prices may differ from future to future. They are sought by steps along the slope, as long
as a target below the best so far seems within reach (Polyak 1969; Bertsekas 1999, "Nonlinear
programming", ch. 6.3). Whichever are found, the bound holds; a mean over simulated futures has a
standard error.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from simulations.bandits.base import Floats, Whole
from simulations.bandits.bounds.beliefs import Beliefs
from simulations.bandits.bounds.game import Game
from simulations.bandits.bounds.relaxed import hat_functions, worth_before

KNOTS: Final = 4
ROUNDS: Final = 50
TARGET: Final = 0.01
"""Of the headroom: how far below the best so far the first target is."""
PATIENCE: Final = 6
"""Rounds without half of what was aimed at, after which the target is set half as far."""
TOGETHER: Final = 50
"""Futures that are gone through at once, to save memory."""


class Informed(NamedTuple):
    """The bound as a mean over simulated futures."""

    clicks: float
    error: float
    """Standard error."""


def informed(
    game: Game, beliefs: Beliefs, prices: Floats, *, futures: int, rng: np.random.Generator
) -> Informed:
    """The bound with the values at ``prices`` (N, see ``relaxed``) as what knowing costs."""
    found = np.concatenate(
        [
            _bounds(game, beliefs, prices, clicks_of(game, beliefs, min(TOGETHER, left), rng))
            for left in range(futures, 0, -TOGETHER)
        ]
    )
    return Informed(float(found.mean()), float(found.std(ddof=1) / np.sqrt(futures)))


def clicks_of(game: Game, beliefs: Beliefs, futures: int, rng: np.random.Generator) -> Whole:
    """F x K x (N + 1): clicks of each variant after it was shown in so many steps."""
    rates = rng.beta(*game.prior, (futures, game.arms, 1))
    each = rng.binomial(game.unit, rates, (futures, game.arms, game.steps))
    clicks: Whole = np.minimum(np.cumsum(each, axis=2), beliefs.counts - 1)
    return np.concatenate([np.zeros_like(clicks[:, :, :1]), clicks], axis=2)


def rewards(beliefs: Beliefs, prices: Floats, clicks: Whole) -> Floats:
    """What showing a variant earns when what it tells is paid for: N x F x K x N.

    The axes are the step, the future, the variant, and how often that was shown before; what was
    shown more often than there were steps is 0.
    """
    steps = len(prices)
    found = np.zeros((steps, *clicks.shape[:2], steps))
    value = np.zeros((beliefs.units + 1, beliefs.counts))
    for step in range(steps - 1, -1, -1):
        top = step + 1
        shown, now, then = np.arange(top), clicks[:, :, :top], clicks[:, :, 1 : top + 1]
        ahead = beliefs.ahead(beliefs.padded(value[: top + 1]), top)
        news = value[shown + 1, then] - ahead[shown, now]
        found[step, :, :, :top] = beliefs.unit * beliefs.mean[shown, now] - news
        value, _ = worth_before(beliefs, value, prices[step], step)
    return found


def _bounds(game: Game, beliefs: Beliefs, prices: Floats, clicks: Whole) -> Floats:
    """F bounds of what is earned at most in each future."""
    earned = rewards(beliefs, prices, clicks)
    hats = hat_functions(game.steps, KNOTS)
    weights = hats.sum(axis=0)[:, None]
    knots = np.zeros((KNOTS, len(clicks)))
    kept, best = knots.copy(), np.full(len(clicks), np.inf)
    target = np.full(len(clicks), TARGET * game.headroom)
    waited = np.zeros(len(clicks), np.int64)
    for _ in range(ROUNDS):
        charged = game.unit * prices[:, None] + hats @ knots
        worth, shown = paths(earned, charged)
        bound = worth + charged.sum(axis=0)
        waited = np.where(bound <= best - target / 2, 0, waited + 1)
        kept = np.where(bound < best, knots, kept)
        best = np.minimum(bound, best)
        again = waited >= PATIENCE
        target, waited = np.where(again, target / 2, target), np.where(again, 0, waited)
        slope = hats.T @ (shown - 1.0) / weights
        length = np.maximum((slope**2 * weights).sum(axis=0), 1e-9)
        knots = np.where(again, kept, knots + (bound - best + target) / length * slope)
    return best


def paths(earned: Floats, charged: Floats) -> tuple[Floats, Floats]:
    """What all variants are worth, each shown when it is best for it, at a price.

    Args:
        earned: N x F x K x N, see ``rewards``.
        charged: N x F, price of showing a variant in a step.

    Returns:
        F sums over variants; N x F how many variants are shown in each step.
    """
    steps, futures, arms, _ = earned.shape
    worth = np.zeros((futures, arms, steps + 1))
    choices = []
    for step in range(steps - 1, -1, -1):
        top = step + 1
        shown = earned[step, :, :, :top] - charged[step, :, None, None] + worth[:, :, 1 : top + 1]
        choices.append(shown > worth[:, :, :top])
        worth = np.maximum(shown, worth[:, :, :top])
    times = np.zeros((futures, arms), np.int64)
    found = np.zeros((steps, futures))
    future, arm = np.arange(futures)[:, None], np.arange(arms)
    for step, chosen in enumerate(reversed(choices)):
        shown_now = chosen[future, arm, times]
        found[step] = shown_now.sum(axis=1)
        times += shown_now
    return worth[:, :, 0].sum(axis=1), found
