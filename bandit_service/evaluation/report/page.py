"""An evaluation as one HTML file that works from a disk, on a phone and on paper.

What stands where is in ``templates/report.html``; its parts are macros in ``templates/parts.html``,
its frame is ``shell``. Another kind of page brings a template and the tables and charts it needs.
"""

from __future__ import annotations

from typing import NamedTuple

from bandit_service.evaluation.report import figures, tables, words
from bandit_service.evaluation.report.charts import Chart
from bandit_service.evaluation.report.door import admitted
from bandit_service.evaluation.report.numbers import Scale, scale_of
from bandit_service.evaluation.report.shell import render
from bandit_service.evaluation.report.table import FOLD, Row, Table
from bandit_service.evaluation.report.tables import PlacementShares
from bandit_service.evaluation.results import Cell, Evaluation, PolicyResult


class Part(NamedTuple):
    """A chart with its twin."""

    chart: Chart
    table: Table


class PolicyView(NamedTuple):
    """What the template needs of a policy."""

    name: str
    words: str
    verdict: str
    quoted: Row | None
    """Its row at a glance."""
    estimates: Table
    intervals: Table
    over_time: Part | None
    over_time_facts: list[tuple[str, str]]
    weights: Part | None
    weight_facts: list[tuple[str, str]]
    support: Chart | None
    placements: list[PlacementShares]
    """The twin of ``support``, a table for each placement."""
    by_placement: Part | None
    by_persona: Part | None


def page(evaluation: Evaluation) -> str:
    """The report as HTML.

    Raises:
        EvaluationError: if the evaluation must not be reported; see ``door``.
    """
    shown = admitted(evaluation)
    scale = scale_of(shown)
    glance = tables.at_a_glance(shown, scale)
    return render(
        "report.html",
        title=words.TITLE,
        evaluation=shown,
        words=words,
        warnings=words.warnings_of(shown),
        summary=words.summary(shown, scale),
        glance=Part(figures.estimates(shown, scale), glance) if glance.rows else None,
        policies=[_view(shown, policy, scale) for policy in shown.policies],
        checks=words.checks_of(shown.verification),
        findings=tables.findings(shown.verification.findings),
        ratio_tests=tables.ratio_tests(shown.verification.sample_ratio),
        excluded=tables.excluded(shown),
        coverage=tables.coverage(shown.coverage),
        glossary=words.glossary_of(shown),
        made=tables.made(shown),
        fold=FOLD,
    )


def _view(evaluation: Evaluation, policy: PolicyResult, scale: Scale) -> PolicyView:
    own = evaluation.mean_reward
    row = tables.quoted_row(policy, scale)
    return PolicyView(
        name=policy.name,
        words=words.learning(policy),
        verdict=policy.verdict,
        quoted=row,
        estimates=tables.estimates(policy, scale),
        intervals=tables.intervals(policy, scale),
        over_time=_over_time(evaluation, policy, scale),
        over_time_facts=tables.over_time_facts(policy),
        weights=_weights(policy),
        weight_facts=tables.weight_facts(policy.weights, policy.as_logged),
        support=figures.shares(policy.name, policy.shares, scale) if policy.shares else None,
        placements=tables.shares(policy.shares, scale),
        by_placement=_part(policy.by_placement, tables.by_placement(policy, scale), scale, own),
        by_persona=_part(policy.by_persona, tables.by_persona(policy, scale), scale, own),
    )


def _over_time(evaluation: Evaluation, policy: PolicyResult, scale: Scale) -> Part | None:
    if not policy.over_time:
        return None
    bounds = figures.time_bounds(evaluation)
    chart = figures.over_time(policy, scale, evaluation.mean_reward, bounds)
    return Part(chart, tables.moments(policy, scale))


def _weights(policy: PolicyResult) -> Part | None:
    if not policy.weights.counts:
        return None
    chart = figures.weights(policy.name, policy.weights)
    return Part(chart, tables.weights(policy.name, policy.weights))


def _part(found: list[Cell], twin: Table, scale: Scale, own: float | None) -> Part | None:
    return Part(figures.parts(twin.caption, found, scale, own), twin) if found else None
