"""Exact sums for cells that come up as the log is read: an hour, an arm on a placement.

A cell is named by its key, never by a code, because codes differ between readings. Memory grows
with the number of cells, not of rows; whoever chooses the keys bounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np

from bandit_service.evaluation.batch import Floats, Whole
from bandit_service.evaluation.folds.sums import LEFT_OUT, ExactSums

Key = TypeVar("Key", bound=Hashable)
NewKey = TypeVar("NewKey", bound=Hashable)


class Totals(NamedTuple, Generic[Key]):
    """C cells, in order of their keys."""

    keys: list[Key]
    n: Whole
    """C: rows."""
    columns: dict[str, Floats]
    """C of each: the sums."""


class KeyedSums(Generic[Key]):
    """Rows and exact sums of several columns by key; keys are of one kind that can be ordered."""

    def __init__(self, *columns: str, of: str = "") -> None:
        """No cells yet; ``columns`` name what is summed up, ``of`` whose it is (for errors)."""
        self._slots: dict[Key, int] = {}
        self._n = np.zeros(1, np.int64)
        self._of = of
        self._sums = {name: ExactSums(of=f"{name} of {of}" if of else name) for name in columns}

    def __len__(self) -> int:
        return len(self._slots)

    def add(
        self, keys: Sequence[Key], group: Whole | int, rows: int, columns: Mapping[str, Floats]
    ) -> None:
        """Count rows and add their values.

        Args:
            keys: The keys of the groups here, each once.
            group: n: which of ``keys`` each row belongs to; a single number is that of all.
            rows: n.
            columns: n values of each column.

        Raises:
            EvaluationError: if a value is not a finite number.
        """
        slots = self._slots_of(keys)
        if isinstance(group, int):
            self._n[slots[group]] += rows
        else:
            self._n[slots] += np.bincount(group, minlength=len(keys))
        for column, values in columns.items():
            sums = self._sums[column]
            here = ExactSums(len(keys), of=sums.of)
            here.add(values, group)
            sums.include(here, slots)

    def __add__(self, other: KeyedSums[Key]) -> KeyedSums[Key]:
        """The cells of either, those of both merged."""
        merged: KeyedSums[Key] = KeyedSums(*self._sums, of=self._of)
        for part in (self, other):
            merged._take_in(part, merged._slots_of([*part._slots]))
        return merged

    def regrouped(self, new: Callable[[Key], NewKey | None]) -> KeyedSums[NewKey]:
        """The same rows under other keys; those whose new key is None are left out."""
        regrouped: KeyedSums[NewKey] = KeyedSums(*self._sums, of=self._of)
        keys = [new(key) for key in self._slots]
        slots = iter(regrouped._slots_of([key for key in keys if key is not None]).tolist())
        to = [LEFT_OUT if key is None else next(slots) for key in keys]
        regrouped._take_in(self, np.array(to, np.int64))
        return regrouped

    def get(self) -> Totals[Key]:
        """The sums by key, correctly rounded.

        Raises:
            EvaluationError: if one is beyond what a float64 can hold.
        """
        keys, n, ordered = self._ordered()
        return Totals(keys, n, {column: sums.totals() for column, sums in ordered.items()})

    def total(self, column: str) -> float:
        """The sum of a column over all cells, correctly rounded.

        Raises:
            EvaluationError: as of ``get``.
        """
        return self._sums[column].total()

    @property
    def n(self) -> int:
        """Rows in all cells."""
        return int(self._n.sum())

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if keys, rows and sums are."""
        keys, n, ordered = self._ordered()
        sums = [[column, kept.encode()] for column, kept in sorted(ordered.items())]
        return msgspec.msgpack.encode([keys, n.tolist(), sums])

    def _ordered(self) -> tuple[list[Key], Whole, dict[str, ExactSums]]:
        """Keys, rows and sums in the order of the keys."""
        keys: list[Key] = sorted(self._slots)  # type: ignore[type-var]
        slots = np.array([self._slots[key] for key in keys], np.int64)
        rank = np.full(len(self._n), LEFT_OUT, np.int64)
        rank[slots] = np.arange(len(keys))
        sums = {name: sums.spread(rank, len(keys)) for name, sums in self._sums.items()}
        return keys, self._n[slots], sums

    def _slots_of(self, keys: Sequence[Key]) -> Whole:
        """Where each of some keys is kept; new ones are given a place."""
        slots = self._slots
        found = np.array([slots.setdefault(key, len(slots)) for key in keys], np.int64)
        if len(slots) > len(self._n):
            self._make_room(2 * len(slots))
        return found

    def _make_room(self, room: int) -> None:
        grown = np.zeros(max(room, 1), np.int64)
        grown[: len(self._n)] = self._n
        here = np.arange(len(self._n))
        self._sums = {name: sums.spread(here, len(grown)) for name, sums in self._sums.items()}
        self._n = grown

    def _take_in(self, other: KeyedSums[Any], to: Whole) -> None:
        """Add what ``other`` keeps in its slots to these slots of one's own."""
        padded = np.full(len(other._n), LEFT_OUT, np.int64)
        padded[: len(to)] = to
        kept = padded != LEFT_OUT
        np.add.at(self._n, padded[kept], other._n[kept])
        for name, sums in self._sums.items():
            sums.include(other._sums[name], padded)
