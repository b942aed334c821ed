"""What could have been shown in each row of a table: from the mapping, the table, or the rows."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from bandit_service.evaluation.batch import Mask, Names, Whole
from bandit_service.evaluation.logs.tables import Chunk


class Choices(NamedTuple):
    """Candidates of n rows, ragged; see ``Batch``."""

    counts: Whole
    arms: Whole
    wrong: Mask
    """Rows whose candidates cannot be believed: an arm stands there twice, or without a name."""

    @property
    def offsets(self) -> Whole:
        """N + 1: where those of each row begin."""
        return np.concatenate((np.zeros(1, np.int64), np.cumsum(self.counts)))


class Chooses(Protocol):
    """Knows the candidates of rows."""

    most: int
    """Candidates of a row, at most; 1 where only the rows know."""

    def of(self, chunk: Chunk, placement: Whole) -> Choices:
        """The candidates of the rows of a chunk, whose placements have these codes."""


class Fixed:
    """The same in every row."""

    def __init__(self, arms: Whole) -> None:
        self._arms = arms
        self.most = len(arms)

    def of(self, chunk: Chunk, placement: Whole) -> Choices:  # noqa: ARG002 - the same on all
        """See ``Chooses``."""
        n = len(chunk)
        counts = np.full(n, len(self._arms), np.int64)
        return Choices(counts, np.tile(self._arms, n), np.zeros(n, bool))


class Observed:
    """What was ever shown at the placement, in the order of names."""

    def __init__(self, names: Names, seen: set[tuple[int, int]]) -> None:
        """``seen`` has a pair (placement, arm) for each that was."""
        by_placement: dict[int, list[int]] = {}
        for placement, arm in sorted(seen, key=lambda pair: (pair[0], names[pair[1]])):
            by_placement.setdefault(placement, []).append(arm)
        size = max(by_placement, default=-1) + 1
        self._counts = np.zeros(size, np.int64)
        for placement, arms in by_placement.items():
            self._counts[placement] = len(arms)
        self.most = max(map(len, by_placement.values()), default=1)
        self._starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(self._counts)))
        self._arms = np.array([arm for _, arms in sorted(by_placement.items()) for arm in arms])

    def of(self, chunk: Chunk, placement: Whole) -> Choices:
        """See ``Chooses``."""
        known = placement < len(self._counts)
        at = np.where(known, placement, 0)
        counts = np.where(known, self._counts[at], 0)
        ends = np.cumsum(counts)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        arms = self._arms[np.repeat(self._starts[at], counts) + within]
        return Choices(counts, arms.astype(np.int64), np.zeros(len(chunk), bool))


class Listed:
    """A column of lists."""

    def __init__(self, names: Names, column: str, separator: str) -> None:
        self._names = names
        self._column = column
        self._separator = separator
        self.most = 1

    def of(self, chunk: Chunk, placement: Whole) -> Choices:  # noqa: ARG002 - the row says it
        """See ``Chooses``."""
        counts, coded = chunk.texts(self._column, self._separator)
        arms = self._names.codes(coded.texts)[coded.codes]
        wrong = _doubled(counts, arms)
        if "" in coded.texts:
            rows = np.repeat(np.arange(len(chunk)), counts)
            wrong[rows[coded.codes == coded.texts.index("")]] = True
        return Choices(counts, arms, wrong)


def _doubled(counts: Whole, arms: Whole) -> Mask:
    """The rows that have an arm twice among their candidates."""
    if len(counts) and counts[0] and (counts == counts[0]).all():
        ordered = np.sort(arms.reshape(len(counts), -1), axis=1)
        found: Mask = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        return found
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((arms, rows))
    twice = (np.diff(rows[order]) == 0) & (np.diff(arms[order]) == 0)
    doubled = np.zeros(len(counts), bool)
    doubled[rows[order][1:][twice]] = True
    return doubled


def chosen_of(choices: Choices, shown: Whole) -> Whole:
    """Where what was shown is among the candidates of each row; -1 where it is not."""
    rows = np.repeat(np.arange(len(shown)), choices.counts)
    hits = np.flatnonzero(choices.arms == shown[rows])
    chosen = np.full(len(shown), -1, np.int64)
    chosen[rows[hits]] = hits - choices.offsets[rows[hits]]
    return chosen
