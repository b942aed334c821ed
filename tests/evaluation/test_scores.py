"""Everything that is summed up of a target: identities that hold whatever the log."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.reward_model import RewardTable
from bandit_service.evaluation.scores import Scores
from bandit_service.evaluation.targets.logged import Logged
from tests.evaluation.batches import Row, a_batch, a_target, batch_of, cut, without_distributions

KINDS = estimators(EstimatorSettings())


def scored(parts: list[Batch], targets: list[Floats], model: Any) -> Scores:
    scores = Scores(KINDS)
    for part, target in zip(parts, targets, strict=True):
        scores.add(part, target, model.predict(part))
    return scores


def model_of(batch: Batch) -> Any:
    table = RewardTable()
    table.add(batch)
    return table.fit()


def test_a_log_evaluated_on_itself_weighs_every_row_1_and_gives_its_plain_mean() -> None:
    # given
    batch = a_batch(500, seed=1, arms=4)

    # when
    scores = scored([batch], [batch.logged], model_of(batch))

    # then
    for name in ("ips", "snips", "clipped-ips", "replay"):  # dr differs where its model does
        ratio = scores.estimates[name].get()
        assert ratio.value == pytest.approx(float(batch.reward.mean()), rel=1e-15)
        assert ratio.max_weight == 1.0
        assert ratio.ess == 500.0


@pytest.mark.parametrize("seed", range(5))
def test_parts_in_any_order_are_the_whole_to_the_byte(seed: int) -> None:
    # given
    whole = a_batch(600, seed=seed, arms=5, visitors=80)
    target = a_target(whole, seed=seed)
    model = model_of(whole)
    cuts = [0, 7, 100, 101, 450, 600]
    parts = cut(whole, at=cuts[1:-1])
    targets = np.split(target, whole.offsets[cuts[1:-1]])

    # when
    apart = [scored([part], [each], model) for part, each in zip(parts, targets, strict=True)]
    order = np.random.default_rng(seed).permutation(len(apart))
    merged = apart[order[0]]
    for index in order[1:]:
        merged = merged + apart[index]

    # then
    assert merged.encode() == scored([whole], [target], model).encode()


def test_the_gain_of_the_log_over_itself_is_nothing() -> None:
    # given
    batch = a_batch(400, seed=2, arms=3)

    class Nothing:
        def predict(self, rows: Batch) -> Floats:
            return np.zeros(len(rows.arms))

    # when
    gain = scored([batch], [batch.logged], Nothing()).gain.get()

    # then
    assert gain.value == 0.0
    assert gain.sums.num2 == 0.0


def test_parts_of_a_log_add_up_to_it() -> None:
    # given
    batch = a_batch(800, seed=3, arms=4, placements=5, personas=3)

    # when
    scores = scored([batch], [a_target(batch, seed=3)], model_of(batch))

    # then
    whole = scores.estimates["dr"].get().sums
    for fold in (scores.by_placement, scores.by_persona):
        sums = [ratio.sums for ratio in fold.get().values()]
        assert sum(part.n for part in sums) == whole.n
        assert sum(part.num for part in sums) == pytest.approx(whole.num, rel=1e-12)
    assert len(scores.by_placement.get()) == 5
    assert len(scores.by_persona.get()) == 3


def test_the_logs_own_policy_gains_nothing_whatever_the_model_expects() -> None:
    # given a log whose arms differ, with and without the probabilities of what was not shown
    whole = a_batch(2_000, seed=2, arms=3, click_rate=0.4)
    for batch in (whole, without_distributions(whole)):
        target = Logged("logged").probabilities(batch)

        # when
        scores = scored([batch], [target], model_of(batch))

        # then
        assert scores.gain.get().sums.num == pytest.approx(0.0, abs=1e-9)
        assert scores.gained().sums.num == 0.0
        assert not scores.gained().group_num.any()


def test_the_logs_own_policy_is_not_bent_by_candidates_of_unknown_probability() -> None:
    # given a log that mostly shows its best arm, and says the propensity alone
    draw = np.random.default_rng(1)
    rows = [
        Row({"a": 0.9, "b": 0.05, "c": 0.05}, arm, float(draw.random() < (arm == "a") * 0.5))
        for arm in draw.choice(["a", "b", "c"], 2_000, p=[0.9, 0.05, 0.05]).tolist()
    ]
    batch = without_distributions(batch_of(rows))

    # when
    scores = scored([batch], [Logged("logged").probabilities(batch)], model_of(batch))

    # then
    assert scores.estimates["dr"].get().value == pytest.approx(float(batch.reward.mean()))


def test_a_gain_is_the_difference_of_both_policies_by_the_same_estimator() -> None:
    # given
    batch = a_batch(2_000, seed=4, arms=3, click_rate=0.4)
    target, model = a_target(batch, seed=4), model_of(batch)

    # when
    one, own = (scored([batch], [policy], model) for policy in (target, batch.logged))

    # then
    values = [scores.estimates["dr"].get().value for scores in (one, own)]
    assert one.gained().value == pytest.approx(values[0] - values[1], abs=1e-12)
