"""What a site's events are worth, and how those of one decision make one reward."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from bandit_service.errors import SettingsError
from bandit_service.events.entries import DEFAULT_SHOWN

Aggregation = Literal["earliest", "latest", "sum", "max", "min", "mean"]

DEFAULT_WORTH: Final = {
    "impression": 0.0,
    "click": 1.0,
    "watch": 1.0,
    "like": 1.0,
    "dislike": -1.0,
    "convert": 1.0,
}
MAX_WORTH: Final = 1e6
"""Largest reward of one event, either way, so that no model can be driven out of its range."""
MAX_WINDOW_SECONDS: Final = 30 * 86_400.0


class RewardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events become a reward."""

    worth: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_WORTH))
    """Reward of one event of each type; multiplied by the event's value where it has one. A type
    worth 0 is evidence that the decision was seen, never a reward."""
    window_seconds: float = 600.0
    """How long after the last view of a decision its events still count."""
    default_reward: float = 0.0
    """The reward of a decision for which none came in time."""
    max_reward: float = 10.0
    """Rewards of a decision beyond this, either way, count as this: whoever holds a website's key
    can report any value, and no single one may drown what was learned."""
    aggregation: Aggregation = "earliest"
    """How several rewards of one decision become one; ``earliest`` closes it with the first."""
    counts: Literal["answered", "seen"] = "answered"
    """Whether a decision counts from its answer, or only if some event shows that it was seen."""

    @property
    def window_ms(self) -> int:
        """The window in milliseconds."""
        return round(self.window_seconds * 1000)

    @property
    def nothing_until_rewarded(self) -> bool:
        """Whether a decision has earned nothing from the start, and any reward is news."""
        return self.aggregation == "earliest" and self.default_reward == 0.0

    @property
    def largest(self) -> float:
        """The most that a decision may be expected to earn; an event's value may exceed it."""
        return self.clipped(max(0.0, self.default_reward, *self.worth.values()))

    def of(self, event_type: str, value: float | None) -> float | None:
        """The reward of one event, or None if events of this type carry none."""
        worth = self.worth.get(event_type, 0.0)
        if worth == 0.0:
            return None
        return worth if value is None else worth * value

    def clipped(self, reward: float) -> float:
        """The reward, brought within max_reward."""
        return min(max(reward, -self.max_reward), self.max_reward)


def check_rewards(rewards: RewardSettings) -> RewardSettings:
    """Return ``rewards`` if every value is usable.

    Raises:
        SettingsError: naming the setting.
    """
    if not 1.0 <= rewards.window_seconds <= MAX_WINDOW_SECONDS:
        raise SettingsError(
            f"rewards.window_seconds is {rewards.window_seconds:g}",
            field="rewards.window_seconds",
            hint=f"use 1 to {MAX_WINDOW_SECONDS:g} (30 days)",
        )
    if not 0.0 < rewards.max_reward <= MAX_WORTH:
        raise SettingsError(
            f"rewards.max_reward is {rewards.max_reward:g}",
            field="rewards.max_reward",
            hint=f"use a positive number up to {MAX_WORTH:g}",
        )
    if DEFAULT_SHOWN in rewards.worth:
        raise SettingsError(
            f"{DEFAULT_SHOWN!r} says that a variant was not shown: it is worth nothing",
            field="rewards.worth",
            hint="give events of your own another name",
        )
    for name, worth in (*rewards.worth.items(), ("default_reward", rewards.default_reward)):
        if not abs(worth) <= MAX_WORTH:
            raise SettingsError(
                f"the reward of {name!r} is {worth:g}",
                field="rewards.worth",
                hint=f"use -{MAX_WORTH:g} to {MAX_WORTH:g}",
            )
    return rewards


class RewardSum:
    """A running aggregate of the rewards of one decision, in log order."""

    __slots__ = ("count", "value")

    def __init__(self) -> None:
        self.count = 0
        self.value = 0.0

    def add(self, reward: float, aggregation: Aggregation) -> None:
        """Take in one more reward."""
        self.count += 1
        if self.count == 1 or aggregation == "latest":
            self.value = reward
        elif aggregation == "sum":
            self.value += reward
        elif aggregation == "max":
            self.value = max(self.value, reward)
        elif aggregation == "min":
            self.value = min(self.value, reward)
        elif aggregation == "mean":
            self.value += (reward - self.value) / self.count
