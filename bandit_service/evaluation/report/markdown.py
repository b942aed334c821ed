"""An evaluation as Markdown that reads well in a terminal and on GitHub.

Names and sentences come from outside, so whatever Markdown or HTML would act on is escaped. Long
tables are cut, saying so: the page folds the rest, the JSON has everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from bandit_service.evaluation.report import tables, words
from bandit_service.evaluation.report.door import admitted
from bandit_service.evaluation.report.numbers import Scale, count, scale_of
from bandit_service.evaluation.report.table import Column, Row, Table, remarks
from bandit_service.evaluation.results import Evaluation, PolicyResult

_ACTIVE: Final = re.compile(r"([\\`*\[\]|~$])|(?<!\w)(_)|(_)(?!\w)")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_STARTS: Final = re.compile(r"^(\s*\d*)(#|>|[-+=.)](?=\s|$)|-{3}|={3})")


def markdown(evaluation: Evaluation) -> str:
    """The report as Markdown.

    Raises:
        EvaluationError: if the evaluation must not be reported; see ``door``.
    """
    shown = admitted(evaluation)
    scale = scale_of(shown)
    blocks = [
        f"# {words.TITLE}",
        f"An offline evaluation of {plain(shown.log.name)}",
        *_warnings(shown),
        *_summary(shown, scale),
        *(block for policy in shown.policies for block in _policy(policy, scale)),
        *_checks(shown),
        *_excluded(shown),
        *_coverage(shown),
        *_reading(shown),
        *_made(shown),
    ]
    return "\n\n".join(blocks) + "\n"


def plain(text: str) -> str:
    """Text from outside, in which nothing is Markdown or HTML."""
    escaped = _ACTIVE.sub(lambda found: "\\" + found[0], text)
    escaped = _ENTITY.sub("&amp;", escaped).replace("<", "&lt;")
    return _STARTS.sub(r"\1\\\2", escaped)


def table(shown: Table) -> str:
    """A table, its columns aligned for those who read the source; notes of rows below it."""
    head = [column.name for column in shown.columns]
    body = [[_cell(row, cell) for cell in row.cells] for row in shown.head]
    widths = [max(len(line[at]) for line in [head, *body]) for at in range(len(head))]
    lines = [
        _line(head, widths, shown.columns),
        "| " + " | ".join(map(_rule, widths, shown.columns)) + " |",
        *(_line(line, widths, shown.columns) for line in body),
    ]
    return "\n".join([f"{plain(shown.caption)}:", "", *lines, *_below(shown)])


def _cell(row: Row, cell: str) -> str:
    return f"**{plain(cell)}**" if row.marked else plain(cell)


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    padded = (
        cell.rjust(width) if column.numeric else cell.ljust(width)
        for cell, width, column in zip(cells, widths, columns, strict=True)
    )
    return "| " + " | ".join(padded) + " |"


def _rule(width: int, column: Column) -> str:
    return "-" * (width - 1) + (":" if column.numeric else "-")


def _below(shown: Table) -> list[str]:
    notes = [f"- {plain(one.about)}" for one in remarks(shown.head)]
    if shown.rest:
        notes.append(f"- {count(len(shown.rest))} more rows are in the page and in the JSON.")
    return ["", *notes] if notes else []


def _warnings(evaluation: Evaluation) -> list[str]:
    found = words.warnings_of(evaluation)
    return [
        *_quoted("Do not decide by this report", found.grave),
        *_quoted("Know before you read on", found.notes),
    ]


def _quoted(title: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    return ["\n".join([f"> **{title}**", ">", *(f"> - {plain(one)}" for one in sentences)])]


def _summary(evaluation: Evaluation, scale: Scale) -> list[str]:
    blocks = ["## Summary", plain(words.summary(evaluation, scale))]
    if not evaluation.policies:
        return [*blocks, "No policy was evaluated."]
    blocks.append(
        "\n".join(f"- **{plain(one.name)}**: {plain(one.verdict)}" for one in evaluation.policies)
    )
    return [*blocks, *_tables([tables.at_a_glance(evaluation, scale)])]


def _policy(policy: PolicyResult, scale: Scale) -> list[str]:
    name = policy.name
    facts = _facts(tables.weight_facts(policy.weights, policy.as_logged))
    moments = _facts(tables.over_time_facts(policy))
    return [
        f"## Policy {plain(name)}",
        plain(words.learning(policy)),
        *_tables([tables.estimates(policy, scale), tables.intervals(policy, scale)]),
        *_part("Over time", words.OVER_TIME, [tables.moments(policy, scale)], moments),
        *_part("Weights", words.WEIGHTS, [tables.weights(name, policy.weights)], facts),
        *_part("Support", words.SUPPORT, [tables.all_shares(policy, scale)]),
        *_part("By persona", words.CELLS, [tables.by_persona(policy, scale)]),
        *_part("By placement", words.CELLS, [tables.by_placement(policy, scale)]),
    ]


def _part(
    title: str, explained: str, found: Iterable[Table], facts: Sequence[str] = ()
) -> list[str]:
    shown = _tables(found)
    if not shown:
        return []
    return [f"### {title}", explained, *(["\n".join(facts)] if facts else []), *shown]


def _tables(found: Iterable[Table]) -> list[str]:
    return [table(one) for one in found if one.rows]


def _checks(evaluation: Evaluation) -> list[str]:
    verification = evaluation.verification
    blocks = ["## Checks of the log", words.checks_of(verification)]
    blocks += _tables([tables.findings(verification.findings)])
    if verification.sample_ratio:
        blocks += [words.SAMPLE_RATIO, table(tables.ratio_tests(verification.sample_ratio))]
    return blocks


def _excluded(evaluation: Evaluation) -> list[str]:
    return ["## Left out", *(_tables([tables.excluded(evaluation)]) or ["Nothing was left out."])]


def _coverage(evaluation: Evaluation) -> list[str]:
    found = tables.coverage(evaluation.coverage)
    if not found.rows:
        return ["## Coverage of the intervals", "This result carries no coverage study."]
    return ["## Coverage of the intervals", words.COVERAGE, table(found)]


def _reading(evaluation: Evaluation) -> list[str]:
    terms = [f"- **{term.label}**: {term.gloss}" for term in words.glossary_of(evaluation)]
    return ["## How to read this", "\n".join(terms)]


def _made(evaluation: Evaluation) -> list[str]:
    return ["## How it was made", "\n".join(_facts(tables.made(evaluation)))]


def _facts(found: Iterable[tuple[str, str]]) -> list[str]:
    return [f"- {plain(name)}: {plain(value)}" for name, value in found]
