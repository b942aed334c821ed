"""Exact sums of float64: the same in any order, merged to the same bytes from any partition.

A float64 is a whole number of units of 2^-1074, so a sum of them is one too, of about 2,100 bits
and a few more for how many there are. It is kept in base 2^40: digit j counts units of 2^(40 j).
Values are split into digits for a whole array at once: adding and subtracting 1.5 * 2^(52 + 40 j)
rounds each to a multiple of 2^(40 j) and leaves an exact remainder for the digit below (the
extraction of Rump, Ogita, Oishi, 2008, "Accurate Floating-Point Summation", on a fixed grid). At
most 2^13 values are split at once, so that the sum of a digit, at most 2^53, is exact in a float64.

Rejected: ``math.fsum``, whose state cannot be merged; compensated and pairwise sums, which depend
on the order; whole numbers of Python for each value, 50 times slower.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.batch import Floats, Whole

LEFT_OUT: Final = -1
"""In place of a group: none."""
_WIDTH: Final = 40
"""Bits of a digit."""
_CHUNK: Final = 2 ** (53 - _WIDTH)
"""Values split at once; their digits then sum to at most 2^53."""
_ROOM: Final = 512
"""Sums of digits that an int64 takes before it must be carried: each is at most 2^53."""
_LOWEST: Final = -27
"""The digit that has the smallest float64, 2^-1074."""
_HUGE: Final = 2.0**880
"""Values from here on are scaled down before they are split: 1.5 * 2^(52 + 40 j) must be finite."""
_SCALE: Final = 10
"""By how many digits."""


class ExactSums:
    """Sums of float64 by group, exact."""

    def __init__(self, groups: int = 1, *, of: str = "a value") -> None:
        """Sums of nothing.

        Args:
            groups: How many sums there are.
            of: What is summed up, for errors.
        """
        self.groups = groups
        self.of = of
        self._digits: dict[int, Whole] = {}
        self._room = _ROOM

    def add(self, values: Floats, group: Whole | int = 0) -> None:
        """Add each value to the sum of its group; a single ``group`` is that of all.

        Raises:
            EvaluationError: if a value is not a finite number; then nothing was added.
        """
        if not len(values):
            return
        peak = float(np.abs(values).max())
        if not np.isfinite(peak):
            raise self._refused(values)
        if peak >= _HUGE:
            self._add_huge(values, group)
            return
        for start in range(0, len(values), _CHUNK):
            stop = start + _CHUNK
            part = group if isinstance(group, int) else group[start:stop]
            self._split(values[start:stop], part, _top(peak), 0)

    def include(self, other: ExactSums, to: Whole) -> None:
        """Add the sum of each of ``other``'s groups to that of group ``to[i]`` here.

        Args:
            other: Sums of G groups, at most 2^23.
            to: G groups here, several times the same or not; ``LEFT_OUT``: none.
        """
        kept = to != LEFT_OUT
        many = other.groups > _CHUNK  # they may all be added to one
        if many:
            self._carried()
        for j, digits in other._carried().items():
            self._count(j, digits[kept], to[kept])
        if many:
            self._carried()

    def __add__(self, other: ExactSums) -> ExactSums:
        """The sums of what either summed up; both have the same groups."""
        if self.groups != other.groups:
            raise ValueError(f"{self.groups} groups cannot be merged with {other.groups}")
        merged = ExactSums(self.groups, of=self.of)
        for part in (self, other):
            for j, digits in part._carried().items():
                merged._count(j, digits)
        return merged

    def spread(self, to: Whole, groups: int) -> ExactSums:
        """The same sums in other groups: group i as part of group ``to[i]``, or of none."""
        spread = ExactSums(groups, of=self.of)
        spread.include(self, to)
        return spread

    def total(self) -> float:
        """The sum over all groups, correctly rounded.

        Raises:
            EvaluationError: if it is beyond what a float64 can hold.
        """
        return self._rounded({j: int(d.sum()) for j, d in self._carried().items()})

    def totals(self) -> Floats:
        """The sum of each group, correctly rounded.

        Raises:
            EvaluationError: as of ``total``.
        """
        carried = {j: digits.tolist() for j, digits in self._carried().items()}
        return np.array(
            [
                self._rounded({j: digits[group] for j, digits in carried.items()})
                for group in range(self.groups)
            ],
            np.float64,
        )

    def encode(self) -> bytes:
        """The sums as bytes, equal exactly if the sums are."""
        parts = [struct.pack("<Q", self.groups)]
        for j, digits in sorted(self._carried().items()):
            parts += [struct.pack("<q", j), digits.astype("<i8").tobytes()]
        return b"".join(parts)

    def _add_huge(self, values: Floats, group: Whole | int) -> None:
        huge = np.abs(values) >= _HUGE
        for part, shift in ((~huge, 0), (huge, _SCALE)):
            scaled = np.ldexp(values[part], -_WIDTH * shift)
            groups = group if isinstance(group, int) else group[part]
            for start in range(0, len(scaled), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                to = groups if isinstance(groups, int) else groups[chunk]
                self._split(scaled[chunk], to, _top(float(np.abs(scaled).max())), shift)

    def _split(self, values: Floats, group: Whole | int, top: int, shift: int) -> None:
        """Add at most ``_CHUNK`` values, below 2^(40 (top + 1)); ``shift`` is added to digits."""
        rest = values
        for j in range(top, _LOWEST - 1, -1):
            grid = 1.5 * 2.0 ** (52 + _WIDTH * j)
            rounded = rest + grid
            rounded -= grid
            self._count(j + shift, self._summed(rounded, group, j))
            rest = rest - rounded
            if not rest.any():
                return

    def _summed(self, rounded: Floats, group: Whole | int, j: int) -> Whole:
        """G: the sums of multiples of 2^(40 j), in these units."""
        if isinstance(group, int):
            whole = np.zeros(self.groups, np.int64)
            whole[group] = int(np.ldexp(rounded.sum(), -_WIDTH * j))
            return whole
        return np.ldexp(np.bincount(group, rounded, self.groups), -_WIDTH * j).astype(np.int64)

    def _count(self, j: int, sums: Whole, to: Whole | None = None) -> None:
        """Add to a digit; ``to`` are the groups of the sums if they are not all in order."""
        if not self._room:
            self._carried()
        self._room -= 1
        digits = self._digits.setdefault(j, np.zeros(self.groups, np.int64))
        if to is None:
            digits += sums
        else:
            np.add.at(digits, to, sums)

    def _carried(self) -> dict[int, Whole]:
        """The digits, each from -2^39 up to and without 2^39, those that are all 0 left out.

        No number has two such representations, nor one with more digits than it needs.
        """
        carried: dict[int, Whole] = {}
        carry = np.zeros(self.groups, np.int64)
        waiting = sorted(self._digits)
        j = waiting[0] if waiting else 0
        while waiting or carry.any():
            if waiting and waiting[0] == j:
                carry = carry + self._digits[waiting.pop(0)]
            over = (carry + (1 << (_WIDTH - 1))) >> _WIDTH
            digits = carry - (over << _WIDTH)
            if digits.any():
                carried[j] = digits
            carry = over
            j += 1
        self._digits = carried
        self._room = _ROOM
        return carried

    def _rounded(self, digits: dict[int, int]) -> float:
        """The float64 nearest to a sum; division of whole numbers rounds correctly."""
        units = sum(digit << (_WIDTH * (j - _LOWEST)) for j, digit in digits.items())
        try:
            return units / (1 << (-_WIDTH * _LOWEST))
        except OverflowError as exc:
            raise EvaluationError(
                f"the sum of {self.of} is beyond 1.8e308", hint="give rewards in a larger unit"
            ) from exc

    def _refused(self, values: Floats) -> EvaluationError:
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        return EvaluationError(
            f"{self.of} is {values[at]} in row {at} of {len(values)} read together",
            hint="a reward is not a number or too large, or a propensity too near 0: run verify",
        )


def _top(peak: float) -> int:
    """The highest digit of values of which ``peak`` is the largest."""
    return max(_LOWEST, (int(np.frexp(peak)[1]) - 1) // _WIDTH)
