"""Everything that a report says, in one place: the page, the Markdown and the terminal repeat it.

Analysts' terms, each with a gloss that a marketer can follow. What depends on numbers is in
``tables``; the verdict on a policy is the evaluation's own sentence.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from bandit_service.evaluation.logs.base import LogDescription
from bandit_service.evaluation.report.numbers import Scale, confidence, count, moment
from bandit_service.evaluation.results import (
    Estimate,
    Evaluation,
    Interval,
    PolicyResult,
    Verification,
)

TITLE: Final = "What other policies would have earned"

FORCED: Final = (
    "This log failed its checks and was evaluated all the same (--force). The numbers below may be "
    "wrong by any amount: do not decide by them."
)
ESTIMATED: Final = (
    "The log does not say with which probability each variant was shown. Those probabilities were "
    "estimated from the log itself, so every number below also depends on that guess."
)
UNIFORM: Final = (
    "The log does not say with which probability each variant was shown. All candidates were taken "
    "as equally likely: if that is not how it was, every number below is wrong."
)
NO_DISTRIBUTIONS: Final = (
    "The log gives the probability of what was shown only. What the log could not have shown is "
    "not known, so it is not said below."
)


GAIN: Final = "More than the log (DR)"
"""The row of the difference between a policy and what was running."""


class Term(NamedTuple):
    """A word of the field."""

    label: str
    gloss: str


ESTIMATORS: Final = {
    "ips": Term(
        "IPS",
        "Inverse propensity scoring. Each logged reward counts as much more, or less, as the "
        "policy would have shown that variant more, or less, often than the log did. Right on "
        "average if the logged probabilities are right; noisy where policy and log differ much.",
    ),
    "snips": Term(
        "SNIPS",
        "Self-normalised IPS. As IPS, but divided by the sum of the weights instead of the number "
        "of rows, which removes much of the noise for a small bias that vanishes with more rows.",
    ),
    "clipped-ips": Term(
        "Clipped IPS",
        "As IPS, with every weight cut at a limit. Steadier, but where weights are cut it counts "
        "too little of what the policy would do differently.",
    ),
    "dm": Term(
        "DM",
        "Direct method. A model of the rewards, fitted to the log, says what the policy would "
        "have earned. Steady, but exactly as wrong as that model, and nothing in its interval "
        "tells.",
    ),
    "dr": Term(
        "DR",
        "Doubly robust. The direct method, corrected by the weighted errors that its model makes "
        "on the log: right on average if the logged probabilities or the model are right.",
    ),
    "switch-dr": Term(
        "Switch-DR",
        "As DR, but where a weight is over a limit it trusts the model alone. Steadier where a "
        "few weights are large, at the price of the model's errors there.",
    ),
    "dr-os": Term(
        "DR-OS",
        "DR with optimistic shrinkage. As DR, with large weights drawn towards 0: less noise, some "
        "of the model's bias.",
    ),
    "replay": Term(
        "Replay",
        "Rejection sampling. Only keeps those rows in which the policy, drawing for itself, would "
        "have shown what the log showed, and takes their mean. Plain, but uses few rows.",
    ),
}
"""By name, in the order of a report."""

INTERVALS: Final = {
    "normal": Term(
        "normal",
        "From the standard error, as if errors were bell-shaped. Good with many rows and modest "
        "weights; too narrow if a few large weights carry the estimate.",
    ),
    "bootstrap": Term(
        "bootstrap",
        "From drawing visitors of the log again and again, with replacement. Keeps the rows of a "
        "visitor together; it cannot know of large weights that the log happens not to have.",
    ),
    "empirical-bernstein": Term(
        "empirical Bernstein",
        "Holds for any number of rows, provided that rewards and weights are bounded. Wide.",
    ),
    "clopper-pearson": Term(
        "Clopper-Pearson",
        "Exact for a share of independent yes-or-no rows. Never too narrow there; a little wide.",
    ),
    "anytime": Term(
        "anytime-valid",
        "Holds at all moments at once: you may look every day and stop when you like. The price "
        "is that it is wider than an interval that is looked at once. It needs each row to have "
        "been drawn anew: not a log that repeats a visitor's first draw.",
    ),
}
"""Kinds of interval by name."""

GLOSSARY: Final = (
    Term("Policy", "A rule that says with which probability each variant is shown to a visitor."),
    Term(
        "The log's own mean",
        "What the decisions in the log earned on average, as measured. All estimates of other "
        "policies are made from the same decisions.",
    ),
    Term(
        "Estimate",
        "What a policy would have earned per decision, worked out from the log without running it.",
    ),
    Term(
        "Interval",
        "The range in which the true value lies, as far as the log can tell. At 95%, about 1 "
        "interval in 20 misses it where its assumptions hold. Do not compare policies by whether "
        "their intervals overlap: the difference has an interval of its own.",
    ),
    Term(
        GAIN,
        "What the policy would have earned per decision beyond what was running, by the doubly "
        "robust estimates of both on the same rows. If its interval lies above 0 and is not grey, "
        "the policy is better; if it holds 0, the log does not tell.",
    ),
    Term(
        "Propensity",
        "The probability that the log gives to what it showed. Everything here rests on it.",
    ),
    Term(
        "Weight",
        "The policy's probability of what was shown over the logged one. 1: just as likely. 10: "
        "that one row stands for ten.",
    ),
    Term("n", "Rows: closed decisions, each with its reward."),
    Term(
        "Effective sample size (ESS)",
        "How many rows of equal weight would tell as much. If it is far below n, the policy "
        "differs so much from the log that few rows speak for it.",
    ),
    Term(
        "Largest weight",
        "The most that one row counts. If it is large, one visitor's click can move the estimate.",
    ),
    Term(
        "Anytime-valid",
        "An interval that still holds if you look at it as often as you like; see estimates over "
        "time.",
    ),
    Term(
        "Weak",
        "Shown in grey, with the reason. There is too little in the log to decide by it.",
    ),
    Term(
        "No answer",
        "The log cannot say what the policy would have earned; no value is shown, only the reason.",
    ),
    Term(
        "Support",
        "Whether the log showed what the policy would show. What was never shown cannot be "
        "estimated from the log.",
    ),
    Term(
        "Sample-ratio test",
        "Whether variants were shown as often as their logged probabilities say. A small p-value "
        "says that they were not, and that the propensities are wrong.",
    ),
)
"""How to read a report."""

OVER_TIME: Final = (
    "The estimate of everything up to each moment. The band holds at all moments at once: it may "
    "be looked at as often as you like. It begins as wide as the rewards; the chart leaves out the "
    "ends of that beginning, the table does not."
)
WEIGHTS: Final = (
    "How much the rows of the log count for this policy. Most rows near 1 means that policy and "
    "log are alike; a long tail to the right means that few rows carry the estimate. The mean "
    "weight is 1 if the logged probabilities are right and the log showed all that the policy "
    "would show."
)
SUPPORT: Final = (
    "How much of a persona's traffic each variant gets: from the log, and from the policy. The "
    "mean reward is the log's, as measured; with few rows it says little."
)
CELLS: Final = (
    "The doubly robust estimate within each part of the log; fewer rows, wider intervals. Of many "
    "parts some look good by chance: each interval is of one part by itself."
)
COVERAGE: Final = (
    "How often intervals of each kind held the true value in simulated logs where it is known. "
    "Where an interval makes no claim, it may miss."
)
SAMPLE_RATIO: Final = GLOSSARY[-1].gloss


class Warnings(NamedTuple):
    """What stands on top."""

    grave: list[str]
    """Reasons not to believe any number."""
    notes: list[str]
    """What a reader must know."""


def warnings_of(evaluation: Evaluation) -> Warnings:
    """Whatever applies to all numbers, the gravest first, nothing twice."""
    log = evaluation.log
    grave = [FORCED] if evaluation.forced else []
    if evaluation.verification.fatal and not evaluation.forced:
        grave.append(checks_of(evaluation.verification))
    notes = [*_of_propensities(log), *evaluation.warnings, *log.notes]
    if not log.distributions:
        notes.append(NO_DISTRIBUTIONS)
    return Warnings(grave, [note for note in dict.fromkeys(notes) if note not in grave])


def _of_propensities(log: LogDescription) -> list[str]:
    return {"logged": [], "uniform": [UNIFORM], "estimated": [ESTIMATED]}[log.propensities]


def checks_of(verification: Verification) -> str:
    """What the checks of the log came to."""
    fatal = sum(finding.count for finding in verification.findings if finding.severity == "fatal")
    mild = sum(finding.count for finding in verification.findings) - fatal
    if not fatal and not mild and not verification.fatal:
        return f"All {count(verification.rows)} rows passed every check."
    result = "The log failed its checks" if verification.fatal else "The log passed its checks"
    return (
        f"{result}: {count(fatal)} fatal and {count(mild)} other findings in "
        f"{count(verification.rows)} rows."
    )


def summary(evaluation: Evaluation, scale: Scale) -> str:
    """What the log is and what it earned."""
    if not evaluation.rows:
        return "The log has no closed decisions to evaluate."
    return (
        f"The log holds {count(evaluation.rows)} closed decisions from {moment(evaluation.since)} "
        f"to {moment(evaluation.until)}. They earned {scale.value(evaluation.mean_reward)} on "
        f"average; {count(evaluation.clicks)} had a reward above 0. That is the log's own mean: "
        "measured, not estimated."
    )


def quoted(policy: PolicyResult) -> Estimate | None:
    """The estimate to quote of a policy; None if there are no estimates at all."""
    return next((e for e in policy.estimates if e.estimator == policy.headline), None)


def estimator(name: str) -> str:
    """What an estimator is called."""
    return ESTIMATORS[name].label if name in ESTIMATORS else name


def interval_kind(interval: Interval) -> str:
    """How an interval was made: "95% bootstrap"."""
    return f"{confidence(interval)} {kind_label(interval.kind)}"


def kind_label(kind: str) -> str:
    """What a kind of interval is called."""
    return INTERVALS[kind].label if kind in INTERVALS else kind


def status(estimate: Estimate) -> str:
    """How far an estimate may be trusted, in a word or two."""
    return {"ok": "", "weak": "weak", "unanswerable": "no answer"}[estimate.status]


def reasons(estimate: Estimate) -> str:
    """Why an estimate is weak or has no value; empty for one that is neither."""
    if estimate.status == "ok":
        return ""
    said = " ".join(estimate.why) or "No reason was given."
    label = "Weak, do not decide by it" if estimate.status == "weak" else "No answer"
    return f"{label}: {said}"


def learning(policy: PolicyResult) -> str:
    """What a policy is, with a word on whether it learns."""
    return f"{policy.words} It learns while it reads the log." if policy.learns else policy.words


def glossary_of(evaluation: Evaluation) -> list[Term]:
    """How to read this report: general terms, then the estimators and intervals that it uses."""
    estimates = [estimate for policy in evaluation.policies for estimate in policy.estimates]
    used = {estimate.estimator for estimate in estimates}
    kinds = {interval.kind for estimate in estimates for interval in estimate.intervals}
    return [
        *GLOSSARY,
        *(term for name, term in ESTIMATORS.items() if name in used),
        *(
            Term(f"Interval, {term.label}", term.gloss)
            for name, term in INTERVALS.items()
            if name in kinds
        ),
    ]
