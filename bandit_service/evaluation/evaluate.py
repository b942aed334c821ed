"""The second reading of a log: what each target would have earned.

All targets are scored in one reading. Those that learn answer for a row before they learn from it
(see ``targets.base``), so that no estimate has seen its own answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from bandit_service.archive.times import readable
from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.coverage import coverage_table
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.folds.weights import WeightsFound
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.intervals.normal import normal
from bandit_service.evaluation.intervals.sequence import final
from bandit_service.evaluation.judge import judged, parts, quoted
from bandit_service.evaluation.logs.base import LoggedData, Progress, Taken, Violation
from bandit_service.evaluation.paired import gain_over_log
from bandit_service.evaluation.results import (
    Evaluation,
    Interval,
    PolicyResult,
    Weights,
    in_percent,
)
from bandit_service.evaluation.scores import CELLS_BY, Scores
from bandit_service.evaluation.survey import Survey
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.verdicts import Unit, verdict
from bandit_service.evaluation.verification.verify import Verifier

OURS: Final = frozenset({"site", "archive", "parquet", "jsonl"})
"""Formats of the logs of this program."""
LEARNED: Final = OURS | {"dsjson"}
"""Formats of logs whose policy learned from the rows before: ours, and those of decision services.
Of a table it is not known."""


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
    if settings.seed < 0:
        raise InvalidInput(
            f"seed is {settings.seed}", field="seed", hint="use a whole number of 0 or more"
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
        EvaluationError: if a target cannot answer for a row, or says nothing about any.
    """
    kinds = estimators(settings.estimators)
    scores = [Scores(kinds, block_ms=found.block_ms) for _ in targets]

    def watch(taken: Taken) -> None:
        for target in targets:
            target.watch(taken)

    for batch in log.batches(blame=_known, progress=progress, watch=watch):
        rows = Verifier.usable(batch)
        if len(rows):
            _add(rows, targets, scores, found)
    for target in targets:
        if found.rows and target.as_logged == found.rows:
            raise EvaluationError(
                f"{target.name} says nothing about any row of {log.description.name}",
                hint="does the log have that variant, and does it describe its candidates?",
            )
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
    "on it hold only if no reward can be beyond those seen. --reward-range says it."
)


def rules_of(log: LoggedData, found: Survey, settings: EvaluationSettings) -> Rules:
    """What intervals need besides the sums."""
    return Rules(
        reward_range=found.reward_range,
        settings=settings.estimators,
        confidence=settings.confidence,
        adaptive=log.description.format in LEARNED,
        seed=settings.seed,
    )


def policy_result(target: Target, scores: Scores, found: Survey, rules: Rules) -> PolicyResult:
    """All about one policy."""
    rules = rules._replace(adaptive=rules.adaptive or target.learns)
    moments = scores.sequence.get(found.reward_range, rules.confidence)
    sequence = final(moments, rules.confidence)
    estimates = judged(scores, rules, earned=found.earned, sequence=sequence)
    whole = scores.estimates[CELLS_BY].get()
    headline = quoted(estimates, same=whole.same)
    doubts = [] if whole.same else estimates[CELLS_BY].why
    gain = gain_over_log(
        scores.gained(), confidence=rules.confidence, seed=rules.seed, doubts=doubts
    )
    return PolicyResult(
        name=target.name,
        words=target.words,
        learns=target.learns,
        estimates=[*estimates.values()],
        headline=headline,
        verdict=verdict(
            estimates[headline],
            gain,
            found.mean_reward,
            Unit(in_percent(found.reward_range)),
        ),
        gain=gain,
        as_logged=target.as_logged,
        weights=_weights(scores.weights.get(), rules.confidence),
        over_time=moments,
        by_placement=parts(scores.by_placement.get(), whole, rules),
        by_persona=parts(scores.by_persona.get(), whole, rules),
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
