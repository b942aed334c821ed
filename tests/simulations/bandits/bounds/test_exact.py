"""The optimum of small games, beside one found by trying everything that can happen."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from simulations.bandits.bounds.exact import optimum
from simulations.bandits.bounds.game import Game, expected_best

Seen = tuple[tuple[int, int], ...]
"""Of each variant: impressions and clicks."""


def tried(game: Game, step: int, seen: Seen) -> Fraction:
    """The best of all that can be done, on average over all that can happen, without a table."""
    if step == game.steps:
        return Fraction(0)
    found = []
    for way in divisions(game.parts, len(seen)):
        each = [
            happening(game, *known, more * game.unit) for known, more in zip(seen, way, strict=True)
        ]
        earned = sum((chance * clicks for one in each for clicks, chance in one), Fraction(0))
        later = sum(
            (chance * tried(game, step + 1, after) for after, chance in together(seen, way, game)),
            Fraction(0),
        )
        found.append(earned + later)
    return max(found)


def together(seen: Seen, way: tuple[int, ...], game: Game) -> Iterator[tuple[Seen, Fraction]]:
    """What may be known after a step, and how likely."""
    if not seen:
        yield (), Fraction(1)
        return
    shown, clicks = seen[0]
    impressions = way[0] * game.unit
    for rest, chance in together(seen[1:], way[1:], game):
        for more, one in happening(game, shown, clicks, impressions):
            yield ((shown + impressions, clicks + more), *rest), one * chance


def happening(game: Game, shown: int, clicks: int, impressions: int) -> list[tuple[int, Fraction]]:
    """Clicks of some impressions and their chances: beta-binomial, by rising factorials."""
    a, b = (Fraction(count) for count in game.prior)
    a, b = a + clicks, b + shown - clicks
    return [
        (
            k,
            comb(impressions, k)
            * rising(a, k)
            * rising(b, impressions - k)
            / rising(a + b, impressions),
        )
        for k in range(impressions + 1)
    ]


def rising(start: Fraction, count: int) -> Fraction:
    found = Fraction(1)
    for more in range(count):
        found *= start + more
    return found


def divisions(total: int, arms: int) -> list[tuple[int, ...]]:
    if arms == 1:
        return [(total,)]
    return [(k, *rest) for k in range(total + 1) for rest in divisions(total - k, arms - 1)]


@pytest.mark.parametrize(
    "game",
    [
        Game(2, 0.3, 2.0, 6, 6),
        Game(2, 0.3, 2.0, 8, 4),
        Game(2, 0.1, 1.0, 8, 2, parts=2),
        Game(2, 0.5, 3.0, 9, 3, parts=3),
        Game(3, 0.2, 2.0, 4, 4),
        Game(3, 0.2, 2.0, 4, 2, parts=2),
        Game(4, 0.4, 1.5, 3, 3),
    ],
)
def test_the_optimum_is_that_of_trying_everything(game: Game) -> None:
    # given a game of few impressions
    everything = tried(game, 0, ((0, 0),) * game.arms)
    # then: clicks that are unlikelier than 1e-7 are left out
    assert optimum(game) == pytest.approx(float(everything), rel=1e-5)


def test_one_step_can_earn_no_more_than_uniform_choice() -> None:
    game = Game(3, 0.01, 39.0, 500, 1, parts=5)
    assert game.captured(optimum(game)) == pytest.approx(0.0, abs=1e-9)


def test_more_impressions_capture_more() -> None:
    found = [
        game.captured(optimum(game))
        for game in (Game(2, 0.01, 39.0, 40 * unit, 40) for unit in (5, 12, 25, 50, 100))
    ]
    assert found == sorted(found)
    assert found[0] > 0.05
    assert found[-1] < 0.5


def test_sooner_news_and_finer_parts_are_worth_something_but_little() -> None:
    # given the same 2,000 impressions
    undivided, halves, quarters, sooner, soonest = (
        Game(2, 0.01, 39.0, 2_000, steps, parts)
        for steps, parts in ((20, 1), (20, 2), (20, 4), (40, 1), (80, 1))
    )
    found = [g.captured(optimum(g)) for g in (undivided, halves, quarters, sooner, soonest)]
    # then each player can do what the one before can
    assert found[0] <= found[1] + 1e-6 <= found[2] + 2e-6
    assert found[2] < found[4]
    assert found[0] < found[3] < found[4] < 1.05 * found[0]


def test_variants_that_are_more_alike_are_harder_to_tell_apart() -> None:
    found = [
        game.captured(optimum(game))
        for game in (Game(2, 0.01, shape, 2_000, 20) for shape in (10.0, 39.0, 200.0))
    ]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("arms", "shape"), [(2, 39.0), (5, 39.0), (3, 2.0)])
def test_the_best_of_two_or_more_is_as_expected(arms: int, shape: float) -> None:
    # given the mean of the largest of many draws
    game = Game(arms, 0.05, shape, 100, 1)
    draws = np.random.default_rng(1).beta(*game.prior, (400_000, arms)).max(axis=1)
    # then: within four standard errors
    error = draws.std() / np.sqrt(len(draws))
    assert abs(expected_best(arms, 0.05, shape) - draws.mean()) < 4 * error


def test_impressions_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InvalidInput, match="1,000 impressions are not 3 steps of 2 equal parts"):
        optimum(Game(2, 0.01, 39.0, 1_000, 3, parts=2))
