"""What a player noted of a batch, until its outcomes are told.

A batch is known by its placement, the time of its first impression and that impression's draw, so
nothing of it is kept but the note. Notes of batches whose outcomes were lost on the way are let go
two windows later: nothing can be told any more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulations.bandits.base import Batch, Whole

_Key = tuple[str, int, float]


class Waiting:
    """Notes, one for each impression of a batch."""

    def __init__(self, window_ms: int) -> None:
        """``window_ms`` of the world."""
        self._keep_ms = 2 * window_ms
        self._notes: dict[_Key, np.ndarray[Any, Any]] = {}
        self._open: dict[_Key, tuple[int, int]] = {}
        """Outcomes that have not been told, and the time of the last impression, in ms."""

    def note(self, batch: Batch, notes: np.ndarray[Any, Any]) -> None:
        """Keep n notes of a batch. Batches come in the order of time."""
        self._forget(int(batch.at[0]))
        key = _key(batch)
        self._notes[key] = notes
        self._open[key] = len(notes), int(batch.at[-1])

    def recall(self, batch: Batch, rows: Whole) -> np.ndarray[Any, Any]:
        """The notes of some rows; each row is recalled once.

        Raises:
            KeyError: if nothing is noted of that batch (any more).
        """
        key = _key(batch)
        notes = self._notes[key]
        left, at = self._open[key]
        self._open[key] = left - len(rows), at
        if left <= len(rows):
            del self._notes[key], self._open[key]
        return notes[rows]

    def __len__(self) -> int:
        return len(self._notes)

    def _forget(self, now: int) -> None:
        while self._open:
            key = next(iter(self._open))
            if self._open[key][1] + self._keep_ms >= now:
                return
            del self._notes[key], self._open[key]


def _key(batch: Batch) -> _Key:
    return batch.spot.id, int(batch.at[0]), float(batch.draw[0])
