"""The second reading of a log: what each target would have earned.

All targets are scored in one reading. Those that learn answer for a row before they learn from it
(see ``targets.base``), so that no estimate has seen its own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Final

import msgspec

from bandit_service.archive.times import readable
from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.coverage import coverage_table
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.folds.weights import WeightsFound
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.intervals.normal import normal
from bandit_service.evaluation.intervals.sequence import final
from bandit_service.evaluation.judge import judged, parts, quoted
from bandit_service.evaluation.logs.base import LoggedData, Progress, Taken
from bandit_service.evaluation.paired import gain_over_log
from bandit_service.evaluation.results import (
    Evaluation,
    Interval,
    PolicyResult,
    Weights,
    in_percent,
)
from bandit_service.evaluation.scores import CELLS_BY, Scores
from bandit_service.evaluation.survey import Survey, check, survey, usable_rows
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.verdicts import Unit, verdict

Phase = Callable[[str, int | None], AbstractContextManager[Progress]]
"""Of a label and a number of rows or entries: where to tell of progress."""
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


def evaluated(
    log: LoggedData,
    targets: Sequence[Target],
    settings: EvaluationSettings,
    *,
    force: bool,
    phase: Phase,
    now_ms: int,
) -> Evaluation:
    """Read a log twice, and say what the targets would have earned.

    Args:
        log: What to read.
        targets: Policies that have not read it yet.
        settings: How to evaluate.
        force: Whether to go on with a log that must not be believed.
        phase: Shows how far a reading has come.
        now_ms: When this is.

    Raises:
        LogError: if the log cannot be read.
        EvaluationError: if it must not be believed, or a target cannot answer.
    """
    with phase("verifying the log", log.size) as progress:
        found = survey(log, progress=progress)
    forced = check(found, name=log.description.name, force=force)
    with phase(f"scoring {len(targets)} policies", log.size) as progress:
        scores = score(log, targets, found, settings, progress=progress)
    return result(log, targets, found, scores, settings, forced=forced, now_ms=now_ms)


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
        LogError: if the log cannot be read, or is not the one that was surveyed.
        EvaluationError: if a target cannot answer for a row, or says nothing about any.
    """
    kinds = estimators(settings.estimators)
    scores = [Scores(kinds, block_ms=found.block_ms) for _ in targets]

    def watch(taken: Taken) -> None:
        for target in targets:
            target.watch(taken)

    for _, rows in usable_rows(log, found.rows, watch=watch, progress=progress):
        predictions = found.model.predict(rows)
        for target, each in zip(targets, scores, strict=True):
            each.add(rows, target.probabilities(rows), predictions)
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
) -> Evaluation:
    """What was found, as it is reported."""
    rules = rules_of(log, found, settings)
    return Evaluation(
        made=readable(now_ms),
        version=version("bandit-service"),
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
