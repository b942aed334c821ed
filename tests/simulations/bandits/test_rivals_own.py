"""Thompson sampling, test-then-rollout and Vowpal Wabbit: what is particular to each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta as beta_distribution

from simulations.bandits.base import Arm, Batch, Floats, Spot
from simulations.bandits.rivals import beta, vowpal
from simulations.bandits.rivals.beta import START, Prior, Thompson, estimated
from simulations.bandits.rivals.counts import Counted, Counts
from simulations.bandits.rivals.rollout import Rollout
from simulations.bandits.rivals.vowpal import TUNED, Vowpal
from tests.simulations.bandits.small_world import ROWS, SmallWorld, a_spot, of, play

ALL = np.arange(ROWS)


@pytest.fixture
def batch() -> Batch:
    return next(SmallWorld({"film": ("x", "z")}).batches())


# ------------------------------------------------------------------------------------ Thompson


def test_a_prior_is_found_again_from_what_it_made() -> None:
    # given 3,000 variants of a known distribution, shown unequally often
    random = np.random.default_rng(2)
    prior = Prior(mean=0.02, clicks=4.0)
    rates = random.beta(prior.clicks, prior.misses, 3000)
    shown = random.integers(200, 5000, 3000)
    clicks = random.binomial(shown, rates).astype(float)
    # when
    found = estimated(Counted(clicks[None], (shown - clicks)[None]))
    # then: clicks' own noise alone is near 3 %
    assert found.mean == pytest.approx(prior.mean, rel=0.04)
    assert found.clicks == pytest.approx(prior.clicks, rel=0.15)


def test_without_a_past_the_prior_is_the_one_to_start_with() -> None:
    found = estimated(Counts().everywhere())
    assert found == pytest.approx(START)


def test_with_a_short_past_the_prior_has_its_mean() -> None:
    found = estimated(Counted(np.full((1, 5), 100.0), np.full((1, 5), 900.0)))
    assert 0.09 < found.mean < 0.1
    assert found.clicks == START.clicks


@pytest.mark.parametrize(
    "clicks", [np.full(100, 10.0), np.repeat([0.0, 1000.0], 50), np.full(100, 1000.0)]
)
def test_a_prior_is_neither_certain_nor_without_weight(clicks: Floats) -> None:
    found = estimated(Counted(clicks[None], (1000 - clicks)[None]))
    assert 1.0 <= found.clicks <= 1000.0
    assert found.misses > 0.0


def test_choices_have_the_probability_that_a_variant_is_best() -> None:
    # given two variants whose beliefs are Beta(4, 8) and Beta(7, 5)
    def believed(*_: object) -> tuple[Floats, Floats]:
        return np.array([[4.0, 7.0]]), np.array([[8.0, 5.0]])

    player = Thompson(believed, personas=1, sharpness=1.0, seed=3)
    # when
    world = SmallWorld({"film": "a"}, batches=1000, arms=lambda _: "ab")
    chosen = np.concatenate([player.choose(batch) for batch in world.batches()])
    # then, by numbers, the chance that the second is larger
    x = np.linspace(0, 1, 20_001)
    larger = np.trapezoid(beta_distribution(7, 5).pdf(x) * beta_distribution(4, 8).cdf(x), x)
    assert chosen.mean() == pytest.approx(larger, abs=5 * 0.5 / len(chosen) ** 0.5)


def test_a_sharp_belief_is_greedier() -> None:
    def best_of(sharpness: float) -> float:
        player = Thompson(beta.flat, personas=1, sharpness=sharpness, seed=3)
        batches = [*SmallWorld({"film": "x"}, batches=50).batches()]
        player.learn(batches[0], ALL, ALL % 5, (ALL == 2).astype(float))
        return float(np.mean([player.choose(batch) == 2 for batch in batches]))

    # standard errors are near 0.01
    assert best_of(16.0) > best_of(4.0) + 0.05 > best_of(1.0) + 0.1


def test_what_one_persona_clicks_moves_the_other_in_the_hierarchy_alone(batch: Batch) -> None:
    # given that persona 0 alone saw and clicked variant x
    counts = Counts(personas=2)
    mine = np.flatnonzero(batch.persona == 0)
    counts.add(batch, mine, np.full(len(mine), 2), np.ones(len(mine)))

    def rates(belief: beta.Belief) -> Floats:
        a, b = belief(counts, batch.spot)
        return a / (a + b)

    # then
    apart, pooled = rates(beta.flat), rates(beta.hierarchical)
    assert np.all(apart[1] == 0.5)
    assert pooled[1, 2] > 2 * pooled[1, 0]
    assert pooled[0, 2] > pooled[1, 2]


def test_a_centred_prior_stands_at_the_placement_s_mean(batch: Batch) -> None:
    counts = Counts()
    for _ in range(50):
        counts.add(batch, ALL, ALL % 5, (ALL % 10 == 0).astype(float))
    a, b = beta.centred(counts, batch.spot)
    clicks, misses = counts.of(batch.spot)
    own = (a - clicks) / (a - clicks + b - misses)
    assert own == pytest.approx(np.full((1, 5), 0.1), rel=0.1)


# ------------------------------------------------------------------------------------- rollout


def test_the_first_half_is_uniform_and_the_second_is_the_winner() -> None:
    # given
    length = 20 * ROWS + 10
    world = SmallWorld({"film": "x", "series": "z"}, batches=25)
    # when
    played = play(world, lambda _, __: Rollout(length=length))
    # then
    for placement, winner in (("film", 2), ("series", 4)):
        chosen = np.concatenate([p.chosen for p in of(played, placement)])
        test, rolled_out = chosen[: length // 2], chosen[length // 2 :]
        assert np.all(np.bincount(test, minlength=5) > 40)  # 81 expected, deviation 8
        assert np.all(rolled_out == winner)


def test_a_change_of_variants_starts_a_new_test() -> None:
    world = SmallWorld({"film": "z"}, batches=45, arms=lambda n: "vwx" if n < 15 else "wxyz")
    played = play(world, lambda _, __: Rollout(length=20 * ROWS))
    shown = [set(p.chosen.tolist()) for p in played]
    assert all(len(several) == 1 for several in shown[10:15] + shown[25:])
    assert all(len(several) > 2 for several in shown[:10] + shown[15:25])
    assert shown[-1] == {3}


# -------------------------------------------------------------------------------------- Vowpal


def test_text_of_a_world_adds_no_syntax_to_vowpal_wabbit() -> None:
    # given
    spot = Spot("a b|c:d", (Arm("x\ny", "It's 5:15 |g  It\n", tags=("t|u v",)),), tags=("w:1",))
    # then
    found = [*vowpal.tags(spot, spot.arms[0]), *vowpal.words(spot, spot.arms[0])]
    assert found[:2] == ["tag=t%7Cu%20v", "content=w%3A1"]
    assert not any(set(feature) & set("|: \n") for feature in found)
    assert [word for word in found if word.startswith("word=")] == [
        "word=it", "word=s", "word=5", "word=15", "word=g",
    ]  # fmt: skip


def test_words_carry_over_to_a_placement_that_nobody_saw() -> None:
    # given two placements with the same headlines, of which one was seen
    world = SmallWorld({"film": "x"})

    def greedy(describe: vowpal.Describe) -> float:
        player = Vowpal(
            world, 1, explore="--squarecb --gamma_scale 200 --gamma_exponent 0 -l 0.05 --power_t 0",
            describe=describe, typical=0.2, weighted=False,
        )  # fmt: skip
        for batch in world.batches():
            player.learn(batch, ALL, ALL % 5, batch.rewards(ALL % 5))
        player.refresh()
        arms = tuple(Arm(f"new {arm.id}", arm.headline) for arm in a_spot().arms)
        new = Spot("new", arms)
        share = np.mean([player.choose(b._replace(spot=new)) == 2 for b in world.batches()])
        player.close()
        return float(share)

    # then
    assert greedy(vowpal.words) > 0.5
    assert greedy(lambda *_: ()) < 0.3


def test_the_order_of_variants_teaches_the_tuned_one_nothing() -> None:
    # given the same outcomes, with variants listed forwards and backwards
    world = SmallWorld({"film": "x"}, batches=30)

    def probabilities(order: slice) -> list[float]:
        player = Vowpal(world, 1, explore=TUNED, typical=0.013, weighted=False)
        for batch in world.batches():
            spot = batch.spot._replace(arms=batch.spot.arms[order])
            ids = [arm.id for arm in spot.arms]
            chosen = np.array([ids.index("vwxyz"[n % 5]) for n in ALL])
            player.learn(batch._replace(spot=spot), ALL, chosen, batch.luck.round())
        found = player._predict(spot, (0, batch.context[0]))
        player.close()
        return found[order]

    # then
    assert probabilities(slice(None)) == probabilities(slice(None, None, -1))


def test_labels_say_the_probability_of_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    said: list[list[str]] = []
    world = SmallWorld({"film": "x"}, batches=3)
    player = Vowpal(world, 1, explore="--epsilon 0.5")
    vw = player._vw
    monkeypatch.setattr(vw, "learn", said.append)
    # when
    for batch in world.batches():
        expected = player._predict(batch.spot, (0, batch.context[0]))
        chosen = player.choose(batch)
        player.learn(batch, ALL, chosen, np.ones(ROWS))
        # then
        for arm, lines in zip(chosen, said, strict=True):
            labelled = [line for line in lines if line.startswith("0:")]
            assert labelled == [lines[arm + 1]]
            cost, probability = labelled[0].split(" ")[0].split(":")[1:]
            assert float(cost) == -1.0
            assert float(probability) == pytest.approx(expected[arm], rel=1e-6)
        said.clear()
    monkeypatch.undo()
    player.close()
