"""An evaluation in a terminal: warnings, verdicts and estimates, in the words of the report.

Names go in as ``Text``, never as markup: a policy called ``[red]`` is called that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from bandit_service.evaluation.report import tables, words
from bandit_service.evaluation.report.door import admitted
from bandit_service.evaluation.report.numbers import Scale, count, scale_of
from bandit_service.evaluation.report.table import Row, Table, remarks
from bandit_service.evaluation.results import Evaluation, PolicyResult

_STYLES: Final = {"ok": "", "weak": "dim italic", "unanswerable": "dim italic"}


def rendered(evaluation: Evaluation) -> Group:
    """What ``evaluate`` prints.

    Raises:
        EvaluationError: if the evaluation must not be reported; see ``door``.
    """
    shown = admitted(evaluation)
    scale = scale_of(shown)
    parts: list[RenderableType] = [*_warnings(shown), Text(words.summary(shown, scale)), Text()]
    for policy in shown.policies:
        parts += _policy(policy, scale)
    return Group(*parts)


def grid(table: Table) -> Grid:
    """A table; a narrow terminal folds its cells, and cuts none."""
    drawn = Grid(
        title=Text(table.caption), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    for column in table.columns:
        drawn.add_column(
            Text(column.name), justify="right" if column.numeric else "left", overflow="fold"
        )
    for row in table.rows:
        drawn.add_row(*(Text(cell, _style(row)) for cell in row.cells))
    return drawn


def _style(row: Row) -> str:
    return "bold" if row.marked and row.status == "ok" else _STYLES[row.status]


def _warnings(evaluation: Evaluation) -> Iterator[Text]:
    found = words.warnings_of(evaluation)
    for sentence in found.grave:
        yield Text(f"! {sentence}", "bold red")
    for sentence in found.notes:
        yield Text(f"! {sentence}", "yellow")
    for finding in evaluation.verification.findings:
        said = f"! {count(finding.count)} x {finding.kind}: {finding.meaning}"
        yield Text(said, "red" if finding.severity == "fatal" else "yellow")
    if found.grave or found.notes or evaluation.verification.findings:
        yield Text()


def _policy(policy: PolicyResult, scale: Scale) -> list[RenderableType]:
    table = tables.estimates(policy, scale)
    notes = [Text(one.about, "dim italic") for one in remarks(table.rows)]
    if policy.as_logged:
        left = f"Of {count(policy.as_logged)} rows it says nothing; they count as the log was."
        notes.append(Text(left, "dim italic"))
    verdict = Text.assemble((f"{policy.name}: ", "bold"), policy.verdict)
    return [verdict, grid(table), *notes, Text()]
