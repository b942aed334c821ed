"""From sums to what may be said: an estimate with its intervals, or the reason why there is none.

Two limits decide. Below LEAST_ESS effective rows the log cannot answer: a number would be that of a
handful of rows, so none is given. Below FEW_ESS, or where no interval is claimed to hold, the
number is shown greyed, with the reason. Which intervals may claim what is ``intervals.chooser``'s,
and is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.intervals.chooser import (
    MIN_WORTH,
    Evidence,
    Rules,
    intervals_for,
    too_poor,
    worth,
)
from bandit_service.evaluation.intervals.normal import normal
from bandit_service.evaluation.results import Cell, Estimate, Interval, Status
from bandit_service.evaluation.scores import CELLS_BY, Scores

LEAST_ESS: Final = 10.0
"""Effective rows below which nothing is said."""
FEW_ESS: Final = 100.0
"""Effective rows below which a number is greyed."""
ONE_ROW: Final = 0.1
"""Part of all weight that one row may have before the number is greyed."""
LEAST_SUPPORT: Final = 0.5
"""Part of a policy's choices that the log must be able to show, or nothing is said."""
MISSED_SUPPORT: Final = 0.01
"""Part of them that it may miss before numbers are greyed."""
QUOTED: Final = ("dr", "snips", "ips", "dr-os", "switch-dr", "clipped-ips", "replay", "dm")
"""Which estimator to quote: the first of these that is sound. The unbiased ones come first."""


class Judge(NamedTuple):
    """What decides, for one target on one log."""

    rules: Rules
    evidence: Evidence
    unsupported: float | None
    """Part of the target's choices that the log could not have shown; None: it does not say."""

    def estimate(self, name: str, ratio: Ratio) -> Estimate:
        """What an estimator says, and how far to trust it."""
        unanswerable = [*self._unanswerable(ratio)]
        if unanswerable:
            return _estimate(name, ratio, None, [], "unanswerable", unanswerable)
        offers = intervals_for(name, ratio, self.rules, self.evidence)
        claimed = [offer.interval for offer in offers if offer.interval and offer.claimed]
        others = [offer.interval for offer in offers if offer.interval and not offer.claimed]
        if not claimed and not others:
            lacking = [offer.why for offer in offers if offer.why]
            return _estimate(name, ratio, None, [], "unanswerable", [*dict.fromkeys(lacking)])
        # One reason is enough: that of the interval which is shown.
        held_back = [o.why for o in offers if o.interval and o.why and not claimed][:1]
        doubts = [*dict.fromkeys([*self._doubts(ratio), *held_back])]
        status: Status = "weak" if doubts else "ok"
        return _estimate(name, ratio, ratio.value, claimed or others, status, doubts)

    def _unanswerable(self, ratio: Ratio) -> Iterator[str]:
        if not ratio.sums.den:
            yield "No row of the log counts for it."
        elif self.evidence.reference.ess < LEAST_ESS:
            yield (
                f"Of {ratio.sums.n:,} rows the log is worth {self.evidence.reference.ess:.1f} for "
                f"this policy; {LEAST_ESS:g} are the least."
            )
        missed = self.unsupported
        if missed is not None and missed > LEAST_SUPPORT:
            yield f"The log could not have shown {missed:.0%} of what the policy shows."

    def _doubts(self, ratio: Ratio) -> Iterator[str]:
        if ratio.ess < FEW_ESS:
            yield f"It rests on {ratio.ess:.1f} effective rows, and {FEW_ESS:g} are few."
        if ratio.weight and ratio.max_weight / ratio.weight > ONE_ROW:
            yield f"One row alone has {ratio.max_weight / ratio.weight:.0%} of all weight."
        missed = self.unsupported
        if missed is not None and missed > MISSED_SUPPORT:
            yield f"The log could not have shown {missed:.1%} of what the policy shows."


def judged(
    scores: Scores, rules: Rules, *, earned: float, sequence: Interval | None
) -> dict[str, Estimate]:
    """Every estimate of a target, by estimator; ``earned`` is the sum of all rewards in the log."""
    ratios = {name: fold.get() for name, fold in scores.estimates.items()}
    unsupported = scores.weights.get().unsupported
    evidence = Evidence(ratios["ips"], earned, unsupported or 0.0, sequence)
    judge = Judge(rules, evidence, unsupported)
    return {name: judge.estimate(name, ratio) for name, ratio in ratios.items()}


def quoted(estimates: Mapping[str, Estimate], *, same: bool = False) -> str:
    """The name of the estimator to quote.

    Of a policy that does what the log's did (``same``) it is the plain mean, which needs no model.
    """
    if same and "ips" in estimates and estimates["ips"].status == "ok":
        return "ips"
    for status in ("ok", "weak", "unanswerable"):
        for name in QUOTED:
            if name in estimates and estimates[name].status == status:
                return name
    return QUOTED[0]


def parts(found: Mapping[str, Ratio], whole: Ratio, rules: Rules) -> list[Cell]:
    """Estimates of the parts of a log, the largest first.

    Their intervals are normal, widened as much as visitors with several rows widen the whole, and
    asked for as many rewarded rows as other normal intervals.
    """
    widen = _design_effect(whole, rules.confidence)
    cells = [Cell(name=name, estimate=_part(ratio, rules, widen)) for name, ratio in found.items()]
    return sorted(cells, key=lambda cell: (-cell.estimate.n, cell.name))


def _part(ratio: Ratio, rules: Rules, widen: float) -> Estimate:
    interval = normal(ratio, rules.confidence)
    rests = f"It rests on {ratio.ess:.1f} effective rows."
    if ratio.ess < LEAST_ESS or interval is None:
        return _estimate(CELLS_BY, ratio, None, [], "unanswerable", [rests])
    half = widen * (interval.high - interval.low) / 2.0
    wide = msgspec.structs.replace(interval, low=ratio.value - half, high=ratio.value + half)
    few = [rests] if ratio.ess < FEW_ESS else [*poor(ratio, rules)]
    return _estimate(CELLS_BY, ratio, ratio.value, [wide], "weak" if few else "ok", few)


def poor(ratio: Ratio, rules: Rules) -> Iterator[str]:
    """Why the rewards of an estimate that is a mean are too few for a normal interval, if so."""
    rows = worth(CELLS_BY, ratio, rules.reward_range, Evidence(ratio, math.inf))
    if rows < MIN_WORTH["normal"]:
        yield too_poor(rows, MIN_WORTH["normal"])


def _design_effect(whole: Ratio, confidence: float) -> float:
    """How much wider an interval is for visitors that have several rows; at least 1."""
    apart = normal(whole._replace(clusters=False), confidence)
    together = normal(whole, confidence)
    if apart is None or together is None or apart.high <= apart.low:
        return 1.0
    return max(1.0, (together.high - together.low) / (apart.high - apart.low))


def _estimate(
    name: str,
    ratio: Ratio,
    value: float | None,
    intervals: list[Interval],
    status: Status,
    why: list[str],
) -> Estimate:
    return Estimate(
        estimator=name,
        value=value,
        intervals=intervals,
        n=ratio.sums.n,
        ess=ratio.ess,
        max_weight=ratio.max_weight,
        status=status,
        why=why,
    )
