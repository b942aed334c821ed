"""One sentence on what may be concluded of a policy, and no more than its intervals claim."""

from __future__ import annotations

from typing import NamedTuple

from bandit_service.evaluation.results import Estimate


class Unit(NamedTuple):
    """How rewards and differences of rewards are written in sentences."""

    percent: bool
    """Whether rewards are reported in percent; then differences are in points of that."""

    def level(self, reward: float) -> str:
        """A reward."""
        return f"{100.0 * reward:.3g}%" if self.percent else f"{reward:.4g}"

    def change(self, difference: float) -> str:
        """A difference, with its sign and unit."""
        return f"{self.bare(difference)} points" if self.percent else self.bare(difference)

    def bare(self, difference: float) -> str:
        """A difference, with its sign, where the unit is said elsewhere."""
        return f"{(100.0 if self.percent else 1.0) * difference:+.2g}"


def verdict(quoted: Estimate, gain: Estimate, logged: float | None, unit: Unit) -> str:
    """What may be concluded.

    A difference has bounds here only if its interval is claimed to hold: one that is merely shown,
    greyed, must not be read as 95 %.

    Args:
        quoted: The estimate to quote.
        gain: The difference to what the log's own policy earned.
        logged: The log's own mean reward.
        unit: How they are written.
    """
    if quoted.value is None or logged is None:
        return f"The log cannot say what it would have earned. {' '.join(quoted.why)}".strip()
    if quoted.status == "weak":
        return f"Do not decide by this: {' '.join(quoted.why)}".strip()
    if gain.value is None or gain.status != "ok":
        return f"The log cannot tell it from what was running. {' '.join(gain.why)}".strip()
    return _compared(gain, gain.value, logged, unit)


def _compared(gain: Estimate, value: float, logged: float, unit: Unit) -> str:
    low, high = gain.intervals[0].low, gain.intervals[0].high
    if low == high == 0:
        return "It does what was running."
    told = low > 0 or high < 0
    relative = f", {value / logged:+.1%} of the log's mean" if logged > 0 else ""
    amount = (
        f"{unit.change(value)} a decision{relative} "
        f"({100.0 * gain.intervals[0].confidence:.4g}% interval: {unit.bare(low)} to "
        f"{unit.change(high)})"
    )
    if told:
        side = "more" if low > 0 else "less"
        return f"It would have earned {side} than what was running: {amount}."
    return f"The log cannot tell it from what was running: {amount}."
