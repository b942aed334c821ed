"""A site by day: rates as they were, intervals around them."""

from __future__ import annotations

import pytest

from bandit_service.reporting.daily import daily
from bandit_service.reporting.overview import DayLine


def line(rate: float | None, n: int) -> DayLine:
    return DayLine(
        day=86_400_000, shown=n, policy_n=n, policy_rate=rate, holdout_n=0, holdout_rate=None
    )


def test_a_day_has_its_rate_and_an_interval_around_it_that_narrows() -> None:
    few, many = daily([line(0.05, 200), line(0.05, 20_000)])

    for found in (few.policy, many.policy):
        assert found.rate == 0.05
        assert found.low is not None
        assert found.high is not None
        assert found.low < 0.05 < found.high
    assert (many.policy.high or 0.0) - (many.policy.low or 0.0) < 0.03
    assert (few.policy.n, few.policy.effective_n, few.policy.largest_weight) == (200, 200.0, 1.0)


def test_a_day_without_visits_has_neither() -> None:
    (found,) = daily([line(None, 0)])

    assert found.policy.rate is None
    assert (found.policy.low, found.policy.high) == (None, None)
    assert found.holdout.n == 0


@pytest.mark.parametrize("rate", [-0.2, 3.0])
def test_rewards_beyond_a_click_have_no_interval_of_this_kind(rate: float) -> None:
    (found,) = daily([line(rate, 100)])

    assert found.policy.rate == rate
    assert (found.policy.low, found.policy.high) == (None, None)


def test_no_days_are_none() -> None:
    assert daily([]) == []
