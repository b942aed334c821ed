"""The index: that it is one, what it earns, and that it is no more than there is."""

from __future__ import annotations

import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from simulations.bandits import policies
from simulations.bandits.base import Floats, World
from simulations.bandits.bounds.beliefs import Beliefs
from simulations.bandits.bounds.exact import optimum
from simulations.bandits.bounds.game import Game
from simulations.bandits.bounds.index import (
    Informed,
    Known,
    Pace,
    Sizes,
    captured,
    divided,
    played,
    psi,
)
from simulations.bandits.bounds.relaxed import relaxed, worth_of
from simulations.bandits.bounds.untold import Untold
from simulations.bandits.race import race
from simulations.bandits.told import Means, Told
from simulations.bandits.worlds.null import Null
from simulations.bandits.worlds.prior import SHAPE, Prior


def test_the_longer_there_is_to_learn_the_more_it_is_worth() -> None:
    values = psi().at(np.array([0.01, 0.1, 1.0, 10.0, 100.0]))
    assert np.all(np.diff(values) > 0.0)
    assert values[0] > 0.0


@pytest.mark.parametrize(("impressions", "rate", "shape"), [(2_000, 0.01, 39.0), (600, 0.1, 20.0)])
def test_the_index_is_the_price_at_which_a_variant_is_no_longer_worth_being_shown(
    impressions: int, rate: float, shape: float
) -> None:
    # given the price at which dynamic programming over real clicks says so
    game = Game(2, rate, shape, impressions, 100)
    beliefs = Beliefs(game)
    low, high = rate, 2.0 * rate
    for _ in range(20):
        price = (low + high) / 2.0
        worth = worth_of(beliefs, np.full(game.steps, price)).clicks
        low, high = (price, high) if worth > 0.0 else (low, price)
    # when
    a, b = game.prior
    bonus = np.sqrt(a) / (a + b) * psi().at(np.array(impressions / (a + b)))
    # then: the limit of small steps is near
    assert a / (a + b) + bonus == pytest.approx(low, rel=0.02)
    assert bonus == pytest.approx(low - rate, rel=0.15)


def test_a_batch_goes_to_the_best_in_the_end_and_to_all_at_first() -> None:
    # given one game that begins, and one that ends
    known = Known(np.array([[0.01] * 5, [0.013, *[0.01] * 4]]), np.full((2, 5), 3_900.0))
    left, parts = np.array([2_000.0, 100.0]), np.full((5, 2), 20.0)
    # when
    given = divided(known, left, parts, np.zeros((2, 5)))
    # then
    assert given.tolist() == [[20.0] * 5, [100.0, 0.0, 0.0, 0.0, 0.0]]


def test_where_the_optimum_is_known_the_index_comes_close_and_does_not_exceed_it() -> None:
    # given
    game = Game(2, 0.01, 39.0, 2_000, 40)
    best = game.captured(optimum(game))
    # when
    found = captured(game, Pace(game.unit, parts=1), games=60_000, rng=np.random.default_rng(1))
    # then: with the error of 60,000 games
    assert found.error < 0.005
    assert best - 0.01 - 4 * found.error < found.value < best + 4 * found.error


def test_games_of_any_length_are_played_to_their_ends_and_no_further() -> None:
    # given
    sizes = Sizes(np.array([0.02, 0.02, 0.02]), np.array([30, 100, 1_730]))
    # when
    gains = played(sizes, 3, 39.0, Pace(100), rng=np.random.default_rng(2))
    # then: what the best would have gained is in proportion to the length
    assert np.all(gains.best > 0.0)
    assert np.all(gains.best < 0.02 * 2 * sizes.impressions)
    assert np.all(gains.policy <= gains.best)


class Headroom:
    """What each placement of a world had, and what a policy made of it."""

    def __init__(self, world: World, policy: str) -> None:
        player = policies.make(policy)(world, 1)
        ground, run = race(world, player, policy=policy, seed=1)
        player.close()
        earned, uniform, best = (
            np.array([sum(row) for row in table])
            for table in (run.earned, ground.uniform, ground.best)
        )
        self.gained: Floats = earned - uniform
        self.there: Floats = best - uniform


WORLD = Prior("prior:3:0.05:300", arms=3, told=Told(0.05, 300), placements=60, seed=1)


@pytest.mark.parametrize("policy", ["index", "index-untold", "beta-sharp16", "beta", "ours"])
def test_no_policy_exceeds_the_bound_in_the_world_it_is_of(policy: str) -> None:
    # given the bound of the world's placements
    game = Game(3, 0.05, SHAPE, 300, 60)
    bound = relaxed(game, Beliefs(game)).clicks - game.clicks
    # when
    found = Headroom(WORLD, policy)
    # then: on average over 60 placements, within four standard errors
    error = found.gained.std(ddof=1) / np.sqrt(len(found.gained))
    assert found.gained.mean() < bound + 4 * error
    assert abs(found.there.mean() - game.headroom) < 4 * found.there.std() / np.sqrt(60)


def test_the_player_earns_what_the_simulation_says() -> None:
    # given both in batches of 100, the player 60 times
    game = Game(3, 0.05, SHAPE, 300, 3)
    said = captured(game, Pace(100), games=20_000, rng=np.random.default_rng(3))
    found = Headroom(WORLD, "index").gained / game.headroom
    # then
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - said.value) < 4 * error
    assert said.value > 0.15


def test_a_world_that_tells_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="must be told of placements, and null does not"):
        policies.make("index")(Null("null", impressions=100, seed=1), 1)


def test_who_is_not_told_the_mean_believes_what_all_variants_say_together() -> None:
    # given means that may be anything from a fifth of 1 % to 5 %, and many clicks at 2 %
    belief = Untold(Means(0.01, 0.6), SHAPE)
    clicks, shown = np.array([[200.0, 0.0, 180.0]]), np.array([[10_000.0, 0.0, 10_000.0]])
    # when
    mean, worth = (part[0] for part in belief.known(clicks, shown))
    # then the one that was not shown is thought to be like the others, and is known least
    assert mean == pytest.approx([0.02, 0.019, 0.018], rel=0.03)
    assert worth[1] < 0.7 * SHAPE / 0.019
    assert min(worth[0], worth[2]) > 10_000


def test_with_one_mean_to_think_of_who_is_not_told_knows_as_much() -> None:
    clicks, shown = np.array([[5.0, 1.0]]), np.array([[300.0, 200.0]])
    told = Informed(np.array([0.02]), SHAPE).known(clicks, shown)
    untold = Untold(Means(0.02, 1e-9), SHAPE).known(clicks, shown)
    np.testing.assert_allclose(untold.mean, told.mean)
    np.testing.assert_allclose(untold.worth, told.worth)
