"""Numbers as a report writes them: with separators, with as many digits as they deserve.

Rewards are percentages where they lie between 0 and 1, plain numbers otherwise. All rewards of one
report have the same number of decimals, so that columns can be compared by eye.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from bandit_service.evaluation.results import Estimate, Evaluation, Interval, in_percent

NOTHING: Final = "\N{EN DASH}"
"""Stands where there is no value."""
MINUS: Final = "\N{MINUS SIGN}"
_MOST_DECIMALS: Final = 6


class Scale(NamedTuple):
    """How rewards are written."""

    percent: bool
    decimals: int

    @property
    def unit(self) -> str:
        """What a value is, in words."""
        return "reward per decision, in percent" if self.percent else "reward per decision"

    @property
    def ticks(self) -> str:
        """The same for the axis of a chart, in d3's format language; no zeros at the end."""
        return f",.{self.decimals}~{'%' if self.percent else 'f'}"

    def value(self, number: float | None) -> str:
        """A reward; a dash for none."""
        if number is None:
            return NOTHING
        shown = 100.0 * number if self.percent else number
        return _signed(_plain(shown, self.decimals)) + ("%" if self.percent else "")

    def interval(self, low: float, high: float) -> str:
        """Both bounds."""
        return f"{self.value(low)} to {self.value(high)}"


def scale_of(evaluation: Evaluation) -> Scale:
    """Three digits for the log's mean, and two for the narrowest interval that is quoted."""
    quoted = (
        estimate
        for policy in evaluation.policies
        for estimate in policy.estimates
        if estimate.estimator == policy.headline
    )
    return scale_for(evaluation, quoted)


def scale_for(evaluation: Evaluation, quoted: Iterable[Estimate]) -> Scale:
    """The same for the estimates that are quoted elsewhere."""
    percent = in_percent(evaluation.reward_range)
    times = 100.0 if percent else 1.0
    wanted = [_decimals(times * (evaluation.mean_reward or 0.0), digits=3)]
    for estimate in quoted:
        if estimate.intervals:
            width = estimate.intervals[0].high - estimate.intervals[0].low
            wanted.append(_decimals(times * width / 2.0, digits=2))
    return Scale(percent, max(wanted))


def count(number: int) -> str:
    """Rows: 1,234,567."""
    return _signed(f"{number:,}")


def size(number: float) -> str:
    """An effective sample size: whole where it is large."""
    return _plain(number, 0 if number >= 100 else 1)


def weight(number: float) -> str:
    """A weight, to three digits; whole where it is large."""
    return _plain(number, 0) if number >= 1_000 else f"{number:.3g}"


def mean_weight(number: float) -> str:
    """A mean weight, which is judged by how near it is to 1."""
    return _plain(number, 4)


def share(number: float) -> str:
    """A share of traffic; 0% and 100% only where they are exactly that."""
    if 0.0 < number < 0.0005:
        return "<0.1%"
    if 0.9995 <= number < 1.0:
        return ">99.9%"
    return "0%" if number == 0 else f"{100.0 * number:.1f}%"


def points(number: float) -> str:
    """A difference of shares, in percentage points."""
    text = f"{100.0 * number:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else _signed(text)


def p_value(number: float) -> str:
    """A p-value, to two digits."""
    return "<0.0001" if number < 0.0001 else f"{number:.2g}"


def confidence(interval: Interval) -> str:
    """A confidence: 95%."""
    return f"{100.0 * interval.confidence:.4g}%"


def moment(ms: int | None) -> str:
    """A time, UTC; to the second where it is not a whole minute."""
    if ms is None:
        return NOTHING
    clock = "%H:%M UTC" if ms % 60_000 == 0 else "%H:%M:%S UTC"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(f"%Y-%m-%d {clock}")


def _decimals(number: float, *, digits: int) -> int:
    """How many decimals show the first ``digits`` digits of a number; 0 of 0 and of no number."""
    if not number or not math.isfinite(number):
        return 0
    first = math.floor(math.log10(abs(number)))
    return min(_MOST_DECIMALS, max(0, digits - 1 - first))


def _plain(number: float, decimals: int) -> str:
    """A number, without its digits where they would fill a line."""
    return f"{number:,.{decimals}f}" if abs(number) < 1e12 else f"{number:.3g}"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)
