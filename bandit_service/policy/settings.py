"""What may be tuned about learning and choosing, as one value that travels inside snapshots.

``SiteSettings`` is everything that the fold and the draw depend on besides the log: a snapshot is
a function of (settings, log up to a position), and names both. So a change of settings is never an
edit of a running model: ``bandit-service rebuild`` folds the log under the new ones and switches.

SquareCB is from Foster & Rakhlin (2020), "Beyond UCB". Vowpal Wabbit's own defaults (gamma 10,
adaptive rate 0.5) fail at click rates near 1 %: they explore too much, and let one click move a
prediction by many click rates. Of 6 pairs of learning_rate (0.003, 0.01) and gamma (4, 12, 40)
those below captured most of what the best arm would have earned over uniform choice, after 2,000
and after 10,000 impressions, on 60 headline tests of the Upworthy archive (weeks up to 201426).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from bandit_service.errors import SettingsError
from bandit_service.outcomes.rewards import RewardSettings, check_rewards

Exploration = Literal["thompson", "squarecb", "softmax", "epsilon"]
Family = Literal["persona", "traits", "visitor", "situation"]


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How variants are chosen and how the model learns."""

    exploration: Exploration = "thompson"
    sharpness: float = 8.0
    """Greed of Thompson sampling: by how much the posterior's variances are divided."""
    memory: float = 2_000.0
    """Rewards that a placement remembers under Thompson sampling; older ones fade."""
    alarm: float = 8.0
    """Log likelihood ratio at which Thompson sampling believes that a variant earns much less than
    it did, and learns its placement anew; false alarms come once in exp(alarm) rewards or less."""
    prior_rate: float = 0.15
    """Learning rate of the regression that is Thompson sampling's prior."""
    gamma: float = 40.0
    """Greed of SquareCB and softmax. Under SquareCB a variant that is expected to earn d typical
    rewards less than the best of K is drawn with probability 1 / (K + gamma * d)."""
    epsilon: float = 0.05
    """Share explored uniformly by ``exploration = "epsilon"``; the others ignore it."""
    typical_reward: float = 0.02
    """What a decision earns on average; predictions start from it and costs are scaled by it."""
    learning_rate: float = 0.01
    """Learning rate of all explorations but Thompson sampling."""
    power_t: float = 0.0
    """Decay of that rate; 0 keeps it constant, so that the model never stops adapting."""
    bits: int = 18
    """The model has 2^bits weights."""
    cross: tuple[Family, ...] = ("persona", "traits", "visitor", "situation")
    """Families of features that are crossed with the variant's identity and its tags."""
    floor: float = 0.02
    """Each of K live variants gets at least floor / K of the draws that are not held out."""
    holdout: float = 0.05
    """Share of draws made uniformly, without regard to what was learned, and marked so."""
    slot_seconds: float = 1800.0
    """How long the choice for one visitor on one placement is stable."""

    @property
    def slot_ms(self) -> int:
        """The time slot in milliseconds."""
        return round(self.slot_seconds * 1000)


class SiteSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True
):
    """Everything that learning and choosing depend on, besides the log."""

    rewards: RewardSettings = RewardSettings()
    policy: PolicySettings = PolicySettings()

    @cached_property
    def id(self) -> str:
        """Eight hexadecimal digits that name these settings."""
        text = msgspec.json.encode(canonical(self), order="deterministic")
        return blake2b(text, digest_size=4).hexdigest()


def canonical(settings: SiteSettings) -> SiteSettings:
    """The settings as they come back from the store: ``gamma = 4`` and ``4.0`` are the same."""
    return msgspec.json.decode(msgspec.json.encode(settings), type=SiteSettings)


_POSITIVE: Callable[[float], bool] = lambda v: v > 0  # noqa: E731 - one column of the table below
_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "sharpness": (_POSITIVE, "a positive number"),
    "memory": (lambda v: v >= 10, "a number of rewards, at least 10"),
    "gamma": (_POSITIVE, "a positive number"),
    "epsilon": (lambda v: 0 <= v <= 1, "a number from 0 to 1"),
    "typical_reward": (_POSITIVE, "a positive number, such as the usual click rate"),
    "alarm": (_POSITIVE, "a positive number"),
    "prior_rate": (_POSITIVE, "a positive number"),
    "learning_rate": (_POSITIVE, "a positive number"),
    "power_t": (lambda v: 0 <= v <= 1, "a number from 0 to 1"),
    "bits": (lambda v: 8 <= v <= 28, "a whole number from 8 to 28"),
    "floor": (lambda v: 0 <= v <= 1, "a number from 0 to 1"),
    "holdout": (lambda v: 0 <= v <= 1, "a number from 0 to 1"),
    "slot_seconds": (lambda v: 1 <= v <= 86_400, "a number of seconds from 1 to 86400"),
}


def check_settings(settings: SiteSettings) -> SiteSettings:
    """Return ``settings`` if every value is in its range.

    Raises:
        SettingsError: naming the setting and its range.
    """
    check_rewards(settings.rewards)
    for name, (allowed, hint) in _RANGES.items():
        value = getattr(settings.policy, name)
        if not (math.isfinite(value) and allowed(value)):
            raise SettingsError(
                f"policy.{name} is {value!r}", field=f"policy.{name}", hint=f"use {hint}"
            )
    return settings


def read_settings(data: bytes, *, name: str) -> SiteSettings:
    """Site settings from TOML; what is left out has its default.

    Raises:
        SettingsError: if the text cannot be parsed, or a setting is unknown or out of range.
    """
    try:
        tree: dict[str, Any] = tomllib.loads(data.decode("utf-8"))
        return check_settings(msgspec.convert(tree, SiteSettings))
    except SettingsError as exc:
        raise SettingsError(f"{name}: {exc.message}", hint=exc.hint, field=exc.field) from exc
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # TOML's are ValueErrors
        raise SettingsError(
            f"{name}: {exc}", hint="docs/reference.md lists every setting with its default"
        ) from exc


def differences(old: SiteSettings, new: SiteSettings) -> list[str]:
    """The names of the settings in which two values differ, such as ``policy.gamma``."""
    return [
        f"{part}.{name}"
        for part in ("rewards", "policy")
        for name in getattr(old, part).__struct_fields__
        if getattr(getattr(old, part), name) != getattr(getattr(new, part), name)
    ]
