"""The bounds of many games together: no more than so much of the headroom of the newsroom.

Every test of the newsroom is taken as a game with its number of variants, its mean click rate and
its length, with rates drawn around the mean as its truths are spread (``worlds.spread``). With u a
bound of each game's share of its headroom, no policy is expected to get more of all headroom than

    sum of headroom * u  /  sum of headroom        over all tests, expected values both.

Nearly all that matters of a game is its number of variants and its expected clicks: what clicks say
of a rate is relative to that rate, and as many clicks say the same at any rate m, but for a factor
1 - m (Fisher's information of m is T / (m (1 - m))). So u is computed on a grid, at the rate
``RATE``, and read in between on straight lines: first over the logarithm of clicks, then over that
of the number of variants. With twice the clicks from point to point, that is a tenth of a point too
high at 2,000 impressions of the newsroom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from bandit_service.errors import InvalidInput
from simulations.bandits.base import Floats, Whole
from simulations.bandits.bounds.cell import Bounds, Cell
from simulations.bandits.bounds.game import Game
from simulations.bandits.bounds.index import Pace, Share, Sizes, expected_gain, played, steadied
from simulations.bandits.bounds.untold import Untold
from simulations.bandits.told import Means, Told
from simulations.bandits.worlds.archive import WHERE

RATE: Final = 0.01
EACH: Final = 6
"""Up to so many variants the grid has every number that tests have; beyond, only the largest."""
PACE: Final = Pace(100)
"""Of the newsroom."""
_OFTEN: Final = 20
"""Times a mix is played at least."""
_FEWEST: Final = 1.0
"""Clicks of the smallest game on the grid."""


class Mix(NamedTuple):
    """Tests at one horizon, all with clicks."""

    words: str
    arms: Whole
    """How many variants each has."""
    sizes: Sizes
    shape: float
    lift: float
    """What the best variants truly earn over uniform choice, of uniform choice."""

    @property
    def clicks(self) -> Floats:
        """Clicks at a rate of ``RATE`` that say as much as those of each test."""
        rates, impressions = self.sizes
        return np.maximum(rates * impressions * (1.0 - RATE) / (1.0 - rates), _FEWEST)

    @property
    def headroom(self) -> Floats:
        """Clicks beyond uniform choice that there are in each test, expected."""
        found = np.zeros(len(self.arms))
        for arms, mine, sizes in self.alike():
            found[mine] = expected_gain(arms, sizes, self.shape)
        return found

    def alike(self) -> list[tuple[int, Whole, Sizes]]:
        """Tests by number of variants: that number, their places, their sizes."""
        rates, impressions = self.sizes
        places = [np.flatnonzero(self.arms == arms) for arms in np.unique(self.arms)]
        return [
            (int(self.arms[mine[0]]), mine, Sizes(rates[mine], impressions[mine]))
            for mine in places
        ]


def mix(words: str, truths: Sequence[tuple[Floats, Told]], shape: float) -> Mix:
    """Tests as the newsroom has them; those without a click have no headroom and are left out.

    Raises:
        InvalidInput: if none is left.
    """
    kept = [(rates, told) for rates, told in truths if told.rate > 0.0]
    if not kept:
        raise InvalidInput("no test has a click", field="upworthy", hint=WHERE)
    rates, impressions = (np.array(part) for part in zip(*(told for _, told in kept), strict=True))
    best = np.array([found.max() for found, _ in kept])
    return Mix(
        words=words,
        arms=np.array([len(found) for found, _ in kept]),
        sizes=Sizes(rates, impressions),
        shape=shape,
        lift=float(best @ impressions / (rates @ impressions)) - 1.0,
    )


class Fine(NamedTuple):
    """How fine a grid is."""

    steps: int
    """Of each game."""
    futures: int
    """Simulated for each game."""
    ratio: float
    """Of two neighbouring numbers of clicks, at most."""


class Grid:
    """The games whose bounds are needed for some mixes of the same spread."""

    def __init__(self, mixes: Sequence[Mix], fine: Fine, *, seed: int) -> None:
        """``seed``: of what is simulated."""
        arms, clicks = (
            np.concatenate(parts)
            for parts in zip(*((mix.arms, mix.clicks) for mix in mixes), strict=True)
        )
        counts = np.unique(arms).tolist()
        self._arms = [count for count in counts if count <= EACH or count == counts[-1]]
        self.cells: dict[int, list[Cell]] = {}
        """By number of variants; of rising length."""
        for count in self._arms:
            near = [_hats(self._arms, float(k))[self._arms.index(count)] > 0.0 for k in arms]
            self.cells[count] = [
                Cell(Game(count, RATE, mixes[0].shape, length, fine.steps), fine.futures, seed=seed)
                for length in _lengths(clicks[near], fine)
            ]

    def every(self) -> list[Cell]:
        """All cells."""
        return [cell for cells in self.cells.values() for cell in cells]

    def read(self, mix: Mix) -> tuple[list[Cell], Floats]:
        """Cells, and how much each counts for the headroom of a mix, 1 in sum."""
        headroom = mix.headroom
        total = dict.fromkeys(self.every(), 0.0)
        weights = headroom / headroom.sum()
        for weight, arms, clicks in zip(weights, mix.arms, mix.clicks, strict=True):
            for count, share in zip(self._arms, _hats(self._arms, float(arms)), strict=True):
                cells = self.cells[count]
                if share > 0.0:
                    for cell, part in zip(
                        cells, _hats([c.game.clicks for c in cells], float(clicks)), strict=True
                    ):
                        total[cell] += weight * share * part
        return list(total), np.array(list(total.values()))


def _lengths(clicks: Floats, fine: Fine) -> list[int]:
    """Impressions of games that reach from the fewest of these clicks to the most."""
    least, most = float(clicks.min()), float(clicks.max())
    count = 1 + int(np.ceil(np.log(most / least) / np.log(fine.ratio)))
    wanted = np.geomspace(least, most, count) if count > 1 else np.array([most])
    units = {max(1, round(c / RATE / fine.steps)) for c in wanted.tolist()}
    return sorted(fine.steps * unit for unit in units)


def _hats(points: Sequence[float], at: float) -> Floats:
    """How much each of some rising points counts in between, over logarithms; 1 in sum."""
    places = np.interp(np.log(at), np.log(points), np.arange(len(points)))
    hats: Floats = np.maximum(0.0, 1.0 - np.abs(places - np.arange(len(points))))
    return hats


class Limit(NamedTuple):
    """What no policy is expected to exceed on a mix, as shares of its headroom."""

    relaxed: float
    informed: Share


def limit(grid: Grid, mix: Mix, found: Mapping[Cell, Bounds]) -> Limit:
    """The bound of a mix, from those of the grid's cells."""
    cells, weights = grid.read(mix)
    loose = np.array([found[cell].relaxed for cell in cells])
    close = np.array([found[cell].informed for cell in cells])
    error = np.sqrt(((weights * close[:, 1]) ** 2).sum())
    return Limit(float(weights @ loose), Share(float(weights @ close[:, 0]), float(error)))


class Replay(NamedTuple):
    """A mix that the index is to play, as a task for the pool."""

    mix: Mix
    impressions: int
    """Of a test in all: the mix is played over and over, each time with rates drawn anew."""
    means: Means | None
    """What is known of the tests' means by who is not told them; None: they are told."""
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        untold = "untold, " if self.means else ""
        return f"the index, {untold}on {self.mix.words}"

    @property
    def times(self) -> int:
        """How often it is played."""
        return max(_OFTEN, self.impressions // int(self.mix.sizes.impressions.mean()))


class Reached(NamedTuple):
    """What the index captures of a mix's headroom."""

    share: Share
    once: tuple[float, float]
    """In what range it captures it on 95 % of mixes: drawn once, played once."""


def reached(replay: Replay) -> tuple[Replay, Reached]:
    """What the index captures."""
    mix, rng = replay.mix, np.random.default_rng([replay.seed, 10])
    belief = Untold(replay.means, mix.shape) if replay.means else None
    shape = (replay.times, len(mix.arms))
    policy, best = np.zeros(shape), np.zeros(shape)
    for arms, mine, sizes in mix.alike():
        rates, impressions = sizes
        often = Sizes(np.tile(rates, replay.times), np.tile(impressions, replay.times))
        gains = played(often, arms, mix.shape, PACE, rng=rng, belief=belief)
        policy[:, mine] = gains.policy.reshape(replay.times, -1)
        best[:, mine] = gains.best.reshape(replay.times, -1)
    earned, there = policy.sum(axis=1), best.sum(axis=1)
    low, high = np.percentile(earned / there, [2.5, 97.5])
    share = steadied(earned, there, float(mix.headroom.sum()))
    return replay, Reached(share, (float(low), float(high)))
