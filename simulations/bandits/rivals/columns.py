"""Who asks, and in which situation, as the columns of numbers that most libraries want.

One column a persona, 1 for the one there is; and ``WIDTH`` a key of the context. What values a key
has is not known ahead, and a library's columns cannot grow: the first WIDTH - 1 values met get a
column each, all further ones share the last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from simulations.bandits.base import Batch, Floats, World

WIDTH: Final = 8
"""Columns of a key."""


class Columns:
    """The columns of a world; values are given theirs as they come."""

    def __init__(self, world: World) -> None:
        """``world``: its personas and keys."""
        self._personas = len(world.personas)
        self._values: list[dict[str, int]] = [{} for _ in world.keys]
        self.count = self._personas + WIDTH * len(world.keys)
        """D, the number of columns."""

    def of(self, batch: Batch, rows: Iterable[int]) -> Floats:
        """Numbers for m rows of a batch: m x D, of 0 and 1."""
        places = [self._row(int(batch.persona[row]), batch.context[row]) for row in rows]
        columns = np.zeros((len(places), self.count))
        columns[np.arange(len(places))[:, None], np.array(places)] = 1.0
        return columns

    def _row(self, persona: int, context: tuple[str, ...]) -> list[int]:
        places = [persona]
        start = self._personas
        for known, value in zip(self._values, context, strict=True):
            places.append(start + known.setdefault(value, min(len(known), WIDTH - 1)))
            start += WIDTH
        return places
