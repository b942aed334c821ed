"""The bounds of one game, as a task for the pool: all as shares of the headroom."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulations.bandits.bounds.beliefs import Beliefs
from simulations.bandits.bounds.exact import optimum
from simulations.bandits.bounds.game import Game
from simulations.bandits.bounds.index import Pace, Share, captured
from simulations.bandits.bounds.informed import informed
from simulations.bandits.bounds.relaxed import relaxed


class Cell(NamedTuple):
    """What is to be found out of a game; the same cell gives the same result."""

    game: Game
    futures: int
    """Simulated for the bound of ``informed``."""
    exact: bool = False
    """Whether to compute the optimum."""
    pace: Pace = Pace(100)
    """Of the index policy."""
    games: int = 0
    """That it plays; 0: none."""
    seed: int = 1

    @property
    def name(self) -> str:
        """For people."""
        game = self.game
        return f"{game.arms} variants, {game.rate:.2%}, {game.impressions:,} impressions"


class Bounds(NamedTuple):
    """What was found, as shares of the headroom."""

    relaxed: float
    """No policy gets more: variants at a price."""
    informed: Share
    """No policy gets more: the future at a price, a mean with its standard error."""
    optimum: float | None
    gittins: Share | None
    """What the index captures."""


def bounds(cell: Cell) -> tuple[Cell, Bounds]:
    """Find out all that the cell asks for."""
    game, rng = cell.game, np.random.default_rng([cell.seed, 9])
    beliefs = Beliefs(game)
    loose = relaxed(game, beliefs)
    close = informed(game, beliefs, loose.prices, futures=cell.futures, rng=rng)
    return cell, Bounds(
        relaxed=game.captured(loose.clicks),
        informed=Share(game.captured(close.clicks), close.error / game.headroom),
        optimum=game.captured(optimum(game)) if cell.exact else None,
        gittins=captured(game, cell.pace, games=cell.games, rng=rng) if cell.games else None,
    )
