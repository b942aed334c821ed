"""Headroom, lift, regret and their intervals, on studies whose numbers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulations.bandits.estimates import FEW, TOO_FEW, Line, WorldTable, tables
from simulations.bandits.results import Ground, Run, Study, World

EDGES = [500, 2_000]


def study(
    earned: dict[str, list[list[list[float]]]],
    *,
    uniform: float = 1.0,
    best: float = 3.0,
    names: list[list[str]] | None = None,
) -> Study:
    """By policy, for each seed, for each placement: what each stretch earned of 500 impressions."""
    grounds: list[Ground] = []
    runs: list[Run] = []
    for policy, seeds in earned.items():
        for seed, places in enumerate(seeds):
            like = [[1.0] * len(row) for row in places]
            if seed == len(grounds):
                grounds.append(
                    Ground(
                        world="w",
                        seed=seed,
                        placements=names[seed] if names else [f"p{n}" for n in range(len(places))],
                        impressions=[[500.0] * len(row) for row in places],
                        uniform=[[uniform * value for value in row] for row in like],
                        best=[[best * value for value in row] for row in like],
                    )
                )
            runs.append(
                Run(
                    world="w",
                    policy=policy,
                    seed=seed,
                    earned=places,
                    rewards=places,
                    least=[None] * len(places),
                    seconds=1e-6,
                )
            )
    world = World(name="w", words="a world")
    return Study(edges=EDGES, worlds=[world], policies=[*earned], grounds=grounds, runs=runs)


def table(made: Study, against: str = "a") -> WorldTable:
    (found,) = tables(made, against=against)
    return found


def lines(made: Study, against: str = "a") -> dict[str, Line]:
    return {line.policy: line for line in table(made, against).lines}


def test_headroom_lift_and_regret_are_what_they_say() -> None:
    # given 30 placements that earn 2 in the first 500 impressions and 3 in the next 500
    line = lines(study({"a": [[[2.0, 3.0]] * 30]}))["a"]
    # then
    first, overall = line.headroom
    assert first is not None
    assert overall is not None
    assert (first.value, overall.value) == (0.5, 0.75)
    assert (line.lift.value, line.regret.value) == (1.5, 1.0)
    assert line.curve == (0.5, 0.75)
    # Where all placements are alike, nothing is uncertain.
    assert (overall.low, overall.high) == pytest.approx((0.75, 0.75))


def test_a_short_placement_counts_whole_at_a_longer_horizon() -> None:
    line = lines(study({"a": [[[2.0]] * 15 + [[2.0, 3.0, 3.0]] * 15]}))["a"]
    values = [estimate.value for estimate in line.headroom if estimate]
    # 30 * 0.5; 30 * 0.5 + 15 * 1; 30 * 0.5 + 30 * 1
    assert values == pytest.approx([15 / 30, 45 / 60])
    assert line.curve == pytest.approx((15 / 30, 30 / 45, 45 / 60))


def test_the_interval_is_that_of_the_mean_of_placements() -> None:
    # given
    rng = np.random.default_rng(4)
    values = rng.normal(2.0, 0.4, 400)
    # when
    overall = lines(study({"a": [[[value] for value in values]]}))["a"].headroom[-1]
    # then: headroom is (mean - 1) / 2, and its error that of the mean; the bootstrap's is some 2 %
    assert overall is not None
    assert overall.low is not None
    assert overall.high is not None
    error = values.std() / math.sqrt(400) / 2
    assert overall.high - overall.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_seeds_of_the_same_placements_make_the_interval_no_narrower() -> None:
    # given tests that differ, and seeds that do not
    rows = [[value] for value in np.random.default_rng(5).normal(2.0, 0.4, 100)]
    one, five = (lines(study({"a": [rows] * seeds}))["a"].headroom[-1] for seeds in (1, 5))
    # then
    assert one is not None
    assert five is not None
    assert one == pytest.approx(five)


def test_differences_are_paired_so_what_all_share_cancels_out() -> None:
    # given placements that differ by much more than the policies do
    base = np.random.default_rng(6).normal(2.0, 0.5, 100)
    made = study({"a": [[[v] for v in base]], "b": [[[v + 0.02] for v in base]],
                  "c": [[[v - 0.02] for v in base]], "d": [[[v] for v in base]]})  # fmt: skip
    found = lines(made)
    # then
    assert {name: line.mark for name, line in found.items()} == {
        "a": "", "b": "better", "c": "worse", "d": "same",
    }  # fmt: skip
    assert found["a"].against is None
    better = found["b"].against
    assert better is not None
    assert (better.value, better.low, better.high) == pytest.approx((0.01, 0.01, 0.01))
    assert found["b"].headroom[-1] != found["a"].headroom[-1]


def test_a_policy_that_misses_a_seed_is_compared_on_those_that_it_has() -> None:
    # given a second seed in which everyone earns less, that b did not play
    made = study({"a": [[[2.5]] * 30, [[1.5]] * 30], "b": [[[2.5]] * 30]})
    line = lines(made)["b"]
    # then
    assert line.seeds == 1
    assert line.against is not None
    assert line.against.value == 0.0


def test_few_placements_are_drawn_seed_by_seed_and_too_few_have_no_interval() -> None:
    # given
    rng = np.random.default_rng(7)
    several = [[[float(rng.normal(2.0, 0.3))]] for _ in range(TOO_FEW)]
    # then
    assert FEW > 1
    interval = lines(study({"a": several}))["a"].headroom[-1]
    assert interval is not None
    assert interval.low is not None
    fewer = lines(study({"a": several[:-1]}))["a"].headroom[-1]
    assert fewer is not None
    assert fewer.low is fewer.high is None


def test_where_nothing_is_to_be_gained_no_headroom_is_shown() -> None:
    found = lines(study({"a": [[[1.0]] * 30], "b": [[[1.0]] * 30]}, best=1.0))
    assert found["a"].headroom == (None,)
    assert found["b"].against is None
    assert found["b"].mark == ""
    assert found["a"].lift.value == found["a"].regret.value == 0.0


def test_a_reference_that_does_not_play_leaves_no_comparison() -> None:
    line = lines(study({"a": [[[1.5]] * 30]}), against="nobody")["a"]
    assert (line.against, line.mark) == (None, "")


def test_the_table_says_on_what_it_rests() -> None:
    found = table(study({"a": [[[2.0, 3.0]] * 30] * 2}))
    assert (found.seeds, found.placements, found.impressions) == (2, 30, 60_000)
    assert found.horizons == (500, None)
    assert found.ends == (500, 1_000)
