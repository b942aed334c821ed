"""One estimator summed up over the rows of a log, with all that its intervals need.

Sums are exact, so that folds of parts of a log merge to the fold of the whole, to the byte, in any
order. Memory is that of the groups, however many rows there are.

Intervals must not take the rows of one visitor for independent. Sums by visitor would need memory
for each, so visitors are put into 1,024 random groups: groups are as independent as visitors, and
1,024 are enough for a variance that is right within 5 % (its relative error is sqrt(2 / 1024)).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from bandit_service.evaluation.estimators import Estimator
from bandit_service.evaluation.folds.ratio import Ratio, Sums
from bandit_service.evaluation.folds.sums import ExactSums
from bandit_service.evaluation.terms import Terms

GROUPS: Final = 1024
"""Random groups of clusters."""


class EstimateFold:
    """An estimator's sums over rows."""

    def __init__(self, estimator: Estimator) -> None:
        """Of no rows."""
        name = estimator.name
        of_pairs = () if estimator.mean else ("den", "cross", "den2")
        self.estimator = estimator
        self._n = 0
        self._sums = {
            column: ExactSums(of=f"{column} of {name}") for column in ("num", "num2", *of_pairs)
        }
        self._group_n = np.zeros(GROUPS, np.int64)
        self._group_num = ExactSums(GROUPS, of=f"num of {name}")
        self._group_den = ExactSums(GROUPS, of=f"den of {name}")
        self._weight = ExactSums(of=f"weight of {name}")
        self._weight2 = ExactSums(of=f"weight^2 of {name}")
        self._max_weight = 0.0
        self._clusters = False

    def add(self, terms: Terms) -> None:
        """Add rows.

        Raises:
            EvaluationError: if a row's weight or value is not a finite number, or too large to be
                squared.
        """
        if not len(terms):
            return
        with np.errstate(over="ignore", invalid="ignore"):  # the sums refuse what is not finite
            num, den = self.estimator.pairs(terms)
            weights = self.estimator.weights(terms)
            columns = {"num": num, "num2": num * num}
            if not self.estimator.mean:
                columns |= {"den": den, "cross": num * den, "den2": den * den}
            weights2 = weights * weights
        self._weight.add(weights)
        self._weight2.add(weights2)
        self._max_weight = max(self._max_weight, float(weights.max()))
        self._n += len(terms)
        for column, values in columns.items():
            self._sums[column].add(values)
        group = (terms.scattered % np.uint64(GROUPS)).astype(np.int64)
        self._group_n += np.bincount(group, minlength=GROUPS)
        self._group_num.add(num, group)
        if not self.estimator.mean:
            self._group_den.add(den, group)
        self._clusters = self._clusters or bool((terms.cluster != terms.key).any())

    def __add__(self, other: EstimateFold) -> EstimateFold:
        """The fold of the rows of both.

        Raises:
            ValueError: if they are not of the same estimator.
        """
        if self.estimator != other.estimator:
            raise ValueError(f"{self.estimator} cannot be merged with {other.estimator}")
        merged = EstimateFold(self.estimator)
        merged._n = self._n + other._n
        merged._sums = {column: sums + other._sums[column] for column, sums in self._sums.items()}
        merged._group_n = self._group_n + other._group_n
        merged._group_num = self._group_num + other._group_num
        merged._group_den = self._group_den + other._group_den
        merged._weight = self._weight + other._weight
        merged._weight2 = self._weight2 + other._weight2
        merged._max_weight = max(self._max_weight, other._max_weight)
        merged._clusters = self._clusters or other._clusters
        return merged

    def get(self) -> Ratio:
        """The sums, each correctly rounded.

        Raises:
            EvaluationError: if one is beyond what a float64 can hold.
        """
        mean = self.estimator.mean
        return Ratio(
            sums=self._totals(),
            weight=self._weight.total(),
            weight2=self._weight2.total(),
            max_weight=self._max_weight,
            group_n=self._group_n.copy(),
            group_num=self._group_num.totals(),
            group_den=self._group_n.astype(np.float64) if mean else self._group_den.totals(),
            clusters=self._clusters,
        )

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if what was summed up is."""
        return msgspec.msgpack.encode(
            [
                self.estimator.name,
                self._n,
                [sums.encode() for sums in self._sums.values()],
                self._group_n.astype("<i8").tobytes(),
                self._group_num.encode(),
                self._group_den.encode(),
                self._weight.encode(),
                self._weight2.encode(),
                self._max_weight,
                self._clusters,
            ]
        )

    def _totals(self) -> Sums:
        n = self._n
        total = {column: sums.total() for column, sums in self._sums.items()}
        num, num2 = total["num"], total["num2"]
        if self.estimator.mean:
            return Sums(n, num, float(n), num2, num, float(n))
        return Sums(n, num, total["den"], num2, total["cross"], total["den2"])
