"""One policy's reading of a log: scored row by row, apart on the rows before a cut and after it.

The policy learns all along, as it would live; only the sums are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import NamedTuple

import numpy as np

from bandit_service.errors import BanditError, EvaluationError, LogError
from bandit_service.evaluation.batch import Batch, Floats, Mask
from bandit_service.evaluation.estimators import estimators
from bandit_service.evaluation.evaluate import policy_result
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.logs.base import LoggedData, Progress
from bandit_service.evaluation.results import PolicyResult
from bandit_service.evaluation.scores import CELLS_BY, Scores
from bandit_service.evaluation.survey import Counts, Survey, usable_rows
from bandit_service.evaluation.sweeping.grid import Point
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.policy.settings import SiteSettings

OpenLog = Callable[[], AbstractContextManager[LoggedData]]
"""Opens the log anew; to be used in another process it must be such that it can be pickled."""


class Cut(NamedTuple):
    """Where the rows to rank by end and those that are held out begin.

    Rows of our own logs are in the order in which they closed, and what earned something closes
    sooner: a cut in that order would give the rows before it too many rewards, and those after it
    too few. There it is a moment, and each row is where it was decided.
    """

    row: int
    """How many rows come before it."""
    ms: int | None
    """The moment, ms since the epoch; None where the order of the rows is that of the log."""

    def before(self, batch: Batch, came: int) -> Mask:
        """n: which rows are before it, ``came`` being how many others came before the batch."""
        if self.ms is not None:
            return batch.ms < self.ms
        return came + np.arange(len(batch)) < self.row


class Task(NamedTuple):
    """What every pass needs besides its policy."""

    open_log: OpenLog
    evaluated: SiteSettings
    """The settings of the evaluation, which say what rows earned."""
    found: Survey
    cut: Cut
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


def _scored(task: Task, point: Point, log: LoggedData, progress: Progress) -> Passed:
    target = Learning(point.name, point.settings, evaluated=task.evaluated, blind=point.blind)
    ranked, held = _Rows(task), _Rows(task)
    with closing(target):
        for came, batch in usable_rows(log, task.found.rows, watch=target.watch, progress=progress):
            given, expected = target.probabilities(batch), task.found.model.predict(batch)
            before = task.cut.before(batch, came)
            ranked.add(batch, before, given, expected)
            held.add(batch, ~before, given, expected)
        if target.as_logged == task.found.rows:
            raise EvaluationError(
                "the log does not describe the candidates of any row, so that nothing can be "
                "learned from it",
                hint="give a mapping that says what the candidates are",
            )
        return Passed(
            ranked=ranked.found(target),
            held=held.found(target),
            words=target.words,
            as_logged=target.as_logged,
        )


class _Rows:
    """The sums of one side of the cut."""

    def __init__(self, task: Task) -> None:
        self._task = task
        kinds = estimators(task.rules.settings)
        self.scores = Scores(kinds, block_ms=task.found.block_ms)
        self.counts = Counts()

    def add(self, whole: Batch, mine: Mask, given: Floats, expected: Floats) -> None:
        """Add some rows of a batch."""
        if not mine.any():
            return
        batch, candidates = whole.take(np.flatnonzero(mine)), mine[whole.rows]
        self.scores.add(batch, given[candidates], expected[candidates])
        self.counts.add(batch)

    def found(self, target: Target) -> Part:
        counts, earned = self.counts, self.counts.rewards.total()
        mine = self._task.found._replace(rows=counts.rows, clicks=counts.clicks, earned=earned)
        return Part(
            result=policy_result(target, self.scores, mine, self._task.rules),
            earned=self.scores.estimates[CELLS_BY].get(),
            gain=self.scores.gained(),
            rows=counts.rows,
            logged=mine.mean_reward,
            since=counts.since,
            until=counts.until,
        )


def _too_large(point: Point) -> EvaluationError:
    return EvaluationError(
        f"there is not enough memory for a model of 2^{point.settings.policy.bits} weights",
        hint="try fewer bits, or --processes 1",
    )
