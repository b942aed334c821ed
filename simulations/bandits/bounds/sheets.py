"""What is computed for ``bound``, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from simulations.bandits.bounds.cell import Bounds, Cell
from simulations.bandits.bounds.game import Game
from simulations.bandits.bounds.index import Pace
from simulations.bandits.bounds.newsroom import PACE, Limit, Mix, Reached
from simulations.bandits.bounds.sheet import Sheet, share, simulated
from simulations.bandits.worlds.prior import SHAPE

ARMS: Final = (2, 3, 4, 5, 6)
RATES: Final = (0.005, 0.01, 0.02)
IMPRESSIONS: Final = (500, 2_000, 10_000)
STEPS: Final = 100
"""Of games that bounds are computed for. In 400, "variants at a price" is 0.1 points higher for 5
variants and 2,000 impressions at 1 %, 0.5 points for 10,000: much finer than that nobody decides.
"""
SOLVED: Final = 100
"""Clicks of the largest game of two variants that is solved exactly in ``STEPS`` steps."""
SOLVABLE: Final = ((2, 20), (2, 40), (2, 100), (3, 20), (3, 40), (4, 20))
"""Variants and steps of the games that are solved to see how close the bounds are."""
_OFTEN: Final = 5
"""Times as many games does the index play of these."""
SIZE: Final = (0.01, 2_000)
"""Click rate and impressions of these."""

LEGEND: Final = (
    "Shares of the headroom: of what the best variant earns over uniform choice. no policy above: "
    "what can be expected at most of one that sees clicks alone, though it knows the mean click "
    "rate, how far variants differ, and the length; ± 95 % of its simulation. variants at a price: "
    "the same, computed without simulation, and looser. optimum: computed. index: what the "
    "finite-horizon Gittins index, which knows as much, earned in simulated games."
)


class Effort(NamedTuple):
    """How much is computed."""

    futures: int
    games: int
    """That the index plays, of each kind."""
    impressions: int
    """That each test of the newsroom has in all, played over and over."""
    ratio: float
    """Of numbers of clicks for which the newsroom's bounds are computed."""
    quick: bool


FULL: Final = Effort(futures=100, games=20_000, impressions=2_000_000, ratio=2.0, quick=False)
QUICK: Final = Effort(futures=10, games=500, impressions=20_000, ratio=4.0, quick=True)


def games(effort: Effort, *, seed: int) -> list[Cell]:
    """The games of the first table."""
    sizes = product(IMPRESSIONS, RATES, ARMS)
    if effort.quick:
        sizes = product((500, 2_000), (0.01,), (2, 5))
    cells = []
    for impressions, rate, arms in sizes:
        game = Game(arms, rate, SHAPE, impressions, STEPS)
        exact = arms == ARMS[0] and game.clicks <= SOLVED
        cells.append(Cell(game, effort.futures, exact, PACE, effort.games, seed))
    return cells


def solved(effort: Effort, *, seed: int) -> list[Cell]:
    """The games of the second table."""
    rate, impressions = SIZE
    kinds = [(2, 20)] if effort.quick else SOLVABLE
    return [
        Cell(
            Game(arms, rate, SHAPE, impressions, steps),
            effort.futures,
            exact=True,
            pace=Pace(impressions // steps, parts=1),
            games=_OFTEN * effort.games,
            seed=seed,
        )
        for arms, steps in kinds
    ]


def games_sheet(cells: Sequence[Cell], found: Mapping[Cell, Bounds]) -> Sheet:
    """The first table."""
    return Sheet(
        title="Any number of variants",
        words=(
            f"Click rates drawn around the mean, standard deviation 1 / √{SHAPE:.0f} of it. News "
            f"to the index every {PACE.batch} impressions; optimum and bounds are of who has them "
            f"{cells[0].game.steps} times, evenly."
        ),
        heads=(
            *("impressions", "click rate", "variants", "clicks", "best over uniform"),
            *("no policy above", "variants at a price", "optimum", "index"),
        ),
        rows=tuple(
            (
                f"{cell.game.impressions:,}",
                f"{cell.game.rate:.1%}",
                str(cell.game.arms),
                f"{cell.game.clicks:g}",
                f"+{cell.game.headroom / cell.game.clicks:.1%}",
                *_told(found[cell]),
            )
            for cell in cells
        ),
    )


def solved_sheet(cells: Sequence[Cell], found: Mapping[Cell, Bounds]) -> Sheet:
    """The second table."""
    rate, impressions = SIZE
    return Sheet(
        title="How close the bounds and the index are",
        words=(
            f"{impressions:,} impressions at {rate:.0%}, in games small enough to be solved: in "
            "each step one variant is shown, and news come after it, to the index as well."
        ),
        heads=(
            "variants",
            "steps",
            *("no policy above", "variants at a price", "optimum", "index"),
        ),
        rows=tuple(
            (str(cell.game.arms), str(cell.game.steps), *_told(found[cell])) for cell in cells
        ),
    )


def _told(found: Bounds) -> Iterator[str]:
    yield simulated(found.informed)
    yield share(found.relaxed)
    yield share(found.optimum)
    yield simulated(found.gittins)


class Newsroom(NamedTuple):
    """One horizon of the newsroom."""

    mix: Mix
    limit: Limit
    told: Reached
    """By who knows the means."""
    untold: Reached


def newsroom_sheet(rows: Sequence[Newsroom]) -> Sheet:
    """The third table."""
    mix = rows[0].mix
    return Sheet(
        title="The newsroom",
        words=(
            f"{len(mix.arms)} tests with their numbers of variants, mean click rates and lengths, "
            f"rates drawn around the means: standard deviation 1 / √{mix.shape:.1f} of it, as true "
            "rates have in the weeks that settings are tuned on. best over uniform: as drawn, and "
            "there, in the newsroom itself. once: in what range the index is on 95 % of such "
            "newsrooms, each played once. untold: of the mean, but how means are spread."
        ),
        heads=(
            *("impressions of a test", "best over uniform", "there", "no policy above"),
            *("variants at a price", "index", "once", "index, untold"),
        ),
        rows=tuple(
            (
                row.mix.words,
                f"+{_lift(row.mix):.1%}",
                f"+{row.mix.lift:.1%}",
                simulated(row.limit.informed),
                share(row.limit.relaxed),
                simulated(row.told.share),
                f"{share(row.told.once[0])} to {share(row.told.once[1])}",
                simulated(row.untold.share),
            )
            for row in rows
        ),
    )


def _lift(mix: Mix) -> float:
    clicks = mix.sizes.rates * mix.sizes.impressions
    return float(mix.headroom.sum() / clicks.sum())
