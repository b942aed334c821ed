"""Rows that are in a log twice, found within bounded memory.

The keys of rows are remembered: all of them while they are few, and once they are more than KEPT,
those whose hash is below a bound that is halved as often as it must be. Whatever is doubled as a
whole (a file given twice, parts that overlap) is found in a log of any length; single rows surely
in one of up to KEPT rows, and by chance beyond.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bandit_service.evaluation.batch import Hashes, Whole, mixed

KEPT: Final = 2**18
"""Keys that are remembered: about 25 MB."""


class RepeatedRows:
    """The fold."""

    def __init__(self, kept: int = KEPT) -> None:
        """Nothing seen yet; ``kept`` is how many keys to remember at most."""
        self._kept = kept
        self._bound = 2**64
        self._seen: set[int] = set()

    def add(self, keys: Hashes) -> Whole:
        """Which of the rows, by index, were seen before."""
        hashes = mixed(keys)
        watched = np.flatnonzero(hashes <= np.uint64(self._bound - 1))
        numbers = hashes[watched].tolist()
        again = []
        if len(set(numbers)) < len(numbers) or not self._seen.isdisjoint(numbers):
            for row, number in zip(watched.tolist(), numbers, strict=True):
                if number in self._seen:
                    again.append(row)
                self._seen.add(number)
        self._seen.update(numbers)
        self._shrink()
        return np.array(again, np.int64)

    def merged(self, other: RepeatedRows) -> tuple[RepeatedRows, int]:
        """Both together, and how many of the rows that are watched were in both."""
        both = RepeatedRows(min(self._kept, other._kept))
        both._bound = min(self._bound, other._bound)
        common = sum(seen < both._bound for seen in self._seen & other._seen)
        both._seen = {seen for seen in self._seen | other._seen if seen < both._bound}
        both._shrink()
        return both, common

    def _shrink(self) -> None:
        while len(self._seen) > self._kept:
            self._bound //= 2
            self._seen = {seen for seen in self._seen if seen < self._bound}
