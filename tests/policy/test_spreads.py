"""The partial likelihood finds how much variants differ, whoever chose what was shown."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from bandit_service.catalog.model import Variant
from bandit_service.policy.best import Floats
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.pooled import PooledModel
from bandit_service.policy.settings import PolicySettings
from bandit_service.policy.spreads import LADDERS, Spreads, are_told, likelihoods

PERSONAS, VARIANTS, PLACEMENTS = 3, 3, 2
COUNT = sum(map(len, LADDERS.values()))


def own_after(spread: float, *, adaptive: bool, seed: int, outcomes: int = 10_000) -> float:
    """What a model thinks personas' tastes differ by, where they differ by ``spread``.

    Shown is every variant alike, or what the model itself would have shown, with a floor.
    """
    rng = random.Random(seed)
    model = PooledModel(PolicySettings(typical_reward=0.3, bits=10, cross=("persona",)))
    who = [shared_line(f"z{z}", {}, {}) for z in range(PERSONAS)]
    lines = [
        [action_line(f"p{p}", (), Variant(id=f"v{a}", version=1)) for a in range(VARIANTS)]
        for p in range(PLACEMENTS)
    ]
    shown: dict[tuple[int, int], list[float]] = {}
    for step in range(outcomes):
        p, z = rng.randrange(PLACEMENTS), rng.randrange(PERSONAS)
        if adaptive and step % 100 == 0:
            shown = {
                (p, z): [
                    0.7 * wanted + 0.3 / VARIANTS
                    for wanted in model.predict(who[z], lines[p]).probabilities
                ]
                for p in range(PLACEMENTS)
                for z in range(PERSONAS)
            }
        told = shown.get((p, z), [1.0 / VARIANTS] * VARIANTS)
        chosen = rng.choices(range(VARIANTS), told)[0]
        # Each persona likes one variant, and another on the next placement.
        taste = spread * (1.5 if (z + p) % VARIANTS == chosen else -0.5)
        rate = 0.3 * ((0.8, 1.2, 1.0)[chosen] + taste)
        model.show(who[z], lines[p], chosen)
        model.learn(Lesson(who[z], lines[p], chosen, float(rng.random() < rate), told))
    found = model._spreads.in_use().own
    model.close()
    return found


@pytest.mark.parametrize("adaptive", [False, True], ids=["uniform", "its own choices"])
def test_personas_that_differ_are_found_and_those_that_do_not_are_not(adaptive: bool) -> None:
    alike, differing = (
        np.mean([own_after(spread, adaptive=adaptive, seed=seed) for seed in (1, 2, 3)])
        for spread in (0.0, 0.5)
    )

    assert alike < 0.22
    assert differing > 0.35


def rungs(values: list[float]) -> Floats:
    """Effects of five variants at each of these strengths."""
    effects = np.array([-0.9, -0.4, 0.0, 0.3, 1.2])
    found: Floats = 1.0 + np.array(values)[:, None] * effects
    return found


@pytest.mark.parametrize("truth", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("follows", ["nobody", "the truth", "a wrong belief"])
def test_whatever_was_shown_most_the_true_strength_is_the_likeliest(
    truth: float, follows: str
) -> None:
    values = [0.0, 0.25, 0.5, 0.75, 1.0]
    expected, rng = rungs(values), np.random.default_rng(2)
    theta = rungs([truth])[0]
    lean = {"nobody": np.ones(5), "the truth": theta**3, "a wrong belief": np.arange(5) + 0.2}
    total = np.zeros(len(values))
    for step in range(15):  # what is shown most changes from week to week
        shown = lean[follows] * (1.0 + step % 3 * (np.arange(5) == step % 5))
        shown /= shown.sum()
        rewarded = rng.binomial(rng.multinomial(5_000, shown), 0.2 * theta)
        for chosen, times in enumerate(rewarded.tolist()):
            total += times * np.array(likelihoods(shown.tolist(), expected, chosen))

    assert values[int(total.argmax())] == truth


def test_the_likelihood_is_that_of_the_rewarded_one_among_all() -> None:
    found = likelihoods([0.5, 0.3, 0.2], np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 4.0]]), 2)

    assert found == pytest.approx([math.log(0.2), math.log(0.8 / 2.1)])


def test_how_much_a_placement_earns_does_not_matter() -> None:
    theta = np.array([[1.5, 0.7, 1.1]])

    once, tenfold = (likelihoods([0.5, 0.3, 0.2], by * theta, 1) for by in (1.0, 10.0))

    assert tenfold == pytest.approx(once)


def test_evidence_moves_each_ladder_by_itself() -> None:
    spreads = Spreads()
    before = spreads.in_use()
    told = [0.0] * COUNT
    told[len(LADDERS["arms"]) + 4] = 5.0  # the largest of ``own``

    spreads.score(told, 1.0)

    after = spreads.in_use()
    assert after.own > before.own
    assert after.own < LADDERS["own"][-1]
    assert (after.arms, after.prior, after.context) == (before.arms, before.prior, before.context)


def test_a_small_reward_says_less_than_a_typical_one() -> None:
    told = [0.0] * COUNT
    told[len(LADDERS["arms"]) + 4] = 1.0
    whole, part, none = Spreads(), Spreads(), Spreads()

    whole.score(told, 1.0)
    part.score(told, 0.3)

    assert whole.in_use().own > part.in_use().own > none.in_use().own


def test_old_evidence_fades() -> None:
    spreads, lost = Spreads(), [0.0] * COUNT
    told = [0.0] * COUNT
    told[len(LADDERS["arms"])] = -1_000.0
    spreads.score(told, 1.0)

    for _ in range(20_000):
        spreads.score(lost, 1.0)

    assert spreads.evidence["own"][0] == pytest.approx(-1_000.0 * math.exp(-1.0), rel=0.01)


def test_every_value_is_scored_with_the_others_as_they_are_in_use() -> None:
    spreads = Spreads()
    used = spreads.in_use()

    found = spreads.rungs(used)

    assert found.arms[: len(LADDERS["arms"])].tolist() == [*LADDERS["arms"]]
    assert set(found.arms[len(LADDERS["arms"]) :].tolist()) == {used.arms}
    assert found.context[-len(LADDERS["context"]) :].tolist() == [*LADDERS["context"]]
    assert set(found.context[: -len(LADDERS["context"])].tolist()) == {used.context}


@pytest.mark.parametrize(
    ("probabilities", "usable"),
    [
        ([0.5, 0.5], True),
        ([0.0, 1.0], True),
        ([1.0, 0.0], False),
        (None, False),
        ([1.0], False),
        ([math.nan, 0.5], False),
        ([0.5, math.inf], False),
    ],
)
def test_only_propensities_of_all_candidates_are_learned_from(
    probabilities: list[float] | None, usable: bool
) -> None:
    assert are_told(probabilities, 2, 1) is usable
