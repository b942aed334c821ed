"""The second reading of a log: what each target would have earned.

All targets are scored in one reading. Those that learn answer for a row before they learn from it
(see ``targets.base``), so that no estimate has seen its own answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from bandit_service.archive.times import readable
from bandit_service.errors import InvalidInput
from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.coverage import coverage_table
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.intervals.normal import normal
from bandit_service.evaluation.intervals.sequence import final
from bandit_service.evaluation.judge import judged, parts, quoted
from bandit_service.evaluation.logs.base import LoggedData, Progress, Taken, Violation
from bandit_service.evaluation.paired import difference
from bandit_service.evaluation.results import Evaluation, Interval, Moment, PolicyResult, Weights
from bandit_service.evaluation.scores import CELLS_BY, Scores
from bandit_service.evaluation.survey import Survey
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.verdicts import verdict
from bandit_service.evaluation.verify import Verifier
from bandit_service.evaluation.weights_fold import WeightsFound

OURS: Final = frozenset({"site", "archive", "parquet", "jsonl"})
"""Formats of the logs of this program, whose policy learned from the rows before."""
MOMENTS: Final = 300
"""Points in time at most that a result keeps of a policy."""


class EvaluationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to evaluate."""

    confidence: float = 0.95
    estimators: EstimatorSettings = EstimatorSettings()
    seed: int = 1
    """Of the bootstrap."""


def check_evaluation(settings: EvaluationSettings) -> EvaluationSettings:
    """Return ``settings`` if every value can be used.

    Raises:
        InvalidInput: naming the setting and its range.
        SettingsError: as above, of estimators.
    """
    if not 0.5 <= settings.confidence < 1.0:
        raise InvalidInput(
            f"confidence is {settings.confidence!r}",
            field="confidence",
            hint="use a number from 0.5 to below 1, such as 0.95",
        )
    estimators(settings.estimators)
    return settings


def score(
    log: LoggedData,
    targets: Sequence[Target],
    found: Survey,
    settings: EvaluationSettings,
    *,
    progress: Progress,
) -> list[Scores]:
    """Read a log once for all targets; the scores of each.

    Raises:
        LogError: if the log cannot be read.
        EvaluationError: if a target cannot answer for a row.
    """
    kinds = estimators(settings.estimators)
    scores = [Scores(kinds) for _ in targets]

    def watch(taken: Taken) -> None:
        for target in targets:
            target.watch(taken)

    for batch in log.batches(blame=_known, progress=progress, watch=watch):
        rows = Verifier.usable(batch)
        if len(rows):
            _add(rows, targets, scores, found)
    return scores


def result(
    log: LoggedData,
    targets: Sequence[Target],
    found: Survey,
    scores: Sequence[Scores],
    settings: EvaluationSettings,
    *,
    forced: bool,
    now_ms: int,
    version: str,
) -> Evaluation:
    """What was found, as it is reported."""
    rules = rules_of(log, found, settings)
    return Evaluation(
        made=readable(now_ms),
        version=version,
        log=log.description,
        since=found.since,
        until=found.until,
        rows=found.rows,
        clicks=found.clicks,
        mean_reward=found.mean_reward,
        excluded=found.excluded,
        reward_range=found.reward_range,
        verification=found.verification,
        forced=forced,
        policies=[
            policy_result(target, each, found, rules)
            for target, each in zip(targets, scores, strict=True)
        ],
        coverage=coverage_table(),
        warnings=[] if found.range_known else [RANGE_SEEN],
        settings={
            "confidence": f"{settings.confidence:g}",
            "seed": str(settings.seed),
            **{name: f"{v:g}" for name, v in msgspec.structs.asdict(settings.estimators).items()},
        },
    )


RANGE_SEEN: Final = (
    "Nothing says what a reward can be. The range was taken from the log, so intervals that depend "
    "on it hold only if no reward can be beyond those seen."
)


def rules_of(log: LoggedData, found: Survey, settings: EvaluationSettings) -> Rules:
    """What intervals need besides the sums."""
    return Rules(
        reward_range=found.reward_range,
        settings=settings.estimators,
        confidence=settings.confidence,
        adaptive=log.description.format in OURS,
        seed=settings.seed,
    )


def policy_result(target: Target, scores: Scores, found: Survey, rules: Rules) -> PolicyResult:
    """All about one policy."""
    rules = rules._replace(adaptive=rules.adaptive or target.learns)
    moments = scores.sequence.get(found.reward_range, rules.confidence)
    sequence = final(moments, rules.confidence)
    estimates = judged(scores, rules, earned=found.earned, sequence=sequence)
    headline = quoted(estimates)
    whole = scores.estimates[CELLS_BY].get()
    doubts = estimates[CELLS_BY].why
    gain = difference(
        scores.gain.get(), confidence=rules.confidence, seed=rules.seed, doubts=doubts
    )
    return PolicyResult(
        name=target.name,
        words=target.words,
        learns=target.learns,
        estimates=[*estimates.values()],
        headline=headline,
        verdict=verdict(estimates[headline], gain, found.mean_reward),
        gain=gain,
        as_logged=target.as_logged,
        weights=_weights(scores.weights.get(), rules.confidence),
        over_time=_thinned(moments),
        by_placement=parts(scores.by_placement.get(), whole, rules.confidence),
        by_persona=parts(scores.by_persona.get(), whole, rules.confidence),
        shares=scores.shares.get(),
    )


def _add(rows: Batch, targets: Sequence[Target], scores: Sequence[Scores], found: Survey) -> None:
    predictions = found.model.predict(rows)
    for target, each in zip(targets, scores, strict=True):
        each.add(rows, target.probabilities(rows), predictions)


def _known(violation: Violation) -> None:
    """What is wrong with the log was told at the first reading."""


def _weights(found: WeightsFound, confidence: float) -> Weights:
    interval = normal(found.ratio, confidence) or Interval(
        low=found.mean, high=found.mean, kind="normal", confidence=confidence
    )
    return Weights(
        edges=found.edges,
        counts=found.counts,
        mean=found.mean,
        mean_interval=interval,
        maximum=found.maximum,
        unsupported=found.unsupported,
    )


def _thinned(moments: list[Moment]) -> list[Moment]:
    """Not more than MOMENTS of them, evenly, the last one included."""
    step = -(-len(moments) // MOMENTS)
    return moments[::-1][:: max(step, 1)][::-1]
