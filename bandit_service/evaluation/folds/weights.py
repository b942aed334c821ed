"""How the weights of a target lie on a log: the first thing to look at before any estimate.

Their mean is near 1 where the log's propensities are right and it could show whatever the target
does (Li et al. 2015 check logs so); their effective sample size says how many rows' worth of
evidence there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import msgspec
import numpy as np

from bandit_service.evaluation.batch import Floats, Whole
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.folds.sums import ExactSums
from bandit_service.evaluation.terms import Terms

EDGES: Final = (0.0, *(float(f"{digit}e{power}") for power in range(-3, 6) for digit in (1, 2, 5)))
"""Where bins of the histogram begin: 0, then 1, 2 and 5 of each power of 10. The last is open."""


class WeightsFound(NamedTuple):
    """What a ``WeightsFold`` gives."""

    ratio: Ratio
    """The mean weight as an estimate, for its interval: num = w, den = 1."""
    edges: list[float]
    """B + 1 edges of the bins that have rows, and of those between; none if there are no rows."""
    counts: list[int]
    """B: rows in each bin; a weight on an edge is in the bin above."""
    unsupported: float | None
    """Mean over rows of the probability that the target gives to what the log could not show; None
    if no row of the log says."""

    @property
    def mean(self) -> float:
        """The mean weight; NaN without rows."""
        return self.ratio.value

    @property
    def variance(self) -> float:
        """The variance of the weights, with n - 1 below; NaN with fewer than two rows."""
        n = self.ratio.sums.n
        return self.ratio.sums.squares(self.mean) / (n - 1) if n > 1 else float("nan")

    @property
    def ess(self) -> float:
        """The effective sample size."""
        return self.ratio.ess

    @property
    def maximum(self) -> float:
        """The largest weight; 0 without rows."""
        return self.ratio.max_weight


@dataclass(frozen=True)
class _Weight:
    """The mean weight, as an ``Estimator``."""

    name: ClassVar[str] = "weight"
    words: ClassVar[str] = "The mean weight."
    source: ClassVar[str] = "Li, Chen, Kleban & Gupta 2015, WWW"
    mean: ClassVar[bool] = True
    distributions: ClassVar[bool] = False

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        return terms.weight, np.ones(len(terms))

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return terms.weight


class WeightsFold:
    """The weights of rows, summed up and counted by size."""

    def __init__(self) -> None:
        self._mean = EstimateFold(_Weight())
        self._counts: Whole = np.zeros(len(EDGES), np.int64)
        self._known = 0
        self._unsupported = ExactSums(of="probability of what the log could not show")

    def add(self, terms: Terms) -> None:
        """Add rows.

        Raises:
            EvaluationError: if a weight is not a finite number, or too large to be squared.
        """
        self._mean.add(terms)
        bins = np.searchsorted(EDGES, terms.weight, side="right") - 1
        self._counts = self._counts + np.bincount(bins, minlength=len(EDGES))
        unsupported = terms.unsupported[~np.isnan(terms.unsupported)]
        self._known += len(unsupported)
        self._unsupported.add(unsupported)

    def __add__(self, other: WeightsFold) -> WeightsFold:
        """The fold of the rows of both."""
        merged = WeightsFold()
        merged._mean = self._mean + other._mean
        merged._counts = self._counts + other._counts
        merged._known = self._known + other._known
        merged._unsupported = self._unsupported + other._unsupported
        return merged

    def get(self) -> WeightsFound:
        """What was found."""
        ratio = self._mean.get()
        edges, counts = self._histogram(ratio.max_weight)
        mass = self._unsupported.total() / self._known if self._known else None
        return WeightsFound(ratio, edges, counts, mass)

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if what was summed up is."""
        return msgspec.msgpack.encode(
            [self._mean.encode(), self._counts.tolist(), self._known, self._unsupported.encode()]
        )

    def _histogram(self, maximum: float) -> tuple[list[float], list[int]]:
        """Edges and counts from the first bin that has rows to the last.

        The last edge is the next one, or the largest weight where there is none.
        """
        used = np.flatnonzero(self._counts)
        if not len(used):
            return [], []
        first, last = int(used[0]), int(used[-1])
        end = EDGES[last + 1] if last + 1 < len(EDGES) else maximum
        return [*EDGES[first : last + 1], end], self._counts[first : last + 1].tolist()
