"""Which intervals an estimate may show, which comes first, and which are held back and why.

The rules here are checked against ``simulations.coverage``: what a world claims at 95 % must hold
on at least 93 % of its logs. An interval that is held back is still computed, so that the study can
show what would have become of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.estimators import EstimatorSettings
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.intervals.bernstein import empirical_bernstein
from bandit_service.evaluation.intervals.bootstrap import TAIL, bootstrap
from bandit_service.evaluation.intervals.clopper_pearson import clopper_pearson
from bandit_service.evaluation.intervals.normal import normal
from bandit_service.evaluation.results import Interval

_USUAL: Final = ("bootstrap", "normal")
APPLIES: Final[Mapping[str, tuple[str, ...]]] = {
    "ips": ("clopper-pearson", *_USUAL, "anytime"),
    "snips": ("clopper-pearson", *_USUAL),
    "clipped-ips": (*_USUAL, "empirical-bernstein"),
    "dm": _USUAL,
    "dr": _USUAL,
    "switch-dr": _USUAL,
    "dr-os": _USUAL,
    "replay": ("clopper-pearson", *_USUAL),
}
"""The intervals of each estimator, in the order of preference: an exact one before others, the
studentised bootstrap before the normal, those for any n last, since they are the widest. Those of
``dm`` are always held back."""
MIN_ESS: Final = 50.0
"""Effective rows below which sums are not near enough to normal."""
MIN_WORTH: Final[Mapping[str, float]] = {"bootstrap": 15.0, "normal": 30.0}
"""Rewarded rows of the largest weight that the log must be worth; see ``worth``."""
MAX_SHRUNK: Final = 0.03
"""Part of the largest weight that ``dr-os`` may take away before its bias counts."""
MAX_UNSUPPORTED: Final = 0.001
"""The target's probability of what the log could not show, from which it counts."""
MIN_VISITORS: Final = 50.0
"""Visitors alike in their rows below which their sums are not near enough to normal. On 500 logs
of 8 visitors the normal interval held on 91 %; of 1,000 visitors one of whom made half of all rows
on 57 %, and the bootstrap on 91 %."""
MAX_OFF: Final = 4.0
"""Standard errors by which the mean weight may be off; see ``_unlike``."""
OFF: Final = 0.01
"""By how much it may be off whatever its standard error."""
MISSING: Final[Mapping[str, str]] = {
    "normal": "The rows do not say how much they vary.",
    "bootstrap": "Too few rows vary.",
    "clopper-pearson": (
        "Weights above 0 differ, or rewards are not 0 or one value, or visitors are known."
    ),
    "empirical-bernstein": "The range of rewards is not known, or there are fewer than two rows.",
    "anytime": "The range of rewards is not known, or there are no rows.",
}
"""Why an interval cannot be computed."""


class Offer(NamedTuple):
    """An interval that an estimate has, or would have."""

    kind: str
    interval: Interval | None
    """None: it cannot be computed."""
    why: str | None
    """Why it is held back, a sentence; None: it is claimed to hold."""

    @property
    def claimed(self) -> bool:
        """Whether it may be shown."""
        return self.why is None


class Rules(NamedTuple):
    """What intervals need besides the log."""

    reward_range: tuple[float, float] | None
    """What a reward can be; None: not known, and then no interval that needs it is given."""
    settings: EstimatorSettings
    confidence: float = 0.95
    adaptive: bool = False
    """Whether the policy that logged, or the target, learned from the rows that are evaluated."""
    fresh: bool = True
    """Whether each row was drawn anew; not so if a visitor is shown the same again."""
    seed: int = 1
    """Of the bootstrap."""
    replicates: int = 2000
    """Of the bootstrap."""


class Evidence(NamedTuple):
    """What a log says of a target, whichever estimator asks."""

    reference: Ratio
    """The sums of ``ips``: how far log and target are apart depends on no estimator."""
    earned: float
    """The sum of all rewards in the log."""
    unsupported: float = 0.0
    """The mean probability that the target gives to what the log could not show."""
    sequence: Interval | None = None
    """The last interval of the confidence sequence."""


def intervals_for(estimator: str, ratio: Ratio, rules: Rules, evidence: Evidence) -> list[Offer]:
    """The intervals of an estimate; show those that are claimed, the first above all.

    Args:
        estimator: its name.
        ratio: its sums.
        rules: what else intervals need.
        evidence: what the log says, of the same rows and target.
    """
    bias = _bias(estimator, rules, evidence)
    offers = []
    for kind in APPLIES[estimator]:
        interval = _interval(kind, ratio, rules, evidence)
        why = _doubt(kind, estimator, ratio, rules, evidence)
        if kind in _USUAL or kind == "clopper-pearson":
            why = bias or why
        offers.append(Offer(kind, interval, why or (None if interval else MISSING[kind])))
    return offers


def worth(
    estimator: str, ratio: Ratio, reward_range: tuple[float, float] | None, evidence: Evidence
) -> float:
    """How many rewarded rows of the largest weight w the log is worth to the estimate.

        min(sum of w r, sum of r) / (max w max |r|)

    One more such row moves ``ips`` by 1 / worth of itself, so that this says how far its sum is
    from normal. Unlike the number of rewarded rows, it sees large weights whose rewards have yet to
    come. The rewards of the whole log are there because sum w r is the estimate itself: to show an
    interval only where that is high makes it fail more often than it says.

    Where the range of rewards is not known: (sum w r)^2 / sum (w r)^2, as an effective sample size.
    """
    used = ratio if estimator == "replay" else evidence.reference
    if reward_range is None:
        return used.sums.num**2 / used.sums.num2 if used.sums.num2 else 0.0
    largest = used.max_weight * max(abs(reward_range[0]), abs(reward_range[1]))
    return max(0.0, min(used.sums.num, evidence.earned)) / largest if largest else 0.0


def _interval(kind: str, ratio: Ratio, rules: Rules, evidence: Evidence) -> Interval | None:
    if kind == "normal":
        return normal(ratio, rules.confidence)
    if kind == "bootstrap":
        return bootstrap(ratio, rules.confidence, seed=rules.seed, replicates=rules.replicates)
    if rules.reward_range is None:
        return None
    if kind == "clopper-pearson":
        return clopper_pearson(ratio, rules.confidence, reward_range=rules.reward_range)
    if kind == "empirical-bernstein":
        return empirical_bernstein(
            ratio, rules.confidence, clip=rules.settings.clip, reward_range=rules.reward_range
        )
    return evidence.sequence


def _doubt(kind: str, estimator: str, ratio: Ratio, rules: Rules, evidence: Evidence) -> str | None:
    """Why an interval of this kind would not hold, whatever the bias of the estimate."""
    if kind == "anytime":
        return None if rules.fresh else "Visitors were shown the same again without a new draw."
    if kind in _USUAL:
        return _too_few(kind, estimator, ratio, rules, evidence)
    if rules.adaptive:
        return "A policy learned from these rows, so they are not independent."
    if ratio.clusters:
        return "Rows of the same visitor are not independent."
    return None


def _too_few(
    kind: str, estimator: str, ratio: Ratio, rules: Rules, evidence: Evidence
) -> str | None:
    ess = min(evidence.reference.ess, ratio.ess if estimator == "replay" else math.inf)
    if ess < MIN_ESS:
        return f"The effective sample size is {ess:.0f}, below {MIN_ESS:.0f}."
    visitors = _visitors(ratio)
    if visitors < MIN_VISITORS:
        return f"The rows are of few visitors, worth {visitors:.0f}, below {MIN_VISITORS:.0f}."
    if kind == "bootstrap" and (1.0 - rules.confidence) / 2.0 < TAIL:
        return f"The bootstrap's replicates are too few for a confidence of {rules.confidence:g}."
    rows = worth(estimator, ratio, rules.reward_range, evidence)
    if rows < MIN_WORTH[kind]:
        return too_poor(rows, MIN_WORTH[kind])
    return None


def too_poor(rows: float, least: float) -> str:
    """Why there are too few rewards, in rows of the largest weight."""
    return (
        f"Too few rewards: they are worth {rows:.0f} rewarded rows of the largest weight, and "
        f"{least:.0f} are the least."
    )


def _visitors(ratio: Ratio) -> float:
    """How many visitors with as many rows each would be as uneven; at most those of the groups."""
    if not ratio.clusters:
        return math.inf
    rows = ratio.group_n.astype(np.float64)
    return float(rows.sum() ** 2 / (rows @ rows))


def _unlike(evidence: Evidence) -> str | None:
    """Why the weights are not those of the draws, if their mean is off what is due.

    It is 1, less what the log could not show. Where what the target would show is so improbable in
    the log that it never came, the mean is below that by as much, and nothing else in the sums can
    tell: not the largest weight, nor how much weights vary.
    """
    reference = evidence.reference
    n = reference.sums.n
    if not n:
        return None
    mean, due = reference.weight / n, 1.0 - evidence.unsupported
    error = math.sqrt(max(0.0, reference.weight2 / n - mean * mean) / n)
    if abs(mean - due) <= OFF + MAX_OFF * error:
        return None
    return (
        f"The weights are {mean:.3g} on average, where {due:.3g} is due: what the policy would "
        "show is nearly missing from the log, or the log's probabilities are wrong."
    )


def _bias(estimator: str, rules: Rules, evidence: Evidence) -> str | None:
    """Why the estimate is off the truth by more than chance, by an amount that rows do not tell."""
    if estimator == "dm":
        return "It does not cover what the reward model gets wrong."
    if evidence.unsupported > MAX_UNSUPPORTED:
        return (
            f"It does not cover the {evidence.unsupported:.1%} of the policy's choices that the "
            "log could not show."
        )
    return _unlike(evidence) or _traded(estimator, rules.settings, evidence)


def _traded(estimator: str, settings: EstimatorSettings, evidence: Evidence) -> str | None:
    """The bias that an estimator trades for less variance."""
    largest = evidence.reference.max_weight
    if estimator == "clipped-ips" and largest > settings.clip:
        return "It does not cover what was clipped."
    if estimator == "switch-dr" and largest > settings.switch:
        return "It does not cover what the reward model gets wrong beyond the switch."
    shrunk = largest * largest / (largest * largest + settings.shrinkage)
    if estimator == "dr-os" and shrunk > MAX_SHRUNK:
        return f"It does not cover the up to {shrunk:.0%} by which weights were shrunk."
    return None
