"""An upper bound for any number of variants: each played by itself, at a price.

In every step exactly one variant is shown. Ask only that it is one *on average*, and charge a price
for every impression of step t instead: then nothing connects the variants any more, and

    optimum  <=  sum over t of price[t] * unit  +  K * V(price)

for all prices, V what one variant is worth to a player who may show it or not in every step
(Whittle 1988, "Restless bandits: activity allocation in a changing world"; with prices that change
in time Hawkins 2003, doctoral thesis, MIT; Brown & Smith 2020, "Index policies and performance
bounds for dynamic selection problems"). The right side is convex in the prices; by how much
variants are shown too often or too seldom on average is its slope. The least is sought by cutting
planes in a trust region (Kelley 1960, "The cutting-plane method for solving convex programs"), over
prices that run straight between ``KNOTS`` points in time. Wherever it is found, the bound holds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from simulations.bandits.base import Floats
from simulations.bandits.bounds.beliefs import Beliefs
from simulations.bandits.bounds.game import Game

KNOTS: Final = 4
ROUNDS: Final = 40
"""Most prices that are tried."""
CLOSE: Final = 2e-4
"""Share of the headroom that the bound may be above the least that the cuts allow."""
REACH: Final = 0.1
"""How far a price may move from the best one so far, in mean click rates."""
FIRST: Final = (1.06, 1.0)
"""Prices at first, from the first to the last step, in mean click rates."""


class Relaxed(NamedTuple):
    """The bound, and what it was found with."""

    clicks: float
    """No policy is expected to get more."""
    prices: Floats
    """N, clicks per impression."""


class Worth(NamedTuple):
    """One variant at given prices."""

    clicks: float
    """What it is worth, V."""
    shown: Floats
    """N: how likely it is shown in each step."""


def relaxed(game: Game, beliefs: Beliefs) -> Relaxed:
    """The least bound that was found; ``beliefs`` are the game's."""
    hats = hat_functions(game.steps, KNOTS)
    weights = game.unit * hats.sum(axis=0)
    knots = np.linspace(*FIRST, KNOTS) * game.rate
    best, at = np.inf, knots
    cuts: list[Floats] = []
    for _ in range(ROUNDS):
        worth = worth_of(beliefs, hats @ knots)
        bound = game.arms * worth.clicks + float(weights @ knots)
        slope = weights - game.arms * game.unit * (hats.T @ worth.shown)
        if bound < best:
            best, at = bound, knots
        cuts.append(np.array([*slope, float(slope @ knots) - bound]))
        knots, least = _lowest(np.array(cuts), at, REACH * game.rate)
        if best - least < CLOSE * game.headroom:
            break
    return Relaxed(best, hats @ at)


def _lowest(cuts: Floats, at: Floats, reach: float) -> tuple[Floats, float]:
    """Where the largest of some planes is least, within ``reach`` of ``at``, and how low.

    Args:
        cuts: planes slope * x - y >= -height, each as its slopes and its height at 0, negated.
        at: the centre of the box.
        reach: half its width.
    """
    slopes = np.column_stack([cuts[:, :-1], -np.ones(len(cuts))])
    box = [*((x - reach, x + reach) for x in at), (None, None)]
    goal = [*np.zeros(len(at)), 1.0]
    found = linprog(goal, A_ub=slopes, b_ub=cuts[:, -1], bounds=box, method="highs").x
    return found[:-1], float(found[-1])


def worth_of(beliefs: Beliefs, prices: Floats) -> Worth:
    """What a variant is worth at prices (N) in clicks per impression, and when it is shown."""
    value = np.zeros((beliefs.units + 1, beliefs.counts))
    choices = []
    for step in range(len(prices) - 1, -1, -1):
        value, shown = worth_before(beliefs, value, prices[step], step)
        choices.append(shown)
    return Worth(float(value[0, 0]), _shown(beliefs, choices[::-1]))


def worth_before(
    beliefs: Beliefs, after: Floats, price: float, step: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Values before a step from those after it, and in which states the variant is shown.

    Args:
        beliefs: the variant's.
        after: (step + 2 or more) x C, value of each state after the step.
        price: clicks per impression.
        step: from 0 on; a variant was shown in as many steps at most.
    """
    top = step + 1
    ahead = beliefs.ahead(beliefs.padded(after[: top + 1]), top)
    worth = beliefs.unit * (beliefs.mean[:top] - price) + ahead
    shown = worth > after[:top]
    return np.where(shown, worth, after[:top]), shown


def _shown(beliefs: Beliefs, choices: list[npt.NDArray[np.bool_]]) -> Floats:
    """How likely the variant is shown in each step."""
    likely = np.zeros((1, beliefs.counts))
    likely[0, 0] = 1.0
    found = []
    for shown in choices:
        played = np.where(shown, likely, 0.0)
        found.append(played.sum())
        likely = np.pad(likely - played, ((0, 1), (0, 0)))
        likely[1:] += beliefs.after(played)
    return np.array(found)


def hat_functions(steps: int, knots: int) -> Floats:
    """Steps x knots: what each point in time has in each step, straight in between; 1 in sum."""
    if knots == 1:
        return np.ones((steps, 1))
    at = np.linspace(0.0, knots - 1.0, steps)[:, None]
    hats: Floats = np.maximum(0.0, 1.0 - np.abs(at - np.arange(knots)))
    return hats
