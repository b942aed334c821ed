"""The optimum of a game of a few variants, by dynamic programming.

A state is what was shown of each variant and what it earned. Values are computed from the last step
back: of each way to divide a step among the variants the best is taken, on average over the clicks
that it may bring (Bellman 1956, "A problem in the sequential design of experiments"). Variants are
alike before anything is seen, so states are kept in the order of what was shown.

With T impressions there are some T^(2K - 1) states: two variants are quick, three take a while, and
of more only games of a few clicks can be solved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from simulations.bandits.base import Floats
from simulations.bandits.bounds.beliefs import Beliefs
from simulations.bandits.bounds.game import Game

_Shown = tuple[int, ...]
"""Units of each variant, falling."""


def optimum(game: Game) -> float:
    """Expected clicks of the best of all policies that divide steps in ``game.parts``."""
    beliefs = Beliefs(game)
    total = game.steps * game.parts
    values: dict[_Shown, Floats] = {
        shown: np.zeros(_sizes(beliefs, shown)) for shown in _divided(total, game.arms)
    }
    ways = list(_ways(game.parts, game.arms))
    for step in range(game.steps - 1, -1, -1):
        values = {
            shown: _best(beliefs, shown, ways, values)
            for shown in _divided(step * game.parts, game.arms)
        }
    return float(values[(0,) * game.arms].item())


def _best(
    beliefs: Beliefs, shown: _Shown, ways: list[_Shown], later: Mapping[_Shown, Floats]
) -> Floats:
    """The value of what is known after ``shown``: an axis of clicks for each variant."""
    sizes = _sizes(beliefs, shown)
    best = np.full(sizes, -np.inf)
    for way in ways:
        value = _later(later, tuple(n + more for n, more in zip(shown, way, strict=True)))
        for arm, more in enumerate(way):
            value = _expected(beliefs, value, arm, shown[arm], more)
        for arm, more in enumerate(way):
            earned = more * beliefs.unit * beliefs.mean[shown[arm], : sizes[arm]]
            value = value + earned.reshape([-1 if axis == arm else 1 for axis in range(len(sizes))])
        np.maximum(best, value, out=best)
    return best


def _later(later: Mapping[_Shown, Floats], shown: _Shown) -> Floats:
    """The value after ``shown``, whose variants may be in any order."""
    order = sorted(range(len(shown)), key=lambda arm: -shown[arm])
    value = later[tuple(shown[arm] for arm in order)]
    return value.transpose([order.index(arm) for arm in range(len(shown))])


def _expected(beliefs: Beliefs, value: Floats, arm: int, shown: int, more: int) -> Floats:
    """What a value is expected to be, with ``more`` units of a variant to come."""
    size = int(beliefs.likely[shown]) + 1
    value = np.moveaxis(value, arm, -1)
    if more:
        chances = beliefs.chances[more - 1][shown, :size]
        wide = size + chances.shape[1] - 1 - value.shape[-1]
        padding = [(0, 0)] * (value.ndim - 1) + [(0, max(wide, 0))]
        windows = sliding_window_view(np.pad(value, padding, mode="edge"), chances.shape[1], -1)
        value = np.einsum("...cj,cj->...c", windows[..., :size, :], chances)
    return np.moveaxis(value, -1, arm)


def _sizes(beliefs: Beliefs, shown: _Shown) -> tuple[int, ...]:
    return tuple(int(beliefs.likely[n]) + 1 for n in shown)


def _divided(total: int, arms: int) -> Iterator[_Shown]:
    """All ways to divide ``total`` among some variants, the largest part first."""
    return (way for way in _ways(total, arms) if list(way) == sorted(way, reverse=True))


def _ways(total: int, arms: int) -> Iterator[_Shown]:
    """All ways to divide ``total`` among some variants."""
    if arms == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _ways(total - first, arms - 1):
            yield (first, *rest)
