import math

import pytest

from bandit_service.errors import SettingsError
from bandit_service.outcomes.rewards import (
    Aggregation,
    RewardSettings,
    RewardSum,
    check_rewards,
)


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("earliest", 2.0), ("latest", 1.0), ("sum", 8.0), ("max", 5.0), ("min", 1.0), ("mean", 8 / 3)],
)
def test_each_aggregation_makes_its_own_number_of_the_same_rewards(
    aggregation: Aggregation, expected: float
) -> None:
    total = RewardSum()

    for reward in (2.0, 5.0, 1.0):
        total.add(reward, aggregation)

    assert total.value == pytest.approx(expected)
    assert total.count == 3


def test_a_value_multiplies_what_the_type_is_worth() -> None:
    rewards = RewardSettings(worth={"watch": 2.0})

    assert rewards.of("watch", 0.25) == 0.5
    assert rewards.of("watch", None) == 2.0


def test_a_type_that_is_worth_nothing_or_unknown_carries_no_reward() -> None:
    assert RewardSettings().of("impression", None) is None
    assert RewardSettings().of("scrolled", 3.0) is None


def test_a_watch_of_nothing_is_a_reward_of_zero_and_not_the_absence_of_one() -> None:
    assert RewardSettings().of("watch", 0.0) == 0.0


@pytest.mark.parametrize(
    "rewards",
    [
        RewardSettings(window_seconds=0.0),
        RewardSettings(window_seconds=math.nan),
        RewardSettings(window_seconds=1e9),
        RewardSettings(worth={"click": math.inf}),
        RewardSettings(default_reward=math.nan),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(rewards: RewardSettings) -> None:
    with pytest.raises(SettingsError) as refused:
        check_rewards(rewards)

    assert (refused.value.field or "").startswith("rewards.")


def test_that_a_default_was_shown_can_earn_nothing() -> None:
    with pytest.raises(SettingsError, match="worth nothing"):
        check_rewards(RewardSettings(worth={"default_shown": 1.0}))


@pytest.mark.parametrize(
    ("settings", "largest"),
    [
        (RewardSettings(), 1.0),
        (RewardSettings(worth={"click": 1.0, "convert": 100.0}, max_reward=50.0), 50.0),
        (RewardSettings(worth={"dislike": -1.0}), 0.0),
        (RewardSettings(worth={}, default_reward=0.5), 0.5),
    ],
)
def test_the_largest_reward_is_that_of_the_event_which_is_worth_most(
    settings: RewardSettings, largest: float
) -> None:
    assert settings.largest == largest
