from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest

from bandit_service.datasets import Behaviour, Campaign, load_obd
from bandit_service.evaluation.batch import Batch, Floats, Vocabulary
from bandit_service.evaluation.results import RatioTest
from bandit_service.evaluation.verification import sample_ratio
from bandit_service.evaluation.verification.ratio_cells import STATISTICS, inverses
from bandit_service.evaluation.verification.sample_ratio import P_VALUE, SampleRatio
from tests.evaluation.batches import a_batch, changed, cut, without_distributions
from tests.evaluation.ratio_logs import as_logged, drawn_log, scored, softmax, the_best


def judged(*batches: Batch) -> list[RatioTest]:
    fold = SampleRatio()
    for batch in batches:
        fold.add(batch)
    return fold.get()


def overall(*batches: Batch) -> float:
    return judged(*batches)[0].p_value


def learning_log(n: int, seed: int) -> Batch:
    """A log whose probabilities depend on what was drawn before: the draws are no sample."""
    rng = np.random.default_rng([seed, 3])
    totals, p = np.ones(3), np.empty((n, 3))
    chosen = np.empty(n, np.int64)
    for i in range(n):
        p[i] = 0.05 / 3 + 0.95 * totals / totals.sum()
        chosen[i] = as_logged(rng, p[i : i + 1])[0]
        totals[chosen[i]] += 1.0
    return drawn_log(p, lambda _, __: chosen, seed=seed)


# -- no false alarms


def fair_logs() -> Iterator[Batch]:
    for seed in range(300):
        yield a_batch(400, seed=seed, fewest=1, distributions=seed % 2 == 0)
    for seed in range(250):
        yield drawn_log(scored(300, arms=12, seed=seed), seed=seed)
    for seed in range(50):
        yield learning_log(200, seed)


def test_of_600_logs_that_were_drawn_as_they_say_none_is_blamed() -> None:
    values = [overall(batch) for batch in fair_logs()]

    # at most a share p of fair logs may have a p-value below p; with slack of 4 deviations
    assert len(values) == 600
    assert min(values) > P_VALUE
    for level in (0.5, 0.1, 0.02):
        allowed = level + 4 * math.sqrt(level * (1 - level) / len(values))
        assert np.mean([value < level for value in values]) < allowed


def test_rare_arms_and_tiny_propensities_are_no_reason_for_blame() -> None:
    # given probabilities down to 1e-7, some of which are drawn
    for seed in range(30):
        scores = np.random.default_rng(seed).normal(0.0, 4.0, (3000, 40))
        batch = drawn_log(softmax(scores), seed=seed)

        assert overall(batch) > 0.01
        assert overall(without_distributions(batch)) > 0.01


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
@pytest.mark.parametrize("behaviour", ["bts", "random"])
def test_the_real_logs_of_the_open_bandit_dataset_are_not_blamed(
    campaign: Campaign, behaviour: Behaviour, real_cache: Path | None
) -> None:
    log = load_obd(campaign, behaviour, real_cache)
    k, n = len(log.items), len(log.impressions)
    at = {item.id: index for index, item in enumerate(log.items)}
    chosen = np.array([at[shown.item] for shown in log.impressions])
    p = np.array([shown.propensity for shown in log.impressions])
    batch = drawn_log(
        np.repeat(p[:, None], k, axis=1),
        lambda _, __: chosen,
        placements=np.array([shown.position - 1 for shown in log.impressions]),
        distributions=behaviour == "random",
    )

    tests = judged(batch)

    assert [test.n for test in tests] == [n, *(test.n for test in tests[1:])]
    assert len(tests) == 4
    assert tests[0].p_value > 0.05


# -- power


@pytest.mark.parametrize("arms", [2, 4, 10])
def test_a_server_that_logs_a_softmax_and_shows_the_best_is_found_in_2000_rows(arms: int) -> None:
    p = scored(2000, arms=arms)

    assert overall(drawn_log(p, the_best)) < P_VALUE
    assert overall(drawn_log(p, as_logged)) > 0.05


@pytest.mark.parametrize("arms", [2, 4, 10])
def test_such_a_server_is_found_without_distributions_where_contexts_are_few(arms: int) -> None:
    p = scored(2000, arms=arms, contexts=1)

    assert overall(drawn_log(p, the_best, distributions=False)) < P_VALUE
    assert overall(drawn_log(p, as_logged, distributions=False)) > 0.05


def test_a_bias_of_two_points_in_a_fair_coin_is_found_in_50000_rows() -> None:
    fair, bias = np.full((50_000, 2), 0.5), np.array([0.02, -0.02])
    found = [
        judged(drawn_log(fair, lambda rng, p: as_logged(rng, p + bias), seed=seed))[0]
        for seed in range(5)
    ]

    assert max(test.p_value for test in found) < P_VALUE
    assert "arm h" in found[0].worst or "most probable" in found[0].worst


def thirds(n: int) -> Floats:
    return np.full((n, 3), 1 / 3)


@pytest.mark.parametrize("kept", [0.75, 1.35])
def test_rows_of_one_arm_that_are_dropped_or_doubled_are_found_in_10000_rows(kept: float) -> None:
    batch = drawn_log(thirds(10_000))
    lucky = np.random.default_rng(2).uniform(size=len(batch))
    times = np.where(batch.chosen == 1, np.floor(kept + lucky), 1).astype(np.int64)

    tests = judged(batch.take(np.repeat(np.arange(len(batch)), times)))

    assert tests[0].p_value < P_VALUE
    assert tests[1].worst.startswith("arm h1@1 of film0")
    assert f"seen {int(times[batch.chosen == 1].sum()):,}" in tests[1].worst


@pytest.mark.parametrize("kept", [0.5, 1.5])
def test_dropped_and_doubled_rows_are_found_without_distributions(kept: float) -> None:
    batch = without_distributions(drawn_log(thirds(10_000)))
    lucky = np.random.default_rng(2).uniform(size=len(batch))
    times = np.where(batch.chosen == 1, np.floor(kept + lucky), 1).astype(np.int64)

    tests = judged(batch.take(np.repeat(np.arange(len(batch)), times)))

    assert overall(batch) > 0.05
    assert tests[0].p_value < P_VALUE
    assert "sum of 1 / probability expected" in tests[1].worst


def test_what_is_right_on_the_whole_and_wrong_for_each_persona_is_found() -> None:
    # given a draw that favours one arm for one persona, and as much the other for the other
    persona = np.arange(8_000, dtype=np.int64) % 2
    tilt = np.where(persona[:, None] == 0, [0.08, -0.08], [-0.08, 0.08])

    log = drawn_log(
        np.full((8_000, 2), 0.5), lambda rng, p: as_logged(rng, p + tilt), personas=persona
    )

    assert judged(log)[0].p_value < P_VALUE
    assert " for persona" in judged(log)[1].worst


def test_rare_candidates_that_are_shown_too_often_are_found_without_distributions() -> None:
    p = np.tile([0.9, 0.025, 0.025, 0.025, 0.025], (5_000, 1))
    draw = np.tile([0.6, 0.1, 0.1, 0.1, 0.1], (5_000, 1))

    tests = judged(drawn_log(p, lambda rng, _: as_logged(rng, draw), distributions=False))

    assert tests[0].p_value < P_VALUE
    assert "1 / (probability * candidates)" in tests[0].worst


def test_what_is_too_little_to_show_in_one_of_many_placements_shows_in_all() -> None:
    n, places = 6_000, 300
    p = scored(n, contexts=1000)
    mostly = np.random.default_rng(1).uniform(size=n) < 0.35
    placements = np.arange(n, dtype=np.int64) % places

    tests = judged(
        drawn_log(
            p,
            lambda rng, p: np.where(mostly, the_best(rng, p), as_logged(rng, p)),
            placements=placements,
        )
    )

    assert tests[0].p_value < P_VALUE < tests[1].p_value * places
    assert tests[0].worst.startswith("the most probable candidate of all placements")
    assert len(tests) == 1 + sample_ratio.MAX_TESTS


# -- the fold


@pytest.mark.parametrize("distributions", [True, False])
def test_parts_add_up_to_the_whole_to_the_bit_in_any_order(distributions: bool) -> None:
    batch = a_batch(3000, fewest=1, distributions=distributions)
    whole = judged(batch)

    for at in ([1], [100, 101, 2000], list(range(500, 3000, 500))):
        folds = []
        for part in cut(batch, at=at):
            fold = SampleRatio()
            fold.add(part)
            folds.append(fold)
        assert judged(*cut(batch, at=at)) == whole
        assert reduce(add, folds).get() == whole
        assert reduce(add, reversed(folds)).get() == whole


def test_parts_that_were_read_with_vocabularies_of_their_own_add_up_by_name() -> None:
    one, two = a_batch(900, seed=1), a_batch(900, seed=2)
    renamed = Vocabulary()
    renamed.arms.codes(reversed(two.names.arms.texts))
    codes = renamed.arms.codes(two.names.arms.texts)
    renamed.placements.codes(two.names.placements.texts)
    renamed.personas.codes(two.names.personas.texts)

    a, b, c = SampleRatio(), SampleRatio(), SampleRatio()
    a.add(one)
    b.add(two)
    c.add(changed(two, names=renamed, arms=codes[two.arms]))

    assert (a + b).get() == (a + c).get()


def test_a_choice_among_one_is_none_and_nothing_drawn_is_nothing_tested() -> None:
    assert judged() == []
    assert judged(a_batch(50, arms=1)) == []
    assert judged(a_batch(0)) == []


def test_worst_says_what_was_expected_and_what_was_seen() -> None:
    batch = drawn_log(thirds(3_000), lambda _, p: np.zeros(len(p), np.int64))

    assert judged(batch)[1].worst == "arm h0@1 of film0: expected 1,000.0, seen 3,000"


def test_memory_is_bounded_and_what_is_counted_together_is_still_fair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample_ratio, "MAX_CELLS", 5)
    fold = SampleRatio()
    fold.add(a_batch(2000, arms=6))

    assert len(fold._cells) <= 5 + 2  # and one for the others of each placement
    assert fold.get()[0].p_value > 0.05


@pytest.mark.parametrize("distributions", [True, False])
def test_placements_beyond_the_bound_are_counted_together_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, distributions: bool
) -> None:
    monkeypatch.setattr(sample_ratio, "MAX_PLACEMENTS", 3)
    placements = np.arange(4_000, dtype=np.int64) % 10
    fair = drawn_log(scored(4_000), placements=placements, distributions=distributions)
    p = scored(4_000, contexts=1)
    broken = drawn_log(p, the_best, placements=placements, distributions=distributions)

    tests = judged(*cut(fair, at=[1500]))

    assert {test.name for test in tests} == {"all", "film0", "film1", "film2", "*"}
    assert sum(test.n for test in tests[1:]) == tests[0].n == 4_000
    assert tests[0].p_value > 0.05
    assert overall(broken) < P_VALUE


# -- the statistics


@pytest.mark.parametrize("k", [2, 3, 5, 20])
def test_no_distribution_gives_the_statistics_of_inverses_a_mean_above_one(k: int) -> None:
    rng = np.random.default_rng(k)
    for spread in (0.1, 1.0, 3.0, 10.0):
        for _ in range(50):
            p = softmax(rng.normal(0.0, spread, (1, k)))[0]
            every = inverses(p, np.full(k, k, np.int64))

            means = p @ every

            assert every.shape == (k, STATISTICS)
            assert np.all(means <= 1.0 + 1e-12)
            assert every.max() <= 8.0


def test_the_statistics_of_inverses_reach_one_where_they_should() -> None:
    p, counts = np.array([0.7, 0.3]), np.full(2, 2, np.int64)

    assert p @ inverses(p, counts)[:, 0] == pytest.approx(1.0)  # one candidate above a half
    assert p @ inverses(p, counts)[:, -1] == pytest.approx(1.0)  # both, on average
