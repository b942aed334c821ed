import math
from collections.abc import Callable

import numpy as np
import pytest
from estimators.bandits import ips as vw_ips
from estimators.bandits import snips as vw_snips
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.errors import SettingsError
from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import (
    Row,
    a_batch,
    a_target,
    batch_of,
    changed,
    without_distributions,
)

NAMES = ["ips", "snips", "clipped-ips", "dm", "dr", "switch-dr", "dr-os", "replay"]


def terms_for(batch: Batch, target: Floats, predictions: Floats | float = 0.0) -> Terms:
    return terms_of(batch, target, np.broadcast_to(predictions, target.shape))


def estimated(name: str, terms: Terms, settings: EstimatorSettings | None = None) -> Ratio:
    fold = EstimateFold(estimators(settings or EstimatorSettings())[name])
    fold.add(terms)
    return fold.get()


def plain_mean(batch: Batch) -> float:
    return math.fsum(batch.reward) / len(batch)


def test_the_estimators_are_these_in_this_order_each_with_words_and_a_source() -> None:
    every = estimators(EstimatorSettings())

    assert [*every] == NAMES
    assert all(each.name == name for name, each in every.items())
    assert all(len(each.words) > 40 and each.words.endswith(".") for each in every.values())
    assert all(any(c.isdigit() for c in each.source) for each in every.values())
    assert [name for name, each in every.items() if not each.mean] == ["snips", "replay"]
    assert [name for name, each in every.items() if each.distributions] == ["replay"]


def test_pairs_of_a_row_are_those_of_their_formulas() -> None:
    settings = EstimatorSettings(clip=2.0, switch=2.0, shrinkage=4.0)
    batch = batch_of([Row({"a": 0.1, "b": 0.9}, "a", 2.0), Row({"a": 0.5, "b": 0.5}, "b", 1.0)])
    terms = terms_of(batch, np.array([0.4, 0.6, 0.0, 1.0]), np.array([0.5, 0.25, 0.5, 0.75]))
    expected, error = [0.4 * 0.5 + 0.6 * 0.25, 0.75], [1.5, 0.25]
    ones = [1.0, 1.0]
    bounds = [4.0, 2.0]  # both rows have the largest weight that they could, and are accepted
    wanted = {
        "ips": ([8.0, 2.0], ones, [4.0, 2.0]),
        "snips": ([8.0, 2.0], [4.0, 2.0], [4.0, 2.0]),
        "clipped-ips": ([4.0, 2.0], ones, [2.0, 2.0]),
        "dm": (expected, ones, ones),
        "dr": ([expected[0] + 4 * error[0], expected[1] + 2 * error[1]], ones, [4.0, 2.0]),
        "switch-dr": ([expected[0], expected[1] + 2 * error[1]], ones, [0.0, 2.0]),
        "dr-os": ([expected[0] + 0.8 * error[0], expected[1] + error[1]], ones, [0.8, 1.0]),
        "replay": ([8.0, 2.0], bounds, bounds),
    }

    for name, estimator in estimators(settings).items():
        num, den = estimator.pairs(terms)
        found = (num.tolist(), den.tolist(), estimator.weights(terms).tolist())
        assert found == tuple(pytest.approx(part) for part in wanted[name]), name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    for field in EstimatorSettings.__struct_fields__:
        with pytest.raises(SettingsError, match=field) as raised:
            estimators(EstimatorSettings(**{field: value}))
        assert raised.value.field == field


@pytest.mark.parametrize("click_rate", [0.1, None])
@pytest.mark.parametrize("name", ["ips", "snips", "clipped-ips", "dr", "replay"])
def test_the_logging_policy_on_its_own_log_earns_the_plain_mean_exactly(
    name: str, click_rate: float | None
) -> None:
    batch = a_batch(3_000, arms=6, fewest=1, click_rate=click_rate)

    found = estimated(name, terms_for(batch, batch.logged))

    assert found.value == plain_mean(batch)
    assert found.ess == len(batch)
    assert found.max_weight == 1.0


@pytest.mark.parametrize("name", ["dm", "dr", "switch-dr", "dr-os"])
def test_a_perfect_model_makes_every_model_based_estimate_exact(name: str) -> None:
    worth = np.array([0.0, 0.25, 0.5, 1.0] * 2)
    batch = a_batch(2_000)
    batch = changed(batch, reward=worth[batch.arms[batch.shown]])
    target = a_target(batch)

    found = estimated(name, terms_for(batch, target, worth[batch.arms]))

    truth = batch.row_sums(target * worth[batch.arms]).mean()
    assert found.value == pytest.approx(truth, rel=1e-12)
    assert found.sums.squares(found.value) == pytest.approx(
        np.var(batch.row_sums(target * worth[batch.arms])) * len(batch), rel=1e-6
    )


def test_without_a_model_doubly_robust_is_ips_and_switch_and_shrinkage_act_on_its_weights() -> None:
    batch = a_batch(2_000, arms=5, click_rate=None)
    terms = terms_for(batch, a_target(batch, skew=6.0))
    far = EstimatorSettings(clip=1e9, switch=1e9, shrinkage=1e300)

    ips = estimated("ips", terms).value

    assert estimated("dr", terms).value == ips
    assert estimated("clipped-ips", terms, far).value == ips
    assert estimated("switch-dr", terms, far).value == ips
    assert estimated("dr-os", terms, far).value == ips
    assert estimated("dr-os", terms, EstimatorSettings(shrinkage=1e-300)).value == pytest.approx(0)


def test_uniform_logs_of_one_menu_and_a_fixed_choice_give_the_replay_of_li_et_al() -> None:
    batch = a_batch(5_000, arms=5, uniform=True)
    best = (np.arange(len(batch.arms)) % 5 == 3).astype(np.float64)

    found = estimated("replay", terms_for(batch, best))

    kept = batch.reward[batch.chosen == 3]
    assert found.value == pytest.approx(kept.mean(), rel=1e-12)
    assert found.ess == pytest.approx(len(kept))


def test_replay_weighs_rows_by_their_bound_so_that_contexts_keep_their_share() -> None:
    """Half the rows have a target like the log and earn 0; in the others it is far, and earns 1.

    Counting accepted rows alike would say about 0.17; what the target earns is 0.5.
    """
    rng = np.random.default_rng(4)
    rows = [
        Row({"a": 0.5, "b": 0.5}, "ab"[int(rng.integers(2))], 0.0)
        if n % 2
        else Row({"c": 0.2, "d": 0.8}, "d" if rng.random() < 0.8 else "c", 1.0)
        for n in range(8_000)
    ]
    batch = batch_of(rows)
    terms = terms_for(batch, np.tile([1.0, 0.0, 0.5, 0.5], len(rows) // 2))

    accepted = terms.accepted
    assert terms.reward[accepted].mean() < 0.45
    assert estimated("replay", terms).value == pytest.approx(0.5, abs=0.05)


def test_replay_has_no_value_where_the_log_says_no_distributions() -> None:
    batch = without_distributions(a_batch(300))

    found = estimated("replay", terms_for(batch, a_target(batch)))

    assert np.isnan(found.value)
    assert found.ess == 0.0
    assert found.sums.n == 300


@given(
    st.lists(
        st.tuples(st.floats(1e-4, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1e3)),
        min_size=1,
        max_size=80,
    )
)
def test_ips_and_snips_agree_with_vw_estimators(rows: list[tuple[float, float, float]]) -> None:
    # rewards of one sign: theirs adds in floats, and what cancels out has no relative error
    ips, snips = vw_ips.Estimator(), vw_snips.Estimator()
    for p, pi, r in rows:
        ips.add_example(p, r, pi)
        snips.add_example(p, r, pi)
    batch = batch_of([Row({"a": p, "b": 1.0 - p}, "a", r) for p, _, r in rows])
    target = np.array([share for _, pi, _ in rows for share in (pi, 1.0 - pi)])
    terms = terms_for(batch, target)

    assert estimated("ips", terms).value == pytest.approx(ips.get(), rel=1e-12, abs=0)
    theirs = snips.get()
    if theirs is None:
        assert np.isnan(estimated("snips", terms).value)
    else:
        assert estimated("snips", terms).value == pytest.approx(theirs, rel=1e-12, abs=0)


def test_effective_sample_size_and_largest_weight_are_those_of_the_weights_used() -> None:
    batch = a_batch(500, arms=6)
    terms = terms_for(batch, a_target(batch, skew=5.0))

    for weights in (terms.weight, np.minimum(terms.weight, 1.5)):
        clip = EstimatorSettings(clip=float(weights.max()))
        found = estimated("clipped-ips", terms, clip)
        assert found.ess == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=1e-12)
        assert found.max_weight == weights.max()


def a_world(n: int, seed: int) -> tuple[Batch, Floats, Floats, float]:
    """Rows of a world whose truth is known: a log, a target, the mean rewards, what it earns."""
    batch = a_batch(n, seed=seed, arms=4, fewest=2, placements=2, personas=2)
    worth = np.random.default_rng(77).uniform(0.05, 0.6, (2, 8))
    means = worth[batch.persona[batch.rows], batch.arms]
    clicks = np.random.default_rng([seed, 5]).random(n) < means[batch.shown]
    batch = changed(batch, reward=clicks.astype(np.float64))
    target = a_target(batch, skew=3.0)
    return batch, target, means, float(batch.row_sums(target * means).mean())


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ips", np.zeros_like),
        ("snips", np.zeros_like),
        ("replay", np.zeros_like),
        ("dm", lambda means: means),
        ("dr", lambda means: means),
        ("dr", lambda means: 0.9 - means),
        ("switch-dr", lambda means: means),
        ("dr-os", lambda means: means),
    ],
)
def test_estimates_are_right_on_average_in_a_world_whose_truth_is_known(
    name: str, model: Callable[[Floats], Floats]
) -> None:
    """Of 40 logs the mean error is within 4.5 of its standard errors, a bias of SNIPS besides."""
    errors = []
    for seed in range(40):
        batch, target, means, truth = a_world(1_500, seed)
        found = estimated(name, terms_for(batch, target, model(means)))
        errors.append(found.value - truth)

    standard_error = np.std(errors, ddof=1) / np.sqrt(len(errors))
    assert abs(np.mean(errors)) < 4.5 * standard_error + 1e-3
    assert standard_error < 0.01
