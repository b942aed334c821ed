"""What a sweep found, as a document: what to do, by what, and how much to explore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bandit_service.evaluation.report import charts, tables, words
from bandit_service.evaluation.report.numbers import NOTHING, Scale, count, moment, scale_for, share
from bandit_service.evaluation.report.sections import Document, Section
from bandit_service.evaluation.report.sweep_door import admitted_sweep
from bandit_service.evaluation.report.table import Row, Table
from bandit_service.evaluation.report.table import numeric as numbers
from bandit_service.evaluation.report.table import text as texts
from bandit_service.evaluation.report.tables import ESTIMATE, estimate_row
from bandit_service.evaluation.results import Estimate
from bandit_service.evaluation.sweeping.results import (
    Advice,
    HeldOut,
    Option,
    SweepResult,
    Tried,
)
from bandit_service.evaluation.sweeping.verdict import leads

TITLE: Final = "Which policy to adopt"

RANKED: Final = (
    "Policies are ranked by the lower end of the interval of what they would have earned, on the "
    "first rows of the log. One that the log answers weakly has no rank and never wins."
)
LEADS: Final = (
    "How much more each would have earned than the base on the same rows, compared row by row, so "
    "that what the two have in common cancels."
)
HELD: Final = (
    "The last rows of the log took no part in choosing. Only here does an estimate of the winner "
    "mean what it says."
)
OPTIONS: Final = (
    "What the policy would earn if it explored in other ways, against neither floor nor holdout; "
    "and what part of its next log would count for judging a policy that shows all variants alike, "
    "and one that always shows a single variant, the one that is hardest to judge."
)


def document(result: SweepResult) -> Document:
    """The report of a sweep.

    Raises:
        EvaluationError: if it must not be reported; see ``sweep_door``.
    """
    shown = admitted_sweep(result)
    scale = scale_for(shown.log, _quoted(shown))
    return Document(
        title=TITLE,
        about=f"A sweep of {count(len(shown.tried))} policies over {shown.log.log.name}",
        warnings=words.warnings_of(shown.log),
        sections=[*_sections(shown, scale)],
        made=[*tables.made(shown.log), ("Rows to rank by", count(shown.ranked_rows))],
    )


def _sections(shown: SweepResult, scale: Scale) -> Iterator[Section]:
    yield Section("What to do", shown.verdict)
    bars = [
        charts.Bar(one.name if one.rank is None else f"{one.rank}. {one.name}", one.estimate)
        for one in shown.tried
        if one.estimate is not None
    ]
    yield Section(
        "Policies by rank",
        [words.summary(shown.log, scale), RANKED],
        [_ranked(shown, scale)],
        charts.intervals("What each policy was ranked by", bars, scale, shown.log.mean_reward),
    )
    yield Section("Leads over the base", [LEADS], [_leads(shown, scale)])
    if shown.held_out is not None:
        yield Section("The held-out rows", [HELD], [_held(shown, shown.held_out, scale)])
    if shown.advice is not None:
        yield Section("How much to explore", shown.advice.words, [_options(shown.advice, scale)])
    yield Section("What each policy is", [], [_changes(shown)], brief=False)
    yield Section(
        "Checks of the log",
        [words.checks_of(shown.log.verification)],
        [
            tables.findings(shown.log.verification.findings),
            tables.ratio_tests(shown.log.verification.sample_ratio),
            tables.excluded(shown.log),
        ],
        brief=False,
    )


def _quoted(shown: SweepResult) -> Iterable[Estimate]:
    return [one.estimate for one in shown.tried if one.estimate is not None and one.rank == 1]


def _ranked(shown: SweepResult, scale: Scale) -> Table:
    columns = (*texts("Policy"), *numbers("Rank"), *texts("Estimator"), *ESTIMATE)
    rows = [_ranked_row(one, shown, scale) for one in shown.tried]
    caption = f"On the first {count(shown.ranked_rows)} rows ({scale.unit})"
    return Table(caption, columns, rows, fold=None)


def _ranked_row(one: Tried, shown: SweepResult, scale: Scale) -> Row:
    rank = NOTHING if one.rank is None else str(one.rank)
    if one.estimate is None:
        return _failed_row(one, (rank, NOTHING))
    names = (one.name, rank, words.estimator(one.estimate.estimator))
    row = estimate_row(names, one.estimate, scale, marked=one.name == shown.winner)
    if not one.as_logged:
        return row
    left = f"Of {count(one.as_logged)} rows it says nothing; they count as the log was."
    return row._replace(note=f"{row.note} {left}".strip())


def _failed_row(one: Tried, after: Iterable[str]) -> Row:
    cells = (one.name, *after, NOTHING, NOTHING, "failed", *[NOTHING] * 4)
    return Row(cells, "unanswerable", note=f"Failed: {one.failed}")


def _leads(shown: SweepResult, scale: Scale) -> Table:
    rows = [
        estimate_row((one.name, leads(one.lead)), one.lead, scale)
        for one in shown.tried
        if one.lead is not None
    ]
    caption = f"More than {shown.base} on the first {count(shown.ranked_rows)} rows"
    return Table(caption, (*texts("Policy", "Against the base"), *ESTIMATE), rows, fold=None)


def _held(shown: SweepResult, held: HeldOut, scale: Scale) -> Table:
    winner, base = shown.winner or "", shown.base
    found: list[tuple[str, str, Estimate | None]] = [
        (winner, "held-out rows", held.winner),
        (base, "held-out rows", held.base),
        (f"{winner}, more than {base}", "held-out rows", held.over_base),
        (f"{winner}, more than the log", "held-out rows", held.over_log),
        (winner, "ranking rows", held.ranked),
        (f"{winner}, more than {base}", "ranking rows", held.lead_ranked),
    ]
    rows = [
        estimate_row((name, where), one, scale, marked=one is held.over_base)
        for name, where, one in found
        if one is not None
    ]
    caption = (
        f"{count(held.rows)} rows from {moment(held.since)} to {moment(held.until)}, in which the "
        f"log earned {scale.value(held.logged)}"
    )
    return Table(caption, (*texts("What", "On"), *ESTIMATE), rows, fold=None)


def _options(advice: Advice, scale: Scale) -> Table:
    columns = (
        *texts("Way to explore"),
        *numbers("All alike", "Single variant", "Its rows", "By the model"),
        *ESTIMATE,
    )
    rows = [_option(one, advice, scale) for one in advice.options]
    caption = f"Exploration of {advice.policy} over {count(advice.rows)} rows ({scale.unit})"
    return Table(caption, columns, rows, fold=None)


def _option(one: Option, advice: Advice, scale: Scale) -> Row:
    bought = (share(one.even), share(one.single), f"{one.variant_rows:,.0f}")
    names = (one.name, *bought, scale.value(one.modelled))
    return estimate_row(names, one.earns, scale, marked=one.name == advice.recommended)


def _changes(shown: SweepResult) -> Table:
    rows = [Row((one.name, "; ".join(one.changed) or NOTHING, one.words)) for one in shown.tried]
    columns = texts("Policy", "Changes of the base", "What it is")
    return Table("What was tried", columns, rows)
