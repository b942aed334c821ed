"""Policies in order, the best first, and what the best of them earns where it was not chosen.

Order is by the LOWER bound of the first interval of the quoted estimate, on the rows before the
cut: of two that look alike the one that is surer comes first. A policy that the log answers weakly
or not at all has no rank, and never wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.paired import difference, gain_over_log, paired
from bandit_service.evaluation.results import Estimate
from bandit_service.evaluation.scores import CELLS_BY
from bandit_service.evaluation.sweeping.grid import Plan, Point
from bandit_service.evaluation.sweeping.passes import Failed, Part, Passed
from bandit_service.evaluation.sweeping.results import HeldOut, Tried
from bandit_service.policy.settings import SiteSettings, differences


class Scored(NamedTuple):
    """A policy that could be scored."""

    point: Point
    passed: Passed

    @property
    def quoted(self) -> Estimate:
        """What it is quoted at on the rows before the cut."""
        return _quoted(self.passed.ranked)

    @property
    def low(self) -> float | None:
        """What it is ranked by; None if it has no rank."""
        return self.quoted.intervals[0].low if self.quoted.status == "ok" else None


class Ranking(NamedTuple):
    """All that was tried, in order."""

    tried: list[Tried]
    base: str
    winner: Point | None
    held_out: HeldOut | None
    compared: int
    """How many were compared with the base."""
    ranked_rows: int
    lead_confidence: float
    """Of each lead, so that all hold together."""
    close: list[str]
    """Ranked below the winner, and not told from it on the same rows."""
    advisable: Point
    """The one to give advice on: the winner, else the base, else any that could be scored."""


def ranking(plan: Plan, outcomes: Sequence[Passed | Failed], rules: Rules) -> Ranking:
    """Rank what was scored.

    Args:
        plan: What was compared.
        outcomes: What came of each of its points.
        rules: For intervals.

    Raises:
        BanditError: if nothing could be scored; what the first of all failed by.
    """
    pairs = list(zip(plan.points, outcomes, strict=True))
    scored = [Scored(point, given) for point, given in pairs if isinstance(given, Passed)]
    failed = [(point, given) for point, given in pairs if isinstance(given, Failed)]
    if not scored:
        raise failed[0][1].error
    base = next((one for one in scored if one.point == plan.points[0]), None)
    compared = sum(one is not base for one in scored)
    confidence = 1.0 - (1.0 - rules.confidence) / max(compared, 1)
    ordered = sorted(scored, key=_order)
    best = ordered[0] if ordered[0].low is not None else None
    table = [
        *_scored_rows(ordered, base, plan.points[0], confidence, rules),
        *(_failed_row(point.name, point, plan.points[0], given) for point, given in failed),
        *(_unread(name, why) for name, why in plan.unreadable),
    ]
    return Ranking(
        tried=table,
        base=plan.points[0].name,
        winner=None if best is None else best.point,
        held_out=None if best is None else _held_out(best, base, rules),
        compared=compared,
        ranked_rows=scored[0].passed.ranked.rows,
        lead_confidence=confidence,
        close=[] if best is None else [*_close(best, ordered[1:], confidence, rules)],
        advisable=(best or base or ordered[0]).point,
    )


def _order(one: Scored) -> tuple[bool, float]:
    return one.low is None, -(one.low or 0.0)


def _scored_rows(
    ordered: Sequence[Scored], base: Scored | None, first: Point, confidence: float, rules: Rules
) -> Iterator[Tried]:
    for place, one in enumerate(ordered, 1):
        lead = None
        if base is not None and one is not base:
            lead = _lead(one.passed.ranked, base.passed.ranked, confidence, rules)
        yield Tried(
            name=one.point.name,
            words=one.passed.words,
            changed=changed(first.settings, one.point.settings),
            blind=one.point.blind,
            rank=None if one.low is None else place,
            estimate=one.quoted,
            lead=lead,
            as_logged=one.passed.as_logged,
            failed="",
        )


def _close(
    best: Scored, others: Sequence[Scored], confidence: float, rules: Rules
) -> Iterator[str]:
    for one in others:
        lead = _lead(best.passed.ranked, one.passed.ranked, confidence, rules)
        if one.low is not None and lead.intervals and lead.intervals[0].low <= 0.0:
            yield one.point.name


def _failed_row(name: str, point: Point, first: Point, given: Failed) -> Tried:
    return msgspec.structs.replace(
        _unread(name, given.error.message),
        changed=changed(first.settings, point.settings),
        blind=point.blind,
    )


def _unread(name: str, why: str) -> Tried:
    return Tried(
        name=name,
        words="It could not be scored.",
        changed=[],
        blind=False,
        rank=None,
        estimate=None,
        lead=None,
        as_logged=0,
        failed=why,
    )


def _held_out(best: Scored, base: Scored | None, rules: Rules) -> HeldOut:
    held = best.passed.held
    other = None if base is None or base is best else base.passed
    return HeldOut(
        rows=held.rows,
        since=held.since,
        until=held.until,
        logged=held.logged,
        ranked=best.quoted,
        winner=_quoted(held),
        base=None if other is None else _quoted(other.held),
        over_log=gain_over_log(
            held.gain, confidence=rules.confidence, seed=rules.seed, doubts=_doubts(held)
        ),
        over_base=None if other is None else _lead(held, other.held, rules.confidence, rules),
        lead_ranked=None
        if other is None
        else _lead(best.passed.ranked, other.ranked, rules.confidence, rules),
    )


def _lead(part: Part, base: Part, confidence: float, rules: Rules) -> Estimate:
    ratio = paired(part.earned, base.earned)
    doubts = dict.fromkeys((*_doubts(part), *_doubts(base)))
    return difference(ratio, confidence=confidence, seed=rules.seed, doubts=[*doubts])


def _doubts(part: Part) -> list[str]:
    """What is to be said against the estimates that differences are made of."""
    (of,) = (one for one in part.result.estimates if one.estimator == CELLS_BY)
    return of.why if of.status != "ok" else []


def _quoted(part: Part) -> Estimate:
    found = part.result
    return next(one for one in found.estimates if one.estimator == found.headline)


def changed(base: SiteSettings, settings: SiteSettings) -> list[str]:
    """What settings change in others, as ``policy.gamma = 10.0``."""
    values = {"rewards": settings.rewards, "policy": settings.policy}
    found = []
    for name in differences(base, settings):
        part, _, field = name.partition(".")
        value = getattr(values[part], field)
        text = msgspec.json.encode(value).decode()
        found.append(f"{name} = {text}")
    return found
