"""The exploration algorithms as formulas: what the model would answer at another greed.

What a model learns does not depend on how greedily it is followed, so offline one model answers for
many rates at once. Serving asks Vowpal Wabbit, which has the same formulas in its own arithmetic,
that of float32 (there is a test that they agree).

Of K candidates with expected cost c, the best of which is b (the first, where several are):

    squarecb   p(a) = 1 / (K + gamma (c(a) - c(b))), and b the rest (Foster & Rakhlin 2020)
    softmax    p(a) = exp(-gamma c(a)) / sum of the same over all
    epsilon    p(a) = epsilon / K, and b 1 - epsilon more
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bandit_service.policy.settings import PolicySettings


def explored(policy: PolicySettings, rewards: Sequence[float]) -> list[float]:
    """K probabilities from K expected rewards, before any floor, share and holdout."""
    costs = [1.0 - reward / policy.typical_reward for reward in rewards]
    best = costs.index(min(costs))
    return _ALGORITHMS[policy.exploration](policy, costs, best)


def greed_of(policy: PolicySettings) -> tuple[str, float]:
    """All that ``explored`` depends on besides the rewards."""
    rate = policy.epsilon if policy.exploration == "epsilon" else policy.gamma
    return policy.exploration, rate


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
    found = [policy.epsilon / len(costs)] * len(costs)
    found[best] += 1.0 - policy.epsilon
    return found


_ALGORITHMS = {"squarecb": _squarecb, "softmax": _softmax, "epsilon": _epsilon}
