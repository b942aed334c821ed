"""Which cell each row falls into, where cells are combinations of codes.

Rows are put together by code, for speed; what is kept of them is kept by name, in ``KeyedSums``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Whole

_SPARSE: Final = 8
"""From how many possible cells for each row that there is, sorting is faster than looking up."""


class Cells(NamedTuple):
    """C cells that occur, and where each row is."""

    codes: list[Whole]
    """C of each column: the code there."""
    group: Whole
    """n: the number of the row's cell."""


def cells_of(*columns: tuple[Whole, int]) -> Cells:
    """The distinct combinations of codes.

    Args:
        columns: Of each, n codes from 0 up, and a number that is above all of them. The product of
            these numbers must be below 2^63.
    """
    space = 1
    combined = np.zeros(len(columns[0][0]), np.int64)
    for codes, size in columns:
        combined = combined * size + codes
        space *= size
    distinct, group = _distinct(combined, space)
    found = []
    for _, size in reversed(columns):
        distinct, code = np.divmod(distinct, max(size, 1))
        found.append(code)
    return Cells(found[::-1], group)


def _distinct(codes: Whole, space: int) -> tuple[Whole, Whole]:
    """The codes that occur, in order, and for each row which of them it has."""
    if space > _SPARSE * len(codes):
        distinct, group = np.unique(codes, return_inverse=True)
        return distinct, group
    present = np.zeros(space, np.bool_)
    present[codes] = True
    found = np.flatnonzero(present)
    ranks = np.empty(space, np.int64)
    ranks[found] = np.arange(len(found))
    return found, ranks[codes]
