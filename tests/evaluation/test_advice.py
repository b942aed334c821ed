from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import EstimatorSettings
from bandit_service.evaluation.evaluate import EvaluationSettings, rules_of
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.sweeping.advice import advice_of, advise
from bandit_service.evaluation.sweeping.grid import Point
from bandit_service.evaluation.sweeping.options import WayFold, ways_of
from bandit_service.evaluation.sweeping.results import Advice, Option
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.policy.exploration import GREED
from bandit_service.policy.settings import Exploration, PolicySettings, SiteSettings
from tests.evaluation.batches import a_batch, a_target, changed
from tests.evaluation.sweeping import BASE, GOOD, a_log, opened, settings, surveyed


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_log(tmp_path_factory.mktemp("advice"), visits=2_500)


def advice(path: Path, point: Point = GOOD) -> Advice:
    found = surveyed(path)
    with opened(path) as log:
        rules = rules_of(log, found, EvaluationSettings())
        return advise(log, point, found, rules, evaluated=BASE, progress=lambda _: None)


def spread(path: Path, point: Point, others: list[PolicySettings]) -> list[list[Floats]]:
    """What one model says of every way, batch by batch."""
    target = Learning(point.name, point.settings, evaluated=BASE, others=others)
    with opened(path) as log:
        found = [
            target.spread(batch)
            for batch in log.batches(blame=print, progress=lambda _: None, watch=target.watch)
        ]
    target.close()
    return found


@pytest.mark.parametrize("exploration", ["thompson", "squarecb", "softmax", "epsilon"])
def test_one_model_answers_for_all_ways_as_a_model_of_each_would(
    path: Path, exploration: str
) -> None:
    greed = 4.0 if exploration == "softmax" else 60.0
    point = Point("one", settings(exploration=exploration, gamma=greed))
    ways = ways_of(point.settings.policy)

    together = spread(path, point, [way.policy for way in ways])

    for at, way in enumerate(ways, 1):
        alone = Point(way.name, SiteSettings(rewards=BASE.rewards, policy=way.policy))
        for one, every in zip(spread(path, alone, []), together, strict=True):
            # Where greed is another, VW's float32 differs from the formula's float64.
            assert every[at] == pytest.approx(one[0], abs=5e-6)


def test_ways_vary_one_thing_and_say_what_to_write() -> None:
    policy = PolicySettings(exploration="squarecb", gamma=40.0, floor=0.02, holdout=0.05)

    ways = {way.name: way for way in ways_of(policy)}

    assert ways["no floor, no holdout"].changes == "policy.floor = 0, policy.holdout = 0"
    assert ways["as it is set now"].policy == policy
    assert ways["floor 0.1, no holdout"].changes == "policy.floor = 0.1, policy.holdout = 0"
    assert ways["floor 0.02, no holdout"].changes == "policy.holdout = 0"
    assert ways["gamma 160, no floor, no holdout"].policy.gamma == 160.0
    assert len(ways) == len({way.policy for way in ways.values()}) == 13


def test_epsilon_is_varied_where_it_is_what_explores_and_stays_a_share() -> None:
    names = [way.name for way in ways_of(PolicySettings(exploration="epsilon", epsilon=0.5))]

    assert "epsilon 0.125, no floor, no holdout" in names
    assert "epsilon 1, no floor, no holdout" in names
    assert not [name for name in names if "gamma" in name]
    none = [way.name for way in ways_of(PolicySettings(exploration="epsilon", epsilon=0.0))]
    assert not [name for name in none if "epsilon" in name]


def summed(batch: Batch, given: Floats, predictions: Floats) -> WayFold:
    fold = WayFold()
    fold.add(batch, given, predictions)
    return fold


def test_what_a_way_buys_is_the_effective_sample_size_by_its_expectation() -> None:
    batch = a_batch(40, arms=3, placements=1)
    given = a_target(batch)
    fold = summed(batch, given, np.zeros(len(given)))

    by_row = given.reshape(40, 3)
    assert fold.even == pytest.approx(1.0 / np.mean((1.0 / 9.0 / by_row).sum(axis=1)))
    names = [batch.names.arms[arm] for arm in batch.arms[:3]]
    singles = {one.variant: one for one in fold.singles()}
    for at, name in enumerate(names):
        one = singles[f"p0 {name}"]
        assert one.rows == 40
        assert one.share == pytest.approx(1.0 / np.mean(1.0 / by_row[:, at]))
        assert one.effective == pytest.approx(40 * one.share)


def test_a_log_drawn_by_a_way_has_the_effective_sample_size_that_was_promised() -> None:
    """Kish's, of weights that are really drawn, against the expectation."""
    rng = np.random.default_rng(1)
    batch = a_batch(50_000, arms=3, placements=1)
    given = a_target(batch, skew=4.0)
    fold = summed(batch, given, np.zeros(len(given)))

    by_row = given.reshape(-1, 3)
    drawn = (rng.random((50_000, 1)) > by_row.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    weights = 1.0 / 3.0 / by_row[np.arange(50_000), drawn]
    kish = weights.sum() ** 2 / (weights**2).sum() / 50_000
    assert fold.even == pytest.approx(kish, rel=0.03)


def test_uniform_exploration_lets_every_row_count_and_a_variant_that_is_never_shown_none() -> None:
    batch = a_batch(30, arms=3, placements=1)

    even = summed(batch, np.full(90, 1.0 / 3.0), np.zeros(90))
    never = summed(batch, np.tile([0.5, 0.5, 0.0], 30), np.zeros(90))

    assert even.even == pytest.approx(1.0)
    assert [one.share for one in even.singles()] == pytest.approx([1.0 / 3.0] * 3)
    assert never.even < 1e-12
    assert min(one.share for one in never.singles()) < 1e-12


def option(found: Advice, name: str) -> Option:
    return next(one for one in found.options if one.name == name)


def test_more_exploration_costs_more_and_buys_more(path: Path) -> None:
    found = advice(path)

    for group in ("floor", "holdout"):
        ways = [one for one in found.options if one.group == group]
        assert [one.modelled for one in ways] == sorted((o.modelled for o in ways), reverse=True)
        assert [one.even for one in ways] == sorted(one.even for one in ways)
        assert [one.single for one in ways] == sorted(one.single for one in ways)
    most = option(found, "floor 0.2, no holdout")
    assert most.earns.intervals[0].high < 0.0
    assert most.earns.n == found.rows
    bare = option(found, "no floor, no holdout")
    assert (bare.earns.value, bare.modelled) == (0.0, 0.0)


def test_the_model_and_the_measurement_of_a_holdout_are_its_share_of_the_loss(path: Path) -> None:
    """A holdout of h costs h times the difference to showing all alike, exactly, in each row."""
    found = advice(path)

    one, ten = (option(found, f"holdout {h}, no floor") for h in ("0.01", "0.1"))

    assert ten.modelled == pytest.approx(10.0 * one.modelled, rel=1e-9)
    assert one.earns.value is not None
    assert ten.earns.value == pytest.approx(10.0 * one.earns.value, rel=1e-9)


def test_the_cheapest_way_that_is_enough_is_recommended_with_its_reasons(path: Path) -> None:
    found = advice(path)

    assert found.recommended is not None
    best = option(found, found.recommended)
    assert best.group != "greed"
    assert best.variant_rows >= 100.0
    for other in found.options:
        if other.group != "greed" and other.modelled > best.modelled:
            assert other.variant_rows < 100.0 or other.even * found.rows < 100.0
    said = " ".join(found.words)
    assert f"Recommended: {best.name}" in said
    assert "1 row in" in said
    assert "by the reward model" in said
    assert "Less is not enough" in said
    assert "As it is set now" in said


def test_where_what_is_set_explores_enough_at_no_cost_no_change_is_recommended(path: Path) -> None:
    timid = Point("timid", settings(gamma=0.1, holdout=0.0))

    found = advice(path, timid)

    assert found.recommended == "no floor, no holdout"
    assert "Less is not enough" not in " ".join(found.words)


def test_a_log_too_short_for_any_way_gets_no_recommendation(tmp_path: Path) -> None:
    found = advice(a_log(tmp_path, visits=150))

    assert found.recommended is None
    assert found.words[0].startswith("No way to explore is enough in a log of 150 rows")


def test_a_log_that_cannot_tell_the_cost_says_so() -> None:
    """All candidates earn alike, so nothing that shows others costs anything."""
    batch = a_batch(3_000, arms=3, placements=1, seed=5)
    batch = changed(batch, reward=(np.random.default_rng(2).random(3_000) < 0.2) * 1.0)
    ways = ways_of(PolicySettings())[:2]
    targets = a_target(batch, seed=1), a_target(batch, seed=2)
    folds = [summed(batch, given, np.full(len(given), 0.2)) for given in targets]

    rules = Rules(reward_range=(0.0, 1.0), settings=EstimatorSettings())
    found = advice_of("p", ways, folds, rules)

    assert any("cannot tell what a floor or a holdout costs" in said for said in found.words)


@pytest.mark.parametrize("exploration", ["thompson", "squarecb", "softmax", "epsilon"])
def test_ways_learn_alike(exploration: Exploration) -> None:
    policy = PolicySettings(exploration=exploration, learning_rate=0.3, memory=500.0, bits=12)
    varied = set()

    for way in ways_of(policy):
        greed = {GREED[exploration]: getattr(policy, GREED[exploration])}
        kept = msgspec.structs.replace(
            way.policy, floor=policy.floor, holdout=policy.holdout, **greed
        )
        assert kept == policy
        varied.add(getattr(way.policy, GREED[exploration]))
    assert len(varied) == 3
