"""What a model says of one decision's candidates."""

from __future__ import annotations

from collections.abc import Sequence


class Prediction:
    """Of K candidates, in their order."""

    __slots__ = ("deviations", "probabilities", "rewards")

    def __init__(
        self,
        probabilities: list[float],
        rewards: list[float],
        deviations: Sequence[float] = (),
    ) -> None:
        """``probabilities`` of the exploration algorithm, summing to 1; ``rewards`` expected.

        ``deviations``: K standard deviations of the expected rewards at a sharpness of 1, from a
        model that knows what it does not know.
        """
        self.probabilities = probabilities
        self.rewards = rewards
        self.deviations = deviations
