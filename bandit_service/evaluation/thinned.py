"""Some of many numbers, evenly spaced in the order in which they came: quantiles in bounded memory.

What is kept depends on the numbers and their order alone, not on how they were cut into batches.
"""

from __future__ import annotations

from typing import Final

from bandit_service.evaluation.batch import Whole

MOST: Final = 16_384
"""Numbers kept at most; a quantile is right within 1 in 8,000 of the numbers."""


class Thinned:
    """Every k-th of the numbers, k being doubled whenever there are too many."""

    def __init__(self, most: int = MOST) -> None:
        """Nothing yet; ``most`` is how many are kept at most."""
        self._most = most
        self._step = 1
        self._came = 0
        self.kept: list[int] = []
        """Some of the numbers, in order."""

    def add(self, numbers: Whole) -> None:
        """Take in n more numbers."""
        first = -self._came % self._step
        self._came += len(numbers)
        self.kept += numbers[first :: self._step].tolist()
        while len(self.kept) > self._most:
            self.kept = self.kept[::2]
            self._step *= 2
