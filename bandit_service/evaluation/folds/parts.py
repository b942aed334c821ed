"""An estimator within the parts of a log: by placement, by persona.

Lighter than an ``EstimateFold``: no groups, so that there can be many parts. Memory is that of the
names that occur.
"""

from __future__ import annotations

import msgspec
import numpy as np

from bandit_service.evaluation.batch import Names, Whole
from bandit_service.evaluation.estimators import Estimator
from bandit_service.evaluation.folds.cells import cells_of
from bandit_service.evaluation.folds.keyed_sums import KeyedSums
from bandit_service.evaluation.folds.ratio import Ratio, Sums
from bandit_service.evaluation.terms import Terms

_COLUMNS = ("num", "den", "num2", "cross", "den2", "weight", "weight2")


class CellsFold:
    """An estimator's sums over rows, by a name that each row has."""

    def __init__(self, estimator: Estimator) -> None:
        """Of no rows."""
        self.estimator = estimator
        self._sums: KeyedSums[str] = KeyedSums(*_COLUMNS, of=estimator.name)
        self._largest: dict[str, float] = {}

    def add(self, terms: Terms, codes: Whole, names: Names) -> None:
        """Add n rows, of which ``codes`` (n) in ``names`` say which part each belongs to.

        Raises:
            EvaluationError: if a row's weight or value is not a finite number, or too large to be
                squared.
        """
        (found,), group = cells_of((codes, len(names)))
        keys = names.named(found)
        with np.errstate(over="ignore", invalid="ignore"):  # the sums refuse what is not finite
            num, den = self.estimator.pairs(terms)
            weight = self.estimator.weights(terms)
            columns = (num, den, num * num, num * den, den * den, weight, weight * weight)
        self._sums.add(keys, group, len(terms), dict(zip(_COLUMNS, columns, strict=True)))
        largest = np.zeros(len(keys))
        np.maximum.at(largest, group, weight)
        for key, weight_here in zip(keys, largest.tolist(), strict=True):
            self._largest[key] = max(self._largest.get(key, 0.0), weight_here)

    def __add__(self, other: CellsFold) -> CellsFold:
        """The fold of the rows of both."""
        merged = CellsFold(self.estimator)
        merged._sums = self._sums + other._sums
        merged._largest = dict(self._largest)
        for key, weight in other._largest.items():
            merged._largest[key] = max(merged._largest.get(key, 0.0), weight)
        return merged

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if what was summed up is."""
        return msgspec.msgpack.encode([self._sums.encode(), sorted(self._largest.items())])

    def get(self) -> dict[str, Ratio]:
        """The ratio of each part, without groups, in order of names.

        Raises:
            EvaluationError: if a sum is beyond what a float64 can hold.
        """
        keys, n, columns = self._sums.get()
        table = zip(n.tolist(), *(columns[name].tolist() for name in _COLUMNS), strict=True)
        nothing = np.zeros(0)
        return {
            key: Ratio(
                sums=Sums(*row[:6]),
                weight=row[6],
                weight2=row[7],
                max_weight=self._largest[key],
                group_n=nothing.astype(np.int64),
                group_num=nothing,
                group_den=nothing,
                clusters=False,
            )
            for key, row in zip(keys, table, strict=True)
        }
