"""One estimator summed up over the rows of a log, with all that its intervals need.

Sums are exact, so that folds of parts of a log merge to the fold of the whole, to the byte, in any
order. Memory is that of the groups and of the blocks of time, however many rows there are.

Intervals must not take the rows of one visitor for independent. Sums by visitor would need memory
for each, so visitors are put into 1,024 random groups: groups are as independent as visitors, and
1,024 are enough for a variance that is right within 5 % (its relative error is sqrt(2 / 1024)).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from bandit_service.evaluation.batch import Whole
from bandit_service.evaluation.cells import cells_of
from bandit_service.evaluation.estimators import Estimator
from bandit_service.evaluation.keyed_sums import KeyedSums
from bandit_service.evaluation.ratio import Block, Ratio, Sums
from bandit_service.evaluation.sums import ExactSums
from bandit_service.evaluation.terms import Terms

GROUPS: Final = 1024
"""Random groups of clusters."""
HOUR_MS: Final = 3_600_000


class EstimateFold:
    """An estimator's sums over rows."""

    def __init__(self, estimator: Estimator, *, block_ms: int = HOUR_MS) -> None:
        """Of no rows; ``block_ms`` is how long a block of time is, in ms."""
        name = estimator.name
        of_pairs = () if estimator.mean else ("den", "cross", "den2")
        self.estimator = estimator
        self.block_ms = block_ms
        self._blocks: KeyedSums[int] = KeyedSums("num", "num2", *of_pairs, of=name)
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
        self._blocks.add(*_blocks_of(terms.ms // self.block_ms), len(terms), columns)
        group = (terms.scattered % np.uint64(GROUPS)).astype(np.int64)
        self._group_n += np.bincount(group, minlength=GROUPS)
        self._group_num.add(num, group)
        if not self.estimator.mean:
            self._group_den.add(den, group)
        self._clusters = self._clusters or bool((terms.cluster != terms.key).any())

    def __add__(self, other: EstimateFold) -> EstimateFold:
        """The fold of the rows of both.

        Raises:
            ValueError: if they are not of the same estimator and blocks.
        """
        if (self.estimator, self.block_ms) != (other.estimator, other.block_ms):
            raise ValueError(f"{self.estimator} cannot be merged with {other.estimator}")
        merged = EstimateFold(self.estimator, block_ms=self.block_ms)
        merged._blocks = self._blocks + other._blocks
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
            sums=self._sums(),
            weight=self._weight.total(),
            weight2=self._weight2.total(),
            max_weight=self._max_weight,
            group_n=self._group_n.copy(),
            group_num=self._group_num.totals(),
            group_den=self._group_n.astype(np.float64) if mean else self._group_den.totals(),
            clusters=self._clusters,
            blocks=self._by_block(),
        )

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if what was summed up is."""
        return msgspec.msgpack.encode(
            [
                self.estimator.name,
                self.block_ms,
                self._blocks.encode(),
                self._group_n.astype("<i8").tobytes(),
                self._group_num.encode(),
                self._group_den.encode(),
                self._weight.encode(),
                self._weight2.encode(),
                self._max_weight,
                self._clusters,
            ]
        )

    def _sums(self) -> Sums:
        n, total = self._blocks.n, self._blocks.total
        num, num2 = total("num"), total("num2")
        if self.estimator.mean:
            return Sums(n, num, float(n), num2, num, float(n))
        return Sums(n, num, total("den"), num2, total("cross"), total("den2"))

    def _by_block(self) -> list[Block]:
        keys, n, columns = self._blocks.get()
        num, num2 = columns["num"], columns["num2"]
        den = columns.get("den", n.astype(np.float64))
        table = zip(
            n.tolist(),
            num.tolist(),
            den.tolist(),
            num2.tolist(),
            columns.get("cross", num).tolist(),
            columns.get("den2", den).tolist(),
            strict=True,
        )
        return [
            Block(key * self.block_ms, Sums(*row)) for key, row in zip(keys, table, strict=True)
        ]


def _blocks_of(numbers: Whole) -> tuple[list[int], Whole | int]:
    """The distinct numbers, and which of them each row has: one for all if they are the same."""
    first, last = int(numbers.min()), int(numbers.max())
    if first == last:
        return [first], 0
    (found,), group = cells_of((numbers - first, last - first + 1))
    return (found + first).tolist(), group
