"""One sentence on what may be concluded of a policy."""

from __future__ import annotations

from bandit_service.evaluation.intervals.bootstrap import bootstrap
from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.intervals.normal import normal
from bandit_service.evaluation.ratio import Ratio
from bandit_service.evaluation.results import Estimate


def verdict(quoted: Estimate, gain: Ratio, logged: float | None, rules: Rules) -> str:
    """What may be concluded.

    Args:
        quoted: the estimate to quote.
        gain: the sums of the difference to what the log did.
        logged: the log's own mean reward.
        rules: for the interval of the gain.
    """
    if quoted.status == "unanswerable" or quoted.value is None or logged is None:
        return f"The log cannot say what it would have earned. {' '.join(quoted.why)}".strip()
    interval = bootstrap(gain, rules.confidence, seed=rules.seed) or normal(gain, rules.confidence)
    if not gain.sums.num2:
        said = "It does what the log did."
    elif interval is None:
        said = f"It would have earned {quoted.value:.4g}, the log earned {logged:.4g}."
    else:
        said = _compared(gain.value, interval.low, interval.high, logged)
    if quoted.status == "weak":
        return f"Do not decide by this: {' '.join(quoted.why)} {said}"
    return said


def _compared(gain: float, low: float, high: float, logged: float) -> str:
    bounds = f"between {low:+.2g} and {high:+.2g}"
    relative = f" ({gain / logged:+.1%})" if logged else ""
    if low > 0:
        return f"It would have earned more than the log did, by {gain:.2g}{relative}, {bounds}."
    if high < 0:
        return f"It would have earned less than the log did, by {-gain:.2g}{relative}, {bounds}."
    return (
        f"No difference to what the log earned can be told: {gain:+.2g}{relative}, {bounds}. "
        "It may be better, worse or the same."
    )
