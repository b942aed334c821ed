"""Propensities where a log does not say them: how often each arm was shown.

Within the rows of one placement that had the same candidates, an arm's propensity is its share of
what was shown. That is right where the policy looked at nothing else; where it looked at the
visitor, estimates inherit the error, which is why a result says that they were estimated.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bandit_service.errors import LogError
from bandit_service.evaluation.batch import Batch, Floats, Hashes, mixed

MAX_CELLS: Final = 1_000_000
"""Pairs of an arm and a set of candidates that can be counted."""


class Frequencies:
    """Counts of what was shown."""

    def __init__(self) -> None:
        self._shown: dict[int, int] = {}
        self._rows: dict[int, int] = {}
        self._tables: list[tuple[Hashes, Floats]] = []

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch in which one of the candidates was shown.

        Raises:
            LogError: if there are too many sets of candidates for counting to mean anything.
        """
        group = _groups(batch)
        good = batch.chosen >= 0
        _count(self._rows, group[good])
        _count(self._shown, _cells(group[good], batch.arms[batch.shown[good]].astype(np.uint64)))
        if len(self._shown) > MAX_CELLS:
            raise LogError(
                f"the log has more than {MAX_CELLS} pairs of an arm and a set of candidates: "
                "propensities cannot be estimated by counting",
                hint="map a column with the propensities that were used",
            )

    def finish(self) -> None:
        """Nothing is added any more."""
        self._tables = [_table(self._shown), _table(self._rows)]
        self._shown, self._rows = {}, {}

    def of(self, batch: Batch) -> Floats:
        """m: the share of each candidate; NaN where nothing was counted."""
        group = _groups(batch)[batch.rows]
        shown, rows = self._tables
        times = _looked_up(shown, _cells(group, batch.arms.astype(np.uint64)))
        with np.errstate(invalid="ignore"):
            shares: Floats = times / _looked_up(rows, group)
        return shares


def _groups(batch: Batch) -> Hashes:
    """n: a number for the placement and the set of candidates, in any order."""
    if not len(batch):
        return np.zeros(0, np.uint64)
    with np.errstate(over="ignore"):
        sets = np.add.reduceat(mixed(batch.arms.astype(np.uint64)), batch.offsets[:-1])
        return mixed(sets + mixed(~batch.placement.astype(np.uint64)))


def _cells(group: Hashes, arm: Hashes) -> Hashes:
    with np.errstate(over="ignore"):
        return mixed(group + mixed(arm))


def _count(counts: dict[int, int], keys: Hashes) -> None:
    for key, count in zip(
        *map(np.ndarray.tolist, np.unique(keys, return_counts=True)), strict=True
    ):
        counts[key] = counts.get(key, 0) + count


def _table(counts: dict[int, int]) -> tuple[Hashes, Floats]:
    keys = np.array(sorted(counts), np.uint64)
    return keys, np.array([counts[key] for key in keys.tolist()], np.float64)


def _looked_up(table: tuple[Hashes, Floats], keys: Hashes) -> Floats:
    known, counts = table
    if not len(known):
        return np.zeros(len(keys))
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found: Floats = np.where(known[at] == keys, counts[at], 0.0)
    return found
