"""Upper bounds: what they are made of, and that nothing exceeds them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from simulations.bandits.base import Floats
from simulations.bandits.bounds.beliefs import RARE, Beliefs
from simulations.bandits.bounds.exact import optimum
from simulations.bandits.bounds.game import Game
from simulations.bandits.bounds.informed import clicks_of, informed, paths, rewards
from simulations.bandits.bounds.relaxed import hat_functions, relaxed, worth_of

SMALL = Game(2, 0.02, 39.0, 400, 8)
GAMES = (
    SMALL,
    Game(2, 0.01, 39.0, 2_000, 20),
    Game(3, 0.01, 39.0, 2_000, 20),
    Game(3, 0.05, 5.0, 300, 10),
    Game(4, 0.01, 39.0, 500, 10),
)


def test_what_is_believed_does_not_change_on_average() -> None:
    # given
    beliefs = Beliefs(SMALL)
    top = SMALL.steps
    # when
    ahead = beliefs.ahead(beliefs.padded(beliefs.mean), top)
    # then: but where counts follow that are so rare that they are not told apart
    for n in range(top):
        likely = slice(0, min(int(beliefs.likely[n]), beliefs.counts // 2) + 1)
        np.testing.assert_allclose(ahead[n, likely], beliefs.mean[n, likely], rtol=1e-5)


def test_what_is_likely_stays_all_there_is() -> None:
    beliefs = Beliefs(SMALL)
    likely = np.zeros((1, beliefs.counts))
    likely[0, 0] = 1.0
    for _ in range(SMALL.steps):
        likely = np.pad(beliefs.after(likely), ((1, 0), (0, 0)))
    assert likely.sum() == pytest.approx(1.0, abs=10 * SMALL.steps * RARE)
    mean = float((likely * np.arange(beliefs.counts)).sum())
    assert mean == pytest.approx(SMALL.clicks, rel=1e-4)


def test_a_variants_worth_is_that_of_the_best_rule_there_is() -> None:
    # given a game of two steps: never, first, second, both, or the second after enough clicks
    game = Game(2, 0.1, 2.0, 20, 2)
    beliefs, prices = Beliefs(game), np.array([0.11, 0.09])
    chances, mean = beliefs.chances[0][0, 0], beliefs.mean
    first = game.unit * (mean[0, 0] - prices[0])
    after = game.unit * (mean[1, : len(chances)] - prices[1])
    # when
    rules = [0.0, first, game.unit * (mean[0, 0] - prices[1])]
    rules += [first + float((chances * after)[enough:].sum()) for enough in range(len(chances))]
    # then
    assert worth_of(beliefs, prices).clicks == pytest.approx(max(rules), rel=1e-9)


def test_worth_falls_with_the_price_by_what_is_shown() -> None:
    # given
    beliefs = Beliefs(SMALL)
    prices = SMALL.rate * np.linspace(1.05, 0.98, SMALL.steps)
    worth, step = worth_of(beliefs, prices), 1e-7
    # when
    for at in range(SMALL.steps):
        raised = prices.copy()
        raised[at] += step
        fallen = (worth.clicks - worth_of(beliefs, raised).clicks) / step
        # then
        assert fallen == pytest.approx(SMALL.unit * worth.shown[at], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("game", GAMES)
def test_no_bound_is_below_the_optimum(game: Game) -> None:
    # given
    beliefs = Beliefs(game)
    best = game.captured(optimum(game))
    # when
    loose = relaxed(game, beliefs)
    close = informed(game, beliefs, loose.prices, futures=200, rng=np.random.default_rng(1))
    # then: the mean of 200 futures has an error
    error = close.error / game.headroom
    assert best <= game.captured(loose.clicks) + 1e-6
    assert best <= game.captured(close.clicks) + 4 * error
    assert game.captured(close.clicks) < game.captured(loose.clicks)
    # and they say something
    assert game.captured(loose.clicks) < 1.4 * best


def test_any_price_bounds_the_optimum_and_the_one_found_bounds_it_best() -> None:
    # given
    game = GAMES[1]
    beliefs, best = Beliefs(game), optimum(GAMES[1])
    found = relaxed(game, beliefs)
    rng = np.random.default_rng(2)
    # when: at other prices
    for _ in range(20):
        prices = found.prices + game.rate * hat_functions(game.steps, 4) @ rng.normal(0, 0.03, 4)
        bound = game.arms * worth_of(beliefs, prices).clicks + game.unit * prices.sum()
        # then
        assert bound > best
        assert bound > found.clicks - 1e-3 * game.headroom


def test_at_the_first_prices_the_future_is_worth_nothing() -> None:
    # given the identity that the bound of every single future is that of prices alone
    game = GAMES[2]
    beliefs = Beliefs(game)
    found = relaxed(game, beliefs)
    clicks = clicks_of(game, beliefs, 30, np.random.default_rng(3))
    # when
    charged = np.repeat(game.unit * found.prices[:, None], 30, axis=1)
    worth, _ = paths(rewards(beliefs, found.prices, clicks), charged)
    # then
    np.testing.assert_allclose(worth + charged.sum(axis=0), found.clicks, rtol=1e-6)


def test_who_does_not_know_the_future_pays_nothing_for_it_on_average() -> None:
    # given: always the first variant, whatever happens
    game = Game(2, 0.02, 39.0, 400, 8)
    beliefs = Beliefs(game)
    clicks = clicks_of(game, beliefs, 40_000, np.random.default_rng(4))
    # when
    earned = rewards(beliefs, relaxed(game, beliefs).prices, clicks)
    always = sum(earned[step, :, 0, step] for step in range(game.steps))
    # then: m T, give or take four standard errors
    error = float(np.std(always) / np.sqrt(len(clicks)))
    assert abs(float(np.mean(always)) - game.clicks) < 4 * error


def test_the_best_times_to_show_a_variant_are_those_of_trying_all() -> None:
    # given rewards that follow no rule
    steps, futures, arms = 5, 3, 2
    rng = np.random.default_rng(5)
    earned = rng.normal(size=(steps, futures, arms, steps))
    charged = rng.normal(0.2, 0.5, (steps, futures))
    # when
    worth, shown = paths(earned, charged)
    # then
    for future in range(futures):
        best, taken = 0.0, np.zeros(steps)
        for arm in range(arms):
            plans = [
                (sum_of(earned[:, future, arm], charged[:, future], plan), plan)
                for plan in product((0, 1), repeat=steps)
            ]
            value, plan = max(plans)
            best, taken = best + value, taken + plan
        assert worth[future] == pytest.approx(best)
        assert shown[:, future].tolist() == taken.tolist()


def sum_of(earned: Floats, charged: Floats, plan: tuple[int, ...]) -> float:
    """What showing one variant in the planned steps earns."""
    total, times = 0.0, 0
    for step, shown in enumerate(plan):
        if shown:
            total += float(earned[step, times] - charged[step])
            times += 1
    return total


def test_the_future_at_a_price_bounds_even_who_divides_best_in_each_future() -> None:
    # given two variants: with the future known, all orders in which they may be shown are tried
    game = Game(2, 0.05, 10.0, 160, 8)
    beliefs = Beliefs(game)
    prices = relaxed(game, beliefs).prices
    clicks = clicks_of(game, beliefs, 40, np.random.default_rng(6))
    earned = rewards(beliefs, prices, clicks)
    # when
    found = informed(game, beliefs, prices, futures=40, rng=np.random.default_rng(6))
    best = [max(in_order(earned[:, f], order) for order in ORDERS) for f in range(40)]
    # then
    assert found.clicks >= np.mean(best) - 1e-9
    assert found.clicks == pytest.approx(np.mean(best), abs=0.1 * game.headroom)


ORDERS = tuple(product((0, 1), repeat=8))


def in_order(earned: Floats, order: tuple[int, ...]) -> float:
    """What showing one variant after the other, as ordered, earns."""
    times = [0, 0]
    total = 0.0
    for step, arm in enumerate(order):
        total += float(earned[step, arm, times[arm]])
        times[arm] += 1
    return total


def test_bounds_rise_with_the_impressions() -> None:
    found = []
    for unit in (5, 20, 80):
        game = Game(5, 0.01, 39.0, 25 * unit, 25)
        beliefs = Beliefs(game)
        loose = relaxed(game, beliefs)
        close = informed(game, beliefs, loose.prices, futures=40, rng=np.random.default_rng(7))
        found.append((game.captured(loose.clicks), game.captured(close.clicks)))
    assert found == sorted(found)
    assert sorted(close for _, close in found) == [close for _, close in found]
