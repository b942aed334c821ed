"""The Open Bandit Dataset: real logs of two policies, so that estimates meet what was measured."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.logs.base import Violation
from bandit_service.evaluation.logs.named import open_log
from bandit_service.evaluation.report.markdown import markdown
from bandit_service.evaluation.results import Estimate, Evaluation, PolicyResult
from bandit_service.evaluation.reward_model import RewardTable
from bandit_service.evaluation.scores import Scores
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import make_target
from bandit_service.evaluation.verification.verify import verify_log
from bandit_service.policy.settings import SiteSettings
from simulations.obd_offline import CAMPAIGNS, beside, lines, read, table

CONFIG = Path(__file__).parents[2] / "config"
LEARNED = CONFIG / "demo" / "obd.toml"
RATES = {
    "obd:random/all": 0.0038,
    "obd:random/men": 0.0046,
    "obd:random/women": 0.0046,
    "obd:bts/all": 0.0042,
    "obd:bts/men": 0.0069,
    "obd:bts/women": 0.0046,
}
"""Clicks a row, of 10,000 rows each."""
MODELLED = "dm"
"""The one estimator that claims no interval."""
pytestmark = pytest.mark.slow


def opened(cache_dir: Path | None) -> partial:  # type: ignore[type-arg]
    return partial(open_log, settings=SiteSettings(), config_path=CONFIG, cache_dir=cache_dir)


@cache
def found(log: str, cache_dir: Path | None, *policies: str) -> Evaluation:
    return read(log, policies, opened(cache_dir))


def of(evaluation: Evaluation, policy: str) -> PolicyResult:
    (result,) = (one for one in evaluation.policies if one.name == policy)
    return result


def estimate_of(policy: PolicyResult, name: str) -> Estimate:
    (estimate,) = (one for one in policy.estimates if one.estimator == name)
    return estimate


@pytest.mark.parametrize("log", RATES)
def test_a_real_log_is_verified_without_a_finding(log: str, real_cache: Path | None) -> None:
    data = opened(real_cache)([log])

    verified = verify_log(data, progress=lambda _: None).get()

    assert verified.rows == 10_000
    assert verified.findings == []
    assert verified.sample_ratio[0].p_value > 0.01


@pytest.mark.parametrize(("log", "rate"), RATES.items())
def test_the_policy_that_ran_earned_what_the_log_says(
    log: str, rate: float, real_cache: Path | None
) -> None:
    # when
    evaluation = found(log, real_cache, "logged", "uniform")
    policy = of(evaluation, "logged")

    # then its weights are exactly 1, and what is quoted is the plain mean
    assert evaluation.mean_reward == pytest.approx(rate, abs=1e-12)
    assert policy.weights.maximum == policy.weights.mean == 1.0
    quoted = estimate_of(policy, policy.headline)
    assert quoted.value == evaluation.mean_reward
    assert quoted.intervals[0].kind == "clopper-pearson"
    assert policy.verdict == "It does what was running."
    assert (policy.gain.value, policy.gain.status) == (0.0, "ok")


@pytest.mark.parametrize("log", [log for log in RATES if "bts" in log])
def test_where_only_propensities_are_known_the_model_does_not_bend_the_policy_that_ran(
    log: str, real_cache: Path | None
) -> None:
    policy = of(found(log, real_cache, "logged", "uniform"), "logged")
    for name in ("dr", "switch-dr"):
        assert estimate_of(policy, name).value == pytest.approx(RATES[log], rel=1e-12)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_what_bts_earned_is_within_the_intervals_from_the_log_of_random(
    campaign: str, real_cache: Path | None
) -> None:
    # given what bts earned where it ran
    earned = RATES[f"obd:bts/{campaign}"]
    followed = f"frequencies:obd:bts/{campaign}"

    # when
    policy = of(found(f"obd:random/{campaign}", real_cache, followed), followed)

    # then it is within all intervals, claimed or greyed, of all estimators but the model alone
    for estimate in policy.estimates:
        assert estimate.intervals
        for interval in estimate.intervals:
            if estimate.estimator != MODELLED:
                assert interval.low <= earned <= interval.high, (estimate.estimator, interval)
    claimed = {one.estimator for one in policy.estimates if one.status == "ok"}
    assert claimed == {"ips", "clipped-ips"}
    assert estimate_of(policy, MODELLED).status == "weak"
    assert policy.weights.mean == pytest.approx(1.0, abs=0.05)


def test_uniform_choice_cannot_be_told_from_the_log_of_bts(real_cache: Path | None) -> None:
    # when
    policy = of(found("obd:bts/women", real_cache, "uniform"), "uniform")

    # then
    ips = estimate_of(policy, "ips")
    assert ips.ess == pytest.approx(2.1, abs=0.05)
    assert ips.max_weight == pytest.approx(21_739.13, abs=0.01)
    for estimate in [*policy.estimates, policy.gain]:
        assert (estimate.status, estimate.value) == ("unanswerable", None)
        assert estimate.intervals == []
    assert policy.verdict.startswith("The log cannot say what it would have earned.")


@pytest.mark.parametrize("log", ["obd:random/men", "obd:bts/women"])
def test_parts_of_a_real_log_in_any_order_give_the_whole_to_the_byte(
    log: str, real_cache: Path | None
) -> None:
    # given
    rows = _rows(log, real_cache)
    table = RewardTable()
    for batch in rows:
        table.add(batch)
    model, target = table.fit(), make_target("uniform", TargetContext())

    def scored(parts: list[Batch]) -> Scores:
        scores = Scores(estimators(EstimatorSettings()))
        for part in parts:
            scores.add(part, target.probabilities(part), model.predict(part))
        return scores

    # when: nine parts, merged in another order
    draw = np.random.default_rng(1)
    parts = [part for batch in rows for part in _cut(batch, draw)]
    first, *others = [scored([parts[n]]) for n in draw.permutation(len(parts))]
    for other in others:
        first = first + other

    # then
    assert len(parts) >= 9
    assert first.encode() == scored(rows).encode()


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_a_report_does_not_claim_that_learning_beats_random(
    campaign: str, real_cache: Path | None
) -> None:
    # given
    log, followed = f"obd:random/{campaign}", f"frequencies:obd:bts/{campaign}"
    learned = [f"policy:{LEARNED}", f"blind:{LEARNED}"]

    # when
    evaluation = found(log, real_cache, "uniform", followed, *learned)
    report = markdown(evaluation)

    # then
    for policy in evaluation.policies:
        claims = policy.gain.status == "ok"
        assert not (claims and policy.gain.intervals[0].low > 0)
        assert "more than what was running" not in policy.verdict
        for estimate in policy.estimates:
            if estimate.status == "ok":
                assert estimate.intervals[0].low < RATES[log]
    assert "would have earned more" not in report
    assert report.count("cannot tell it from what was running") == 3
    assert "It does what was running." in report


def test_one_command_shows_policies_beside_what_they_earned(real_cache: Path | None) -> None:
    # when
    several = [
        *lines(["women"], learned=LEARNED, config_path=CONFIG, cache_dir=real_cache),
    ]

    # then
    assert [(one.log, one.policy.name.split(":")[0], beside(one)) for one in several] == [
        ("obd:random/women", "logged", "the same"),
        ("obd:random/women", "frequencies", "not told apart"),
        ("obd:random/women", "policy", "not told apart"),
        ("obd:random/women", "blind", "not told apart"),
        ("obd:bts/women", "logged", "the same"),
        ("obd:bts/women", "uniform", "no answer"),
    ]
    assert [one.ran.clicks if one.ran else None for one in several] == [46, 46, None, None, 46, 46]
    assert table("women", several).row_count == 6


def _rows(log: str, cache_dir: Path | None) -> list[Batch]:
    blamed: list[Violation] = []
    rows = [*opened(cache_dir)([log]).batches(blame=blamed.append, progress=lambda _: None)]
    assert blamed == []
    return rows


def _cut(batch: Batch, draw: np.random.Generator) -> list[Batch]:
    edges = sorted(draw.integers(0, len(batch), 8).tolist())
    bounds = zip([0, *edges], [*edges, len(batch)], strict=True)
    return [batch.take(np.arange(low, high)) for low, high in bounds if high > low]
