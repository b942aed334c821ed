"""Rows one by one, made into batches: for readers that have a record a row, not columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from bandit_service.evaluation.batch import Asked, Batch, Vocabulary

BATCH_ROWS: Final = 4_096
"""Rows of a batch, unless candidates fill it before."""
BATCH_CANDIDATES: Final = 262_144
"""Candidates that fill a batch."""

Item = TypeVar("Item")


class Lazy(Sequence[Any], Generic[Item]):
    """What is made of items, each when it is looked at; None stays None."""

    def __init__(self, items: Sequence[Item | None], make: Callable[[Item], Asked]) -> None:
        self._items = items
        self._make = make

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Lazy(self._items[index], self._make)
        item = self._items[index]
        return None if item is None else self._make(item)

    def __len__(self) -> int:
        return len(self._items)


class Row(NamedTuple, Generic[Item]):
    """One row; see ``Batch``."""

    place: str
    key: int
    cluster: int
    ms: int
    placement: str
    persona: str
    arms: Sequence[str]
    logged: Sequence[float]
    chosen: int
    propensity: float
    reward: float
    item: Item | None
    """What ``asked`` is made from."""


class Rows(Generic[Item]):
    """Rows on their way into a batch."""

    def __init__(self, names: Vocabulary, make: Callable[[Item], Asked]) -> None:
        """Code names by ``names``; ``make`` says what a model needs of an item."""
        self._names = names
        self._make = make
        self._rows: list[Row[Item]] = []
        self._candidates = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def full(self) -> bool:
        """Whether it is time for a batch."""
        return len(self._rows) >= BATCH_ROWS or self._candidates >= BATCH_CANDIDATES

    def add(self, row: Row[Item]) -> None:
        """Take one more row, which has a candidate at least."""
        self._rows.append(row)
        self._candidates += len(row.arms)

    def batch(self) -> Batch:
        """The rows since the last batch, of which there is one at least."""
        rows, self._rows, self._candidates = self._rows, [], 0
        columns: Row[Any] = Row._make(zip(*rows, strict=True))  # a column in place of each value
        items: Any = columns.item
        return _batch(self._names, columns, Lazy(items, self._make))


def _batch(names: Vocabulary, columns: Row[Any], asked: Lazy[Any]) -> Batch:
    arms: Any = columns.arms
    logged: Any = columns.logged
    counts = np.fromiter(map(len, arms), np.int64)
    return Batch(
        names=names,
        places=columns.place,
        key=np.array(columns.key, np.uint64),
        cluster=np.array(columns.cluster, np.uint64),
        ms=np.array(columns.ms, np.int64),
        placement=names.placements.codes(columns.placement),
        persona=names.personas.codes(columns.persona),
        offsets=np.concatenate((np.zeros(1, np.int64), np.cumsum(counts))),
        arms=names.arms.codes(chain.from_iterable(arms)),
        logged=np.fromiter(chain.from_iterable(logged), np.float64),
        chosen=np.array(columns.chosen, np.int64),
        propensity=np.array(columns.propensity, np.float64),
        reward=np.array(columns.reward, np.float64),
        asked=asked,
    )
