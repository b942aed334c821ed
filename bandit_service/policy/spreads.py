"""How much variants differ, and how far each source of knowledge is to be trusted: learned.

Four numbers say how the posterior weighs what it has (``pooling``):

    arms      how much variants of a placement differ to everybody
    own       how much more they differ from persona to persona
    prior     how much of what VW expects of a new variant is believed: 0, half or all of it
    context   how much of what VW says of this visitor's situation is believed

Each has a ladder of values, and each value a log likelihood, added up reward by reward. What is
scored is *which* candidate was rewarded, given that one was: with p the logged probabilities, and
theta as expected under a value before the reward came,

    P(a | rewarded) = p(a) theta(a) / sum over b of p(b) theta(b)

This is Cox's partial likelihood (Cox 1975, Biometrika 62) with the propensities as exposure. How
much the placement earns cancels, and since p is what the draw really used, the policy's own choices
do not bias it, as they would bias a comparison of the variants' means. It needs rewards alone,
which are few, and predicts each before it learns from it: nothing is flattered by its own data.

No value of ``arms`` below 0.2 is on the ladder. Small ones predict as well where little is known,
and stop exploring too soon: on headline tests of 2,000 impressions a ladder that began at 0.1 cost
3 and 6 points (the model alone, two seeds).

The values in use are means over the ladder, weighed by likelihood and by a prior of a few rewards'
worth. A value is scored with the others at what is in use: 4 ladders cost their sum, not their
product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeGuard

import msgspec
import numpy as np

from bandit_service.policy.best import Floats

LADDERS: Final[dict[str, tuple[float, ...]]] = {
    "arms": (0.2, 0.4, 0.8),
    "own": (0.03, 0.1, 0.2, 0.35, 0.6),
    "prior": (0.0, 0.5, 1.0),
    "context": (0.0, 0.5, 1.0),
}
_PRIOR: Final[dict[str, tuple[float, ...]]] = {
    "arms": (0.0, -1.0, -2.0),
    "own": (0.0, 0.0, 0.0, -1.0, -2.0),
    "prior": (0.0, 0.0, 0.0),
    "context": (1.0, 0.0, 0.0),
}
"""Log weights before anything was seen."""
IGNORED: Final = 0.1
"""Where no more than this is believed of what VW says of a situation, it is not asked."""
_MEMORY: Final = 20_000.0
"""Rewards after which what was learned of the ladders has faded to a third."""


class Rungs(NamedTuple):
    """G values of each number."""

    arms: Floats
    own: Floats
    prior: Floats
    context: Floats


class InUse(NamedTuple):
    """One value of each number."""

    arms: float
    own: float
    prior: float
    context: float

    def alone(self) -> Rungs:
        """The same, where G values are asked for: one of each."""
        return Rungs(*(np.array([value]) for value in self))


class Spreads(msgspec.Struct, array_like=True):
    """Log likelihoods of the ladders' values."""

    evidence: dict[str, list[float]] = msgspec.field(
        default_factory=lambda: {name: [0.0] * len(steps) for name, steps in LADDERS.items()}
    )

    def in_use(self) -> InUse:
        """The values to go by, spreads averaged as variances."""
        arms = math.sqrt(self._mean("arms", squared=True))
        own = math.sqrt(self._mean("own", squared=True))
        context = self._mean("context")
        return InUse(arms, own, self._mean("prior"), context if context > IGNORED else 0.0)

    def rungs(self, used: InUse) -> Rungs:
        """All that is scored when a reward comes, ladder after ladder."""
        columns = {name: [value] * _COUNT for name, value in used._asdict().items()}
        start = 0
        for name, steps in LADDERS.items():
            columns[name][start : start + len(steps)] = steps
            start += len(steps)
        return Rungs(**{name: np.array(values) for name, values in columns.items()})

    def score(self, likelihoods: Sequence[float], worth: float) -> None:
        """Add what one reward says: G log likelihoods in the order of ``rungs``.

        ``worth`` is the reward in typical rewards, of which one at most is counted.
        """
        worth = min(worth, 1.0)
        fade, start = 1.0 - worth / _MEMORY, 0
        for name, steps in LADDERS.items():
            mine = self.evidence[name]
            told = likelihoods[start : start + len(steps)]
            sums = [value * fade + worth * new for value, new in zip(mine, told, strict=True)]
            best = max(sums)
            self.evidence[name] = [value - best for value in sums]
            start += len(steps)

    def _mean(self, name: str, *, squared: bool = False) -> float:
        logs = [a + b for a, b in zip(self.evidence[name], _PRIOR[name], strict=True)]
        best = max(logs)
        weights = [math.exp(value - best) for value in logs]
        values = [value * value for value in LADDERS[name]] if squared else LADDERS[name]
        total = math.fsum(weights)
        return math.fsum(w * v for w, v in zip(weights, values, strict=True)) / total


_COUNT: Final = sum(map(len, LADDERS.values()))


def are_told(
    probabilities: Sequence[float] | None, count: int, chosen: int
) -> TypeGuard[Sequence[float]]:
    """Whether there is a propensity of each of ``count`` candidates; logs of others lack some."""
    return (
        probabilities is not None
        and len(probabilities) == count
        and all(0.0 <= p < math.inf for p in probabilities)
        and probabilities[chosen] > 0.0
    )


def likelihoods(probabilities: Sequence[float], expected: Floats, chosen: int) -> list[float]:
    """The log probability that it was ``chosen`` that was rewarded, for each of G settings.

    Args:
        probabilities: K propensities of the decision.
        expected: G x K relative rewards, > 0.
        chosen: the candidate that was rewarded.

    Source: Cox (1975), as above.
    """
    found = []
    for row in expected.tolist():
        shares = [p * theta for p, theta in zip(probabilities, row, strict=True)]
        found.append(math.log(shares[chosen] / math.fsum(shares)))
    return found
