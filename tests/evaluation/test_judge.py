"""What may be said of an estimate, and what must not."""

from __future__ import annotations

import numpy as np
import pytest

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.judge import judged, parts, quoted
from bandit_service.evaluation.paired import difference
from bandit_service.evaluation.results import Estimate, Interval, Status
from bandit_service.evaluation.reward_model import RewardTable
from bandit_service.evaluation.scores import Scores
from bandit_service.evaluation.verdicts import Unit, verdict
from tests.evaluation.batches import Row, a_batch, batch_of

SETTINGS = EstimatorSettings()
RULES = Rules(reward_range=(0.0, 1.0), settings=SETTINGS)


def scores_of(batch: Batch, target: Floats) -> Scores:
    table = RewardTable()
    table.add(batch)
    scores = Scores(estimators(SETTINGS))
    scores.add(batch, target, table.fit().predict(batch))
    return scores


def estimates_of(batch: Batch, target: Floats) -> dict[str, Estimate]:
    earned = float(batch.reward.sum())
    return judged(scores_of(batch, target), RULES, earned=earned, sequence=None)


def always(batch: Batch, arm: int) -> Floats:
    """A target that shows the candidate of this index."""
    target = np.zeros(len(batch.arms))
    target[batch.offsets[:-1] + arm] = 1.0
    return target


def test_every_value_comes_with_its_rows_effective_size_weight_and_interval() -> None:
    batch = a_batch(3_000, seed=1, arms=3, click_rate=0.3)

    for estimate in estimates_of(batch, always(batch, 0)).values():
        assert estimate.value is not None
        assert estimate.intervals
        assert estimate.n == 3_000
        assert estimate.ess > 0
        assert estimate.max_weight > 0


def test_a_policy_that_the_log_never_came_near_gets_no_number() -> None:
    # given a log that shows the second arm once in a thousand rows
    rows = [Row({"a": 0.999, "b": 0.001}, "b" if n % 1000 == 0 else "a", 1.0) for n in range(3000)]
    batch = batch_of(rows)

    # when
    found = estimates_of(batch, always(batch, 1))

    # then
    assert {estimate.status for estimate in found.values()} == {"unanswerable"}
    assert all(estimate.value is None and not estimate.intervals for estimate in found.values())
    assert "Of 3,000 rows the log is worth 3.0" in found["dr"].why[0]


def test_what_the_log_could_not_show_is_said() -> None:
    # given a policy that shows what the log could not, one time in ten
    rows = [Row({"a": 1.0, "b": 0.0}, "a", float(n % 2)) for n in range(2000)]
    batch = batch_of(rows)
    target = np.tile([0.9, 0.1], 2000)

    # when
    found = estimates_of(batch, target)["ips"]

    # then
    assert found.status == "weak"
    assert any("10.0%" in why for why in found.why)


def test_one_row_that_decides_is_said() -> None:
    # given one row that weighs a fifth of all
    rows = [Row({"a": 0.5, "b": 0.5}, "a", float(n % 2)) for n in range(400)]
    rows.append(Row({"a": 0.01, "b": 0.99}, "a", 1.0))
    batch = batch_of(rows)
    target = np.concatenate([np.tile([0.5, 0.5], 400), [1.0, 0.0]])

    # when
    found = estimates_of(batch, target)["ips"]

    # then
    assert found.status == "weak"
    assert "One row alone has 20% of all weight." in found.why


def test_the_direct_method_is_never_quoted_where_another_is_sound() -> None:
    batch = a_batch(3_000, seed=1, arms=3, click_rate=0.3)
    found = estimates_of(batch, always(batch, 0))

    assert found["dm"].status == "weak"
    assert quoted(found) == "dr"


def test_visitors_with_several_rows_widen_the_parts_of_a_log() -> None:
    # given 40 visitors of 50 rows, who always or never click
    rows = [
        Row({"a": 0.5, "b": 0.5}, "ab"[n % 2], float(n // 50 % 2), visitor=str(n // 50))
        for n in range(2000)
    ]
    batch = batch_of(rows)
    scores = scores_of(batch, np.full(4000, 0.5))

    # when
    (cell,) = parts(scores.by_placement.get(), scores.estimates["dr"].get(), RULES)

    # then the truth of the matter is 40 rows, not 2,000
    (interval,) = cell.estimate.intervals
    assert interval.high - interval.low > 4 * 2 * 1.96 * np.sqrt(0.25 / 2000)


@pytest.mark.parametrize(
    ("arm", "said"), [(0, "more than what was running: +"), (1, "less than what was running: -")]
)
def test_the_verdict_compares_with_what_the_log_earned(arm: int, said: str) -> None:
    # given a log in which the first arm earns, and the second does not
    draw = np.random.default_rng(1)
    shown = draw.integers(0, 2, 4000)
    rows = [
        Row({"a": 0.5, "b": 0.5}, "ab"[arm], float(draw.random() < (0.4, 0.2)[arm]))
        for arm in shown.tolist()
    ]
    batch = batch_of(rows)
    scores = scores_of(batch, always(batch, arm))

    # when
    earned = float(batch.reward.sum())
    found = judged(scores, RULES, earned=earned, sequence=None)["dr"]
    gain = difference(scores.gain.get(), confidence=0.95, seed=1)

    # then
    assert said in verdict(found, gain, earned / 4000, Unit(percent=True))


def test_a_part_with_few_rewards_is_greyed() -> None:
    # given 12 clicks in 3,000 rows of equal weight
    rows = [Row({"a": 0.5, "b": 0.5}, "ab"[n % 2], float(n % 250 == 0)) for n in range(3_000)]
    scores = scores_of(batch_of(rows), np.full(6_000, 0.5))

    # when
    (cell,) = parts(scores.by_placement.get(), scores.estimates["dr"].get(), RULES)

    # then
    assert cell.estimate.ess == 3_000
    assert cell.estimate.status == "weak"
    assert "worth 12 rewarded rows" in cell.estimate.why[0]


def a_difference(status: Status, low: float, high: float) -> Estimate:
    interval = Interval(low=low, high=high, kind="bootstrap", confidence=0.95)
    return Estimate(
        estimator="dr",
        value=(low + high) / 2,
        intervals=[interval],
        n=100,
        ess=90.0,
        max_weight=2.0,
        status=status,
        why=[] if status == "ok" else ["Too few rewards."],
    )


def test_a_greyed_difference_is_never_told_as_one() -> None:
    # given an estimate that is sound, and a difference to the log that claims no interval
    quoted_one = a_difference("ok", 0.1, 0.3)

    # then
    said = verdict(quoted_one, a_difference("weak", 0.01, 0.03), 0.1, Unit(percent=True))
    assert said == "The log cannot tell it from what was running. Too few rewards."
    said = verdict(
        a_difference("weak", 0.1, 0.3), a_difference("ok", 0.01, 0.03), 0.1, Unit(percent=True)
    )
    assert said == "Do not decide by this: Too few rewards."


def test_a_difference_is_in_the_unit_of_the_report() -> None:
    sound, gain = a_difference("ok", 0.1, 0.3), a_difference("ok", 0.01, 0.03)
    assert verdict(sound, gain, 0.1, Unit(percent=True)) == (
        "It would have earned more than what was running: +2 points a decision, +20.0% of the "
        "log's mean (95% interval: +1 to +3 points)."
    )
    assert verdict(sound, gain, -1.0, Unit(percent=False)) == (
        "It would have earned more than what was running: +0.02 a decision "
        "(95% interval: +0.01 to +0.03)."
    )


def test_of_the_logs_own_policy_the_plain_mean_is_quoted() -> None:
    batch = a_batch(3_000, seed=1, arms=3, click_rate=0.3)
    found = estimates_of(batch, batch.logged)

    assert quoted(found, same=scores_of(batch, batch.logged).estimates["ips"].get().same) == "ips"
    assert found["ips"].value == pytest.approx(float(batch.reward.mean()), rel=1e-12)
