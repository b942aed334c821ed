"""One policy's reading of a log: scored row by row, apart on the rows before a cut and after it.

The policy learns all along, as it would live; only the sums are kept apart. A log that grows, as a
live one does, is read up to the row that the survey came to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bandit_service.errors import BanditError, EvaluationError, LogError
from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.evaluate import policy_result
from bandit_service.evaluation.grid import Point
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.logs.base import LoggedData, Progress, Violation, Watch
from bandit_service.evaluation.ratio import Ratio
from bandit_service.evaluation.results import PolicyResult
from bandit_service.evaluation.scores import CELLS_BY, Scores
from bandit_service.evaluation.sums import ExactSums
from bandit_service.evaluation.survey import Survey
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.evaluation.verify import Verifier
from bandit_service.policy.settings import SiteSettings

OpenLog = Callable[[], AbstractContextManager[LoggedData]]
"""Opens the log anew; to be used in another process it must be such that it can be pickled."""


class Task(NamedTuple):
    """What every pass needs besides its policy."""

    open_log: OpenLog
    evaluated: SiteSettings
    """The settings of the evaluation, which say what rows earned."""
    found: Survey
    cut: int
    """How many rows come before the cut."""
    rules: Rules


class Part(NamedTuple):
    """A policy on some of the rows."""

    result: PolicyResult
    earned: Ratio
    """Of the estimator that differences are made of; see ``paired``."""
    gain: Ratio
    """Of the difference to what the log did."""
    rows: int
    logged: float | None
    """What the log earned there on average."""
    since: int | None
    until: int | None
    """First and last decision there, ms since the epoch."""


class Passed(NamedTuple):
    """What a pass found."""

    ranked: Part
    """On the rows before the cut."""
    held: Part
    """On those after it."""
    words: str
    as_logged: int
    """Rows of which the policy says nothing."""


class Failed(NamedTuple):
    """A policy that cannot be scored."""

    error: BanditError


def run(task: Task, point: Point, progress: Progress) -> Passed | Failed:
    """Read the log with one policy; what is wrong with the policy is told, not raised.

    Raises:
        LogError: if the log cannot be read.
    """
    try:
        with task.open_log() as log:
            return _scored(task, point, log, progress)
    except LogError:
        raise
    except (BanditError, MemoryError) as exc:
        return Failed(exc if isinstance(exc, BanditError) else _too_large(point))


def usable_rows(
    log: LoggedData, upto: int, *, watch: Watch, progress: Progress, cut: int = 0
) -> Iterator[tuple[int, Batch]]:
    """The first ``upto`` rows that can be evaluated, each batch with how many came before it.

    No batch has rows on both sides of the cut.

    Raises:
        LogError: if there are fewer.
    """
    came = 0
    for batch in log.batches(blame=_known, progress=progress, watch=watch):
        rows = Verifier.usable(batch)
        edges = sorted({0, *(min(max(at - came, 0), len(rows)) for at in (cut, upto)), len(rows)})
        for low, high in pairwise(edges):
            if came + low < upto:
                yield came + low, rows.take(np.arange(low, high))
        came += len(rows)
        if came >= upto:
            return
    raise LogError(
        f"the log had {upto:,} rows when it was read first, and has {came:,} now",
        hint="was a visitor forgotten, or a file replaced meanwhile? start again",
    )


def _scored(task: Task, point: Point, log: LoggedData, progress: Progress) -> Passed:
    target = Learning(point.name, point.settings, evaluated=task.evaluated, blind=point.blind)
    ranked, held = (_Rows(task.rules.settings) for _ in range(2))
    with closing(target):
        rows = usable_rows(
            log, task.found.rows, watch=target.watch, progress=progress, cut=task.cut
        )
        for came, batch in rows:
            predictions = task.found.model.predict(batch)
            part = ranked if came < task.cut else held
            part.add(batch, target.probabilities(batch), predictions)
        if target.as_logged == task.found.rows:
            raise EvaluationError(
                "the log does not describe the candidates of any row, so that nothing can be "
                "learned from it",
                hint="give a mapping that says what the candidates are",
            )
        return Passed(
            ranked=ranked.found(target, task),
            held=held.found(target, task),
            words=target.words,
            as_logged=target.as_logged,
        )


class _Rows:
    """The sums of one side of the cut."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self.scores = Scores(estimators(settings))
        self.rewards = ExactSums(of="reward")
        self.n = self.clicks = 0
        self.since: int | None = None
        self.until: int | None = None

    def add(self, batch: Batch, target: Floats, predictions: Floats) -> None:
        self.scores.add(batch, target, predictions)
        self.rewards.add(batch.reward)
        self.n += len(batch)
        self.clicks += int(np.count_nonzero(batch.reward > 0))
        first, last = int(batch.ms.min()), int(batch.ms.max())
        self.since = first if self.since is None else min(self.since, first)
        self.until = last if self.until is None else max(self.until, last)

    def found(self, target: Target, task: Task) -> Part:
        counts = task.found._replace(rows=self.n, clicks=self.clicks, earned=self.rewards.total())
        return Part(
            result=policy_result(target, self.scores, counts, task.rules),
            earned=self.scores.estimates[CELLS_BY].get(),
            gain=self.scores.gained(),
            rows=self.n,
            logged=counts.mean_reward,
            since=self.since,
            until=self.until,
        )


def _known(violation: Violation) -> None:
    """What is wrong with the log was told at the first reading."""


def _too_large(point: Point) -> EvaluationError:
    return EvaluationError(
        f"there is not enough memory for a model of 2^{point.settings.policy.bits} weights",
        hint="try fewer bits, or --processes 1",
    )
