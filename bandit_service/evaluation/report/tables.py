"""The tables of a report: what each row says, decided once for the page, Markdown and terminal.

Every row of an estimate is made by ``estimate_row``, which gives the value with its interval, n,
effective sample size and largest weight, or no value and the reason: there is no other way to get
an estimate into a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from bandit_service.evaluation.report import words
from bandit_service.evaluation.report.numbers import (
    NOTHING,
    Scale,
    count,
    mean_weight,
    moment,
    p_value,
    points,
    share,
    size,
    weight,
)
from bandit_service.evaluation.report.table import Row, Table, numeric, text
from bandit_service.evaluation.results import (
    Cell,
    Coverage,
    Estimate,
    Evaluation,
    Finding,
    Moment,
    PolicyResult,
    RatioTest,
    Share,
    Weights,
)

MOST_MOMENTS: Final = 25
"""Rows of the table of estimates over time."""


ESTIMATE: Final = (
    *numeric("Estimate"),
    *text("Interval", "Trust"),
    *numeric("n", "ESS", "Largest weight"),
    *text("Kind of interval"),
)


def estimate_row(
    names: Sequence[str], estimate: Estimate, scale: Scale, *, marked: bool = False
) -> Row:
    """The names of a row, then an estimate under the columns ``ESTIMATE``."""
    first = estimate.intervals[0] if estimate.intervals else None
    if first is None or estimate.value is None or estimate.status == "unanswerable":
        value = interval = kind = NOTHING
    else:
        value = scale.value(estimate.value)
        interval = scale.interval(first.low, first.high)
        kind = words.interval_kind(first)
    cells = (value, interval, words.status(estimate) or "ok")
    doubt = (count(estimate.n), size(estimate.ess), weight(estimate.max_weight))
    note = words.reasons(estimate)
    return Row((*names, *cells, *doubt, kind), estimate.status, marked, note)


def quoted_row(policy: PolicyResult, scale: Scale) -> Row | None:
    """The estimate to quote of a policy; None if it has none."""
    found = words.quoted(policy)
    if found is None:
        return None
    return estimate_row((policy.name, words.estimator(found.estimator)), found, scale)


def at_a_glance(evaluation: Evaluation, scale: Scale) -> Table:
    """The quoted estimate of each policy."""
    found = [quoted_row(policy, scale) for policy in evaluation.policies]
    rows = [row for row in found if row is not None]
    columns = (*text("Policy", "Estimator"), *ESTIMATE)
    return Table("The quoted estimate of each policy", columns, rows, fold=None)


def estimates(policy: PolicyResult, scale: Scale) -> Table:
    """All estimates of a policy, the quoted one marked."""
    rows = [
        estimate_row(
            (words.estimator(estimate.estimator),),
            estimate,
            scale,
            marked=estimate.estimator == policy.headline,
        )
        for estimate in policy.estimates
    ]
    rows.append(estimate_row((words.GAIN,), policy.gain, scale))
    caption = f"Estimates of {policy.name} ({scale.unit}); the quoted one is in bold"
    return Table(caption, (*text("Estimator"), *ESTIMATE), rows, fold=None)


def intervals(policy: PolicyResult, scale: Scale) -> Table:
    """All intervals of a policy's estimates, where some have more than the one shown."""
    rows = [
        Row(
            (
                words.estimator(estimate.estimator),
                words.interval_kind(interval),
                scale.value(interval.low),
                scale.value(interval.high),
            ),
            estimate.status,
        )
        for estimate in policy.estimates
        if len(estimate.intervals) > 1
        for interval in estimate.intervals
    ]
    columns = [*text("Estimator", "Kind of interval"), *numeric("From", "To")]
    return Table(f"Every interval made for {policy.name}", columns, rows, fold=None)


def by_persona(policy: PolicyResult, scale: Scale) -> Table:
    """A policy's estimates by persona."""
    return _parts(f"Estimates of {policy.name} by persona", "Persona", policy.by_persona, scale)


def by_placement(policy: PolicyResult, scale: Scale) -> Table:
    """A policy's estimates by placement."""
    caption = f"Estimates of {policy.name} by placement"
    return _parts(caption, "Placement", policy.by_placement, scale)


def _parts(caption: str, name: str, found: Iterable[Cell], scale: Scale) -> Table:
    ordered = sorted(found, key=lambda cell: (-cell.estimate.n, cell.name))
    rows = [estimate_row((cell.name,), cell.estimate, scale) for cell in ordered]
    return Table(caption, (*text(name), *ESTIMATE), rows)


def moments(policy: PolicyResult, scale: Scale) -> Table:
    """The estimate over time; of very many moments some, evenly spaced, and the last."""
    chosen = _spaced(policy.over_time, MOST_MOMENTS)
    rows = [
        Row(
            (
                moment(at.ms),
                count(at.n),
                scale.value(at.value),
                scale.interval(at.low, at.high),
            )
        )
        for at in chosen
    ]
    some = "" if len(chosen) == len(policy.over_time) else f" ({len(chosen)} moments of more)"
    columns = [*text("Up to"), *numeric("n", "Estimate"), *text("Anytime-valid interval")]
    return Table(f"{policy.name} over time, by IPS{some}", columns, rows, fold=None)


def _spaced(found: Sequence[Moment], most: int) -> Sequence[Moment]:
    if len(found) <= most:
        return found
    step = (len(found) - 1) / (most - 1)
    return [found[round(index * step)] for index in range(most)]


def over_time_facts(policy: PolicyResult) -> list[tuple[str, str]]:
    """How far to trust a policy's estimates over time, as names and values."""
    found = words.quoted(policy)
    if found is None:
        return []
    doubt = f"ESS {size(found.ess)}, largest weight {weight(found.max_weight)}"
    return [("Behind the quoted estimate", f"n {count(found.n)}, {doubt}")]


def weights(name: str, found: Weights) -> Table:
    """The histogram of a policy's weights."""
    total = sum(found.counts) or 1
    rows = [
        Row((f"{weight(low)} to {weight(high)}", count(n), share(n / total)))
        for low, high, n in zip(found.edges, found.edges[1:], found.counts, strict=False)
    ]
    columns = [*text("Weight"), *numeric("Rows", "Share of rows")]
    return Table(f"Weights of {name}", columns, rows, fold=None)


def weight_facts(found: Weights, as_logged: int) -> list[tuple[str, str]]:
    """What to know of a policy's weights, as names and values."""
    mean = found.mean_interval
    bounds = f"{mean_weight(mean.low)} to {mean_weight(mean.high)}"
    facts = [
        ("Mean weight", f"{mean_weight(found.mean)} ({bounds}, {words.interval_kind(mean)})"),
        ("Largest weight", weight(found.maximum)),
    ]
    if as_logged:
        facts.append(("Rows it says nothing about, left as logged", count(as_logged)))
    if found.unsupported is None:
        facts.append(("Given to what the log could not show", "the log does not say"))
    else:
        facts.append(("Given to what the log could not show", share(found.unsupported)))
    return facts


class PlacementShares(NamedTuple):
    """What a policy shows on one placement."""

    placement: str
    n: int
    """Rows of the log."""
    largest: float
    """The largest difference between two shares there, as a fraction."""
    table: Table

    @property
    def words(self) -> str:
        """What to know of it while it is folded."""
        return f"n {count(self.n)}, largest difference {100.0 * self.largest:.1f} points"


def shares(found: Iterable[Share], scale: Scale) -> list[PlacementShares]:
    """Shares by placement, those with the most rows first."""
    ordered = sorted(found, key=lambda one: (one.placement, one.persona, -one.n, one.arm))
    parts = [
        _placement(placement, list(rows), scale)
        for placement, rows in groupby(ordered, key=lambda one: one.placement)
    ]
    return sorted(parts, key=lambda part: (-part.n, part.placement))


def all_shares(policy: PolicyResult, scale: Scale) -> Table:
    """Shares on all placements in one table."""
    parts = shares(policy.shares, scale)
    rows = [
        Row((part.placement, *row.cells), row.status) for part in parts for row in part.table.rows
    ]
    return Table(f"Who is shown what by {policy.name}", (*text("Placement"), *_SHARE), rows)


_SHARE: Final = (
    *text("Persona", "Variant"),
    *numeric("n", "Log's share", "Policy's share", "Difference, points", "Mean reward"),
)


def _placement(placement: str, found: list[Share], scale: Scale) -> PlacementShares:
    rows = [
        Row(
            (
                one.persona,
                one.arm,
                count(one.n),
                share(one.logged),
                share(one.target),
                points(one.target - one.logged),
                scale.value(one.reward),
            )
        )
        for one in found
    ]
    return PlacementShares(
        placement,
        sum(one.n for one in found),
        max(abs(one.target - one.logged) for one in found),
        Table(f"Who is shown what on {placement}", _SHARE, rows, fold=None),
    )


def findings(found: Sequence[Finding]) -> Table:
    """What is wrong with the log, the fatal first."""
    ordered = sorted(found, key=lambda finding: (finding.severity != "fatal", -finding.count))
    rows = [
        Row(
            (
                finding.kind,
                finding.severity,
                count(finding.count),
                finding.meaning,
                _places(finding),
            )
        )
        for finding in ordered
    ]
    columns = [*text("Finding", "Severity"), *numeric("Rows"), *text("What it means", "First")]
    return Table("What the checks found", columns, rows, fold=None)


def _places(finding: Finding) -> str:
    return "; ".join(f"{one.place}: {one.message}" for one in finding.first) or NOTHING


def ratio_tests(found: Sequence[RatioTest]) -> Table:
    """Whether variants were shown as logged."""
    rows = [Row((test.name, count(test.n), p_value(test.p_value), test.worst)) for test in found]
    columns = [*text("Placement"), *numeric("n", "p-value"), *text("Furthest off")]
    return Table("Sample-ratio tests", columns, rows)


def excluded(evaluation: Evaluation) -> Table:
    """What was left out of the log."""
    ordered = sorted(evaluation.excluded.items(), key=lambda item: (-item[1], item[0]))
    rows = [Row((reason, count(n))) for reason, n in ordered]
    return Table("Left out, by reason", [*text("Reason"), *numeric("Count")], rows, fold=None)


def coverage(found: Sequence[Coverage]) -> Table:
    """Which intervals hold where, as measured."""
    rows = [
        Row(
            (
                one.world,
                words.estimator(one.estimator),
                words.kind_label(one.interval),
                count(one.logs),
                count(one.n),
                share(one.coverage),
                "yes" if one.claimed else "no",
                one.note or NOTHING,
            )
        )
        for one in found
    ]
    columns = [
        *text("World", "Estimator", "Interval"),
        *numeric("Logs", "n", "Held the truth"),
        *text("Claims to", "Note"),
    ]
    return Table("Coverage of the intervals in simulated logs", columns, rows)


def made(evaluation: Evaluation) -> list[tuple[str, str]]:
    """How the result was made, as names and values."""
    low, high = evaluation.reward_range
    log = evaluation.log
    return [
        ("Made", evaluation.made),
        ("Version", evaluation.version),
        ("Log", log.name),
        ("Format of the log", log.format),
        ("Propensities", log.propensities),
        ("Decisions from", moment(evaluation.since)),
        ("Decisions until", moment(evaluation.until)),
        ("A reward lies between", f"{low:g} and {high:g}"),
        *sorted(evaluation.settings.items()),
    ]
