"""Sums behind the tests of a sample ratio: exact, so that parts of a log add up to the whole.

A sum is a whole number of UNIT: every value is rounded to that once, and whole numbers add up to
the same in any order. Rounding moves a count by less than 1e-10 a row, which no test here notices.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Mask, Whole
from bandit_service.evaluation.verification.evidence import average, evidence

UNIT: Final = 2.0**-32

CROWDS: Final = (1, 2, 3, 4, 6, 8)
"""See ``inverses``."""
_BROAD: Final = 8.0
"""The mean of all inverse probabilities leaves out those below 1 / (8 * candidates)."""
STATISTICS: Final = len(CROWDS) + 1
_BETS: Final = np.array([0.5**j for j in range(1, 7)])
_ARM_BETS: Final = np.array([0.5**j for j in range(1, 13)])


def whole(values: Floats) -> Whole:
    """The values in units."""
    return np.rint(values / UNIT).astype(np.int64)


_LOST: Final[list[int]] = whole(np.log1p(-_ARM_BETS)).tolist()
"""The logs of the bets on an arm, in units, in a row that did not show it."""


class Count:
    """How often something was drawn, and how often it should have been."""

    __slots__ = ("_expected", "_variance", "rows", "seen")

    def __init__(self) -> None:
        self.rows = 0
        self.seen = 0
        self._expected = 0
        self._variance = 0

    def add(self, rows: int, seen: int, expected: int, variance: int) -> None:
        """Add sums; the last two in units."""
        self.rows += rows
        self.seen += seen
        self._expected += expected
        self._variance += variance

    def merge(self, other: Count) -> None:
        """Add what another has counted."""
        self.add(other.rows, other.seen, other._expected, other._variance)

    @property
    def expected(self) -> float:
        """Sum of the probabilities."""
        return self._expected * UNIT

    @property
    def evidence(self) -> float:
        """Log e-value that it was not drawn as logged."""
        return evidence(self.seen - self.expected, self._variance * UNIT)

    @property
    def words(self) -> str:
        """Both numbers."""
        return f"expected {self.expected:,.1f}, seen {self.seen:,}"


class Inverses:
    """Sums of a function of the probability of what was shown alone; see ``inverses``."""

    __slots__ = ("_bets", "_sums", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._sums = [0] * STATISTICS
        self._bets = [0] * (STATISTICS * len(_BETS))

    def add(self, rows: int, sums: list[int], bets: list[int]) -> None:
        """Add sums in units: of the statistics, and of the logs of the bets on each."""
        self.rows += rows
        self._sums = [a + b for a, b in zip(self._sums, sums, strict=True)]
        self._bets = [a + b for a, b in zip(self._bets, bets, strict=True)]

    def merge(self, other: Inverses) -> None:
        """Add what another has summed up."""
        self.add(other.rows, other._sums, other._bets)

    @property
    def evidence(self) -> float:
        """Log e-value that what was shown was not drawn with the probabilities logged for it."""
        return average([bet * UNIT for bet in self._bets])

    @property
    def words(self) -> str:
        """The statistic that is furthest off, and what it should be."""
        means = [total * UNIT / max(1, self.rows) for total in self._sums]
        at = max(range(STATISTICS), key=means.__getitem__)
        if at == len(CROWDS):
            return f"1 / (probability * candidates) is {means[at]:.4g} on average, 1 at most is due"
        floor = f"1/{CROWDS[at] + 1}"
        return (
            f"what is logged as more probable than {floor} was shown "
            f"{means[at]:.4g} times as often as it can have been"
        )


class ArmInverses:
    """Sums for one arm of 1 / p where it was shown: 1 for each row that listed it, on average.

    This needs no probability but that of what was shown. It finds an arm whose rows are doubled,
    and, by the others that are then too many, one whose rows are dropped.
    """

    __slots__ = ("_bets", "_sum", "rows", "seen")

    def __init__(self) -> None:
        self.rows = 0
        self.seen = 0
        self._sum = 0
        self._bets = [0] * len(_ARM_BETS)

    def add(self, rows: int, seen: int, inverse: int, bets: list[int]) -> None:
        """Add sums; of the inverses and the logs of the bets, over rows that showed the arm."""
        self.rows += rows
        self.seen += seen
        self._sum += inverse
        self._bets = [a + b for a, b in zip(self._bets, bets, strict=True)]

    def merge(self, other: ArmInverses) -> None:
        """Add what another has summed up."""
        self.add(other.rows, other.seen, other._sum, other._bets)

    @property
    def evidence(self) -> float:
        """Log e-value that the arm was shown more often than its probabilities say."""
        missed = self.rows - self.seen
        logs = [(bet + missed * lost) * UNIT for bet, lost in zip(self._bets, _LOST, strict=True)]
        return average(logs)

    @property
    def words(self) -> str:
        """What should have been near its expectation, and was not."""
        return f"sum of 1 / probability expected {self.rows:,}, seen {self._sum * UNIT:,.1f}"


def inverses(propensity: Floats, counts: Whole) -> Floats:
    """Statistics of what was shown, n x STATISTICS: 1 or less on average, each, and never below 0.

    Summed over the candidates of a row, p * (1 / p) counts them; so 1 / p of what was shown is on
    average the number of candidates that could be. Restricted to those with p above 1 / (k + 1),
    of which there can be k at most, the mean of 1[p > 1 / (k + 1)] / (k * p) is 1 at most: this
    finds what is shown more often than its probability says, and is never above (k + 1) / k. The
    last column is the mean over all candidates, 1 / (p * candidates), without those so improbable
    that a handful of rows would decide: it finds rare candidates that are shown too often.

    Its power is low where probabilities are spread over many candidates.
    """
    columns = []
    for most in CROWDS:
        among = propensity > 1.0 / (most + 1)
        columns.append(np.where(among, 1.0 / (np.minimum(most, counts) * propensity), 0.0))
    among = propensity * counts * _BROAD >= 1.0
    columns.append(np.where(among, 1.0 / (counts * propensity), 0.0))
    return np.stack(columns, axis=1)


def bets(statistics: Floats) -> Floats:
    """Logs of the bets, n x (STATISTICS * bets): log(1 + bet * (x - 1)); sums are log e-values."""
    staked = np.log1p(_BETS * (statistics[:, :, None] - 1.0))
    return staked.reshape(len(statistics), -1)


def arm_bets(propensity: Floats, counts: Whole) -> tuple[Whole, Whole]:
    """In units, n and n x bets: 1 / p of what was shown, and the logs of the bets on it.

    As in ``inverses``, candidates so improbable that a handful of rows would decide count for 0.
    """
    ordinary = propensity * counts * _BROAD >= 1.0
    inverse = np.where(ordinary, 1.0 / propensity, 0.0)
    return whole(inverse), whole(np.log1p(_ARM_BETS * (inverse[:, None] - 1.0)))


def most_probable(batch: Batch) -> Mask:
    """m: whether a candidate is the most probable of its row; of equals, the first listed."""
    top = batch.logged == np.repeat(batch.row_max(batch.logged), batch.counts)
    before = np.cumsum(top) - top
    first: Mask = before == np.repeat(before[batch.offsets[:-1]], batch.counts)
    chosen: Mask = top & first
    return chosen
