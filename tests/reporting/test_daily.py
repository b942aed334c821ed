"""A site by day: rates as they were, intervals around them."""

from __future__ import annotations

import pytest

from bandit_service.reporting.daily import daily
from bandit_service.reporting.overview import DayLine
from bandit_service.reporting.tables import Scale
from tests.reporting.tables import CLICKS


def line(rate: float | None, n: int) -> DayLine:
    return DayLine(
        day=86_400_000, shown=n, policy_n=n, policy_rate=rate, holdout_n=0, holdout_rate=None
    )


def test_a_day_has_its_rate_and_an_interval_around_it_that_narrows() -> None:
    few, many = daily([line(0.05, 200), line(0.05, 20_000)], CLICKS)

    for found in (few.policy, many.policy):
        assert found.rate == 0.05
        assert found.low is not None
        assert found.high is not None
        assert found.low < 0.05 < found.high
    assert (many.policy.high or 0.0) - (many.policy.low or 0.0) < 0.03
    assert (few.policy.n, few.policy.effective_n, few.policy.largest_weight) == (200, 200.0, 1.0)


def test_a_day_without_visits_has_neither() -> None:
    (found,) = daily([line(None, 0)], CLICKS)

    assert found.policy.rate is None
    assert (found.policy.low, found.policy.high) == (None, None)
    assert found.holdout.n == 0


@pytest.mark.parametrize("rate", [-0.2, 0.2])
def test_where_rewards_have_both_signs_there_is_no_interval(rate: float) -> None:
    (found,) = daily([line(rate, 100)], Scale(-1.0, 1.0))

    assert found.policy.rate == rate
    assert (found.policy.low, found.policy.high) == (None, None)


def test_the_largest_reward_makes_the_interval_wider_whatever_the_rate_is() -> None:
    """A rate of 0.5 may be of one visitor in two who clicks, or of one in 20 who earns 10."""
    (clicks,) = daily([line(0.5, 1_000)], CLICKS)
    (sales,) = daily([line(0.5, 1_000)], Scale(0.0, 10.0))
    (many,) = daily([line(3.0, 1_000)], Scale(0.0, 10.0))

    widths = [(one.policy.high or 0.0) - (one.policy.low or 0.0) for one in (clicks, sales, many)]
    assert widths[1] > 3.0 * widths[0]
    assert widths[2] > widths[1]


def test_no_days_are_none() -> None:
    assert daily([], CLICKS) == []
