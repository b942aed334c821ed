"""One sentence on what may be concluded of a policy."""

from __future__ import annotations

from bandit_service.evaluation.results import Estimate


def verdict(quoted: Estimate, gain: Estimate, logged: float | None) -> str:
    """What may be concluded.

    Args:
        quoted: The estimate to quote.
        gain: The difference to what the log did.
        logged: The log's own mean reward.
    """
    if quoted.value is None or logged is None:
        return f"The log cannot say what it would have earned. {' '.join(quoted.why)}".strip()
    said = _compared(gain, logged)
    if quoted.status == "weak":
        return f"Do not decide by this: {' '.join(quoted.why)} {said}"
    return said


def _compared(gain: Estimate, logged: float) -> str:
    if gain.value is None:
        return f"How it compares with the log cannot be told. {' '.join(gain.why)}".strip()
    low, high = gain.intervals[0].low, gain.intervals[0].high
    if low == high == 0:
        return "It does what the log did."
    sure = f"{gain.intervals[0].confidence:.0%}"
    bounds = f"with {sure} confidence between {low:+.2g} and {high:+.2g}"
    relative = f" ({gain.value / logged:+.1%})" if logged > 0 else ""
    if low > 0:
        return f"It would have earned {gain.value:.2g} more than the log did{relative}, {bounds}."
    if high < 0:
        return f"It would have earned {-gain.value:.2g} less than the log did{relative}, {bounds}."
    return (
        f"Whether it is better or worse than what the log did cannot be told: {gain.value:+.2g}"
        f"{relative}, {bounds}."
    )
