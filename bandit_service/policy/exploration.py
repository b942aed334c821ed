"""The exploration algorithms as formulas: what the model would answer at another greed.

What a model learns does not depend on how greedily it is followed, so offline one model answers for
many rates at once. Serving asks Vowpal Wabbit, which has the same formulas in its own arithmetic,
that of float32 (there is a test that they agree).

Of K candidates with expected cost c, the best of which is b (the first, where several are):

    squarecb   p(a) = 1 / (K + gamma (c(a) - c(b))), and b the rest (Foster & Rakhlin 2020)
    softmax    p(a) = exp(-gamma c(a)) / sum of the same over all
    epsilon    p(a) = epsilon / K, and 1 - epsilon more, shared by all whose cost is the least

    thompson   p(a) = how likely a is the best, under deviations divided by sqrt(sharpness)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from bandit_service.policy.best import chances
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.settings import Exploration, PolicySettings

GREED: Final[Mapping[Exploration, str]] = {
    "thompson": "sharpness",
    "squarecb": "gamma",
    "softmax": "gamma",
    "epsilon": "epsilon",
}
"""The setting that says how greedily a model is followed."""


_PART: Final[Mapping[Exploration, frozenset[str]]] = {
    "thompson": frozenset({"sharpness", "memory", "alarm", "prior_rate"}),
    "squarecb": frozenset({"gamma", "learning_rate", "power_t"}),
    "softmax": frozenset({"gamma", "learning_rate", "power_t"}),
    "epsilon": frozenset({"epsilon", "learning_rate", "power_t"}),
}
"""The settings that not all of them share."""


def idle_of(policy: PolicySettings) -> frozenset[str]:
    """The settings that play no part under its exploration: those of the others."""
    every = frozenset[str]().union(*_PART.values())
    return every - _PART[policy.exploration]


def explored(policy: PolicySettings, prediction: Prediction) -> list[float]:
    """K probabilities from what a model predicts, before any floor, share and holdout."""
    rewards = prediction.rewards
    if policy.exploration == "thompson":
        scale = policy.sharpness**-0.5
        return chances(rewards, [scale * deviation for deviation in prediction.deviations])
    costs = [1.0 - reward / policy.typical_reward for reward in rewards]
    best = costs.index(min(costs))
    return _ALGORITHMS[policy.exploration](policy, costs, best)


def greed_of(policy: PolicySettings) -> tuple[str, float]:
    """All that ``explored`` depends on besides the rewards."""
    return policy.exploration, getattr(policy, GREED[policy.exploration])


def _squarecb(policy: PolicySettings, costs: list[float], best: int) -> list[float]:
    found = [1.0 / (len(costs) + policy.gamma * (cost - costs[best])) for cost in costs]
    found[best] = 0.0
    found[best] = 1.0 - math.fsum(found)
    return found


def _softmax(policy: PolicySettings, costs: list[float], best: int) -> list[float]:
    found = [math.exp(-policy.gamma * (cost - costs[best])) for cost in costs]
    total = math.fsum(found)
    return [value / total for value in found]


def _epsilon(policy: PolicySettings, costs: list[float], best: int) -> list[float]:
    least = [cost == costs[best] for cost in costs]
    more = (1.0 - policy.epsilon) / sum(least)
    return [policy.epsilon / len(costs) + more * one for one in least]


_ALGORITHMS = {"squarecb": _squarecb, "softmax": _softmax, "epsilon": _epsilon}
