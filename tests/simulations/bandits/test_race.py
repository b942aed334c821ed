"""The race tells outcomes when they are due, and counts what was earned."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.bandits.base import NEVER, Batch, Player
from simulations.bandits.race import EDGES, race
from simulations.bandits.rivals.simple import Oracle, Uniform
from simulations.bandits.worlds.duel import Duel
from tests.simulations.bandits.script import Notes, Script, batch, spot

LATER = [100_000]


def play(batches: list[Batch]) -> Notes:
    notes = Notes()
    race(Script(batches), notes, policy="notes", seed=1)
    return notes


def test_a_reward_is_told_after_its_delay_and_its_absence_after_the_window() -> None:
    # given a reward after 3 s, none (known after 10 s), and looks after 2.9, 3, 9.9 and 10.1 s
    first = batch([0, 100], [True, False], [3_000, 3_000])
    looks = [batch([at], [False], [1], of=spot(name="other")) for at in (2_900, 3_000, 9_900)]
    last = batch([10_100], [False], [1], of=spot(name="other"))
    # when
    assert play([first, *looks[:1]]).told == []
    assert play([first, *looks[:2]]).told == [(0, 0, 1.0)]
    assert play([first, *looks]).told == [(0, 0, 1.0)]
    # then
    assert play([first, *looks, last]).told == [(0, 0, 1.0), (0, 1, 0.0)]


def test_what_is_lost_is_never_told() -> None:
    told = play([batch([0, 0, 0], [True, False, True], [NEVER, NEVER, 5]), later()]).told
    assert told == [(0, 2, 1.0)]


def test_every_outcome_is_told_once_in_the_order_in_which_it_is_known() -> None:
    # given
    rng = np.random.default_rng(2)
    batches = [
        batch(
            sorted(rng.integers(start, start + 500, 20).tolist()),
            (rng.random(20) < 0.4).tolist(),
            rng.integers(1, 9_000, 20).tolist(),
        )
        for start in range(0, 20_000, 500)
    ]
    # when
    told = play([*batches, later()]).told
    # then
    assert len(told) == len(set(told)) == sum(len(one.at) for one in batches)
    for number, row, reward in told:
        assert reward == batches[number].rewards(np.zeros(20, np.int64))[row]


def test_what_was_told_is_taken_into_use_before_the_next_choice() -> None:
    calls = play([batch([0], [True], [5]), batch([50], [True], [5]), later()]).calls
    assert calls == ["choose", "learn", "refresh", "choose", "learn", "refresh", "choose"]


def test_nothing_is_refreshed_where_nothing_was_told() -> None:
    assert play([batch([0], [True], [500]), batch([50], [True], [500])]).calls == ["choose"] * 2


def test_all_players_meet_the_same_visitors_with_the_same_luck() -> None:
    # given
    world = Duel("duel", impressions=300, seed=4)
    # when
    grounds = [race(world, player, policy="", seed=4)[0] for player in (Uniform(), Oracle())]
    # then
    assert grounds[0] == grounds[1]
    assert sum(map(sum, grounds[0].impressions)) == 600


def test_uniform_choice_earns_the_mean_and_the_oracle_the_most() -> None:
    # given
    world = Duel("duel", impressions=2_000, seed=5)
    # when
    (ground, uniform), (_, oracle) = (
        race(world, player, policy="", seed=5) for player in (Uniform(), Oracle())
    )
    # then
    assert np.allclose(oracle.earned[0], ground.best[0])
    # 4,000 draws with a standard deviation of 0.1: 5 standard errors are 0.008
    mean = sum(map(sum, ground.uniform)) / 4_000
    assert sum(map(sum, uniform.earned)) / 4_000 == pytest.approx(mean, abs=0.008)


def test_stretches_add_up_wherever_batches_are_cut() -> None:
    # given the same 250 impressions in batches of 250, and of 7
    def parts(size: int) -> Script:
        starts = range(0, 250, size)
        return Script(
            [batch([s] * min(size, 250 - s), [True] * min(size, 250 - s), [1] * min(size, 250 - s))
             for s in starts]
        )  # fmt: skip

    # when
    whole, cut = (race(parts(size), Notes(), policy="", seed=1)[0].impressions for size in (250, 7))
    # then
    assert whole == cut == [[100.0, 100.0, 50.0]]
    assert EDGES[:3].tolist() == [100, 200, 300]


def test_a_sites_history_is_played_and_not_counted() -> None:
    # given
    before = batch([0] * 30, [True] * 30, [1] * 30, of=spot(name="old", reported=False))
    after = batch([50] * 10, [True] * 10, [1] * 10)
    notes = Notes()
    # when
    ground, _ = race(Script([before, after]), notes, policy="", seed=1)
    # then
    assert (ground.placements, ground.impressions) == (["film"], [[10.0]])
    assert len(notes.told) == 30


def test_a_starved_variant_shows_in_the_least_share() -> None:
    # given a player that shows the first of two variants only
    n = 800
    starving: Player = Notes()
    script = Script([batch([0] * n, [False] * n, [1] * n)])
    # then
    assert race(script, starving, policy="", seed=1)[1].least == [0.0]
    (even,) = race(script, Uniform(), policy="", seed=1)[1].least
    assert even is not None
    assert even > 0.6  # of 100 draws or more, some 5 standard deviations from none


def test_too_few_impressions_say_nothing_of_shares() -> None:
    script = Script([batch([0] * 50, [False] * 50, [1] * 50)])
    assert race(script, Notes(), policy="", seed=1)[1].least == [None]


def later() -> Batch:
    return batch(LATER, [False], [1], of=spot(name="later"))
