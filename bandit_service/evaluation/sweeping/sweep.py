"""Many policies on one log: which to adopt, without overselling.

The best of many looks better than it is, since it was also the luckiest on the rows that it was
chosen by. So the log is cut (see ``Cut``): policies are ranked by its first rows, by the LOWER
bound of what each is quoted at, and the winner alone is then compared with the base on the last
rows. Those took no part in choosing, so that one comparison needs no correction for how many were
tried. The leads over the base on the first rows are many looks at the same rows: each has an
interval wide enough that all hold together (Bonferroni).

Two things to know of the cut. All policies learn through it, so a policy may do better after it
than before because it has learned more, or worse because tastes moved: what shows optimism is the
lead over the base, which shares that, and not the value. And the reward model is cross-fitted over
the whole log; it makes no estimate biased, but rows before the cut are not wholly ignorant of those
after it.

The policies are read in processes of their own: see ``parallel`` and ``passes``.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.evaluate import OURS, EvaluationSettings, check_evaluation, rules_of
from bandit_service.evaluation.logs.base import LoggedData, Progress
from bandit_service.evaluation.results import Evaluation, in_percent
from bandit_service.evaluation.survey import Survey
from bandit_service.evaluation.sweeping.advice import advise
from bandit_service.evaluation.sweeping.grid import Plan
from bandit_service.evaluation.sweeping.parallel import spread
from bandit_service.evaluation.sweeping.passes import Cut, OpenLog, Task, run
from bandit_service.evaluation.sweeping.ranking import ranking
from bandit_service.evaluation.sweeping.results import SweepResult
from bandit_service.evaluation.sweeping.verdict import verdict
from bandit_service.evaluation.verdicts import Unit
from bandit_service.policy.settings import SiteSettings

HELD_OUT: Final = 0.2
"""The part of the rows that takes no part in choosing."""


class SweepSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to sweep."""

    evaluation: EvaluationSettings = EvaluationSettings()
    held_out: float = HELD_OUT
    processes: int = 1


def check_sweep(settings: SweepSettings) -> SweepSettings:
    """Return ``settings`` if every value can be used.

    Raises:
        InvalidInput: naming the setting and its range.
        SettingsError: as above, of estimators.
    """
    check_evaluation(settings.evaluation)
    if not 0.05 <= settings.held_out <= 0.5:
        raise InvalidInput(
            f"held_out is {settings.held_out!r}",
            field="held_out",
            hint="use a number from 0.05 to 0.5: the part of the rows not to choose by",
        )
    if settings.processes < 1:
        raise InvalidInput(
            f"processes is {settings.processes!r}", field="processes", hint="use 1 or more"
        )
    return settings


def sweep(
    log: LoggedData,
    plan: Plan,
    found: Survey,
    settings: SweepSettings,
    *,
    open_log: OpenLog,
    evaluated: SiteSettings,
    progress: Progress,
    whole: Evaluation,
) -> SweepResult:
    """Score every point, rank them, and say what to adopt.

    Args:
        log: The log that was surveyed; read once more, for the advice on exploration.
        plan: What to compare.
        found: What the survey found.
        settings: How to sweep.
        open_log: Opens the log anew, for each pass.
        evaluated: The settings of the evaluation, which say what rows earned.
        progress: Told how many rows or entries all passes together have come.
        whole: The log as an evaluation of no policy.

    Raises:
        EvaluationError: if there are too few rows, nothing can be scored, or a process was killed.
        LogError: if the log cannot be read.
    """
    check_sweep(settings)
    rules = rules_of(log, found, settings.evaluation)
    task = Task(open_log, evaluated, found, cut_of(log, found, settings.held_out), rules)
    work = partial(run, task)
    outcomes = spread(work, plan.points, processes=settings.processes, progress=progress)
    ranks = ranking(plan, outcomes, rules)
    advised, said = verdict(ranks, Unit(in_percent(found.reward_range)))
    return SweepResult(
        log=whole,
        base=ranks.base,
        ranked_rows=ranks.ranked_rows,
        compared=ranks.compared,
        lead_confidence=ranks.lead_confidence,
        tried=ranks.tried,
        winner=None if ranks.winner is None else ranks.winner.name,
        held_out=ranks.held_out,
        advised=advised,
        verdict=said,
        advice=advise(log, ranks.advisable, found, rules, evaluated=evaluated, progress=progress),
    )


def cut_of(log: LoggedData, found: Survey, held_out: float) -> Cut:
    """Where to cut, so that about ``held_out`` of the rows come after it.

    Raises:
        EvaluationError: if there are too few rows, or all were decided at once.
    """
    row = found.rows - round(held_out * found.rows)
    if log.description.format not in OURS:
        cut, sides = Cut(row, None), 0 < row < found.rows
    else:
        times = sorted(found.decided)
        moment = times[min(round((1.0 - held_out) * len(times)), len(times) - 1)]
        cut, sides = Cut(row, moment), moment > times[0]
    if not sides:
        raise EvaluationError(
            f"the log has {found.rows:,} rows, too few to hold any out",
            hint="a sweep needs some thousands of rows: let the site run on",
        )
    return cut
