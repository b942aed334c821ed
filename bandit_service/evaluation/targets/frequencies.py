"""What another log showed, as a policy: how often each arm was shown among the same candidates.

For a policy that is known by what it did alone, such as the ``bts`` log of the Open Bandit Dataset.
It is the average over that log's visitors and time: what the policy made of a visitor's persona or
learned meanwhile is lost. Arms that it never showed get 0.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

import numpy as np

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.logs.base import LoggedData, Violation
from bandit_service.evaluation.targets.base import MAX_KEPT, MAX_KEPT_BYTES, Still
from bandit_service.kept import Kept

_SHOWN: Final = 5
"""Placements that an error names."""

Counts = dict[tuple[str, frozenset[str]], Counter[str]]
"""How often each arm was shown, by placement and candidates."""


class Frequencies(Still):
    """The shares of another log, which is read when they are first asked for."""

    def __init__(self, name: str, log: str, open_log: Callable[[str], LoggedData]) -> None:
        """``log`` is in the words that ``open_log`` knows."""
        words = f"Each variant as often as {log} showed it on the same placement, to anybody."
        super().__init__(name, words)
        self._log = log
        self._open = open_log
        self._counts: Counts | None = None
        self._kept: Kept[tuple[int, bytes], Floats] = Kept(entries=MAX_KEPT, room=MAX_KEPT_BYTES)

    def probabilities(self, batch: Batch) -> Floats:
        """The other log's frequencies for each row's placement and candidates.

        Raises:
            LogError: if the other log cannot be read.
            EvaluationError: if it never had a row's placement, or never with these candidates.
        """
        if not len(batch):
            return np.zeros(0)
        return np.concatenate([self._row(batch, row) for row in range(len(batch))])

    def _row(self, batch: Batch, row: int) -> Floats:
        codes = batch.arms[batch.offsets[row] : batch.offsets[row + 1]]
        key = (int(batch.placement[row]), codes.tobytes())
        kept = self._kept.get(key)
        if kept is None:
            arms = [batch.names.arms[int(code)] for code in codes]
            placement = batch.names.placements[key[0]]
            kept = self._of(placement, arms, batch.places[row])
            self._kept.keep(key, kept, kept.nbytes + len(key[-1]))
        return kept

    def _of(self, placement: str, arms: list[str], place: str) -> Floats:
        if self._counts is None:
            self._counts = self._read()
        counts = self._counts.get((placement, frozenset(arms)))
        if counts is None:
            raise self._refusal(self._counts, placement, place)
        shown: Floats = np.array([counts[arm] for arm in arms], np.float64)
        shown /= shown.sum()
        return shown

    def _read(self) -> Counts:
        counts: defaultdict[tuple[str, frozenset[str]], Counter[str]] = defaultdict(Counter)
        wrong: list[Violation] = []
        log = self._open(self._log)
        try:
            for batch in log.batches(blame=wrong.append, progress=_untold):
                _count(batch, counts)
        finally:
            log.close()
        if not counts:
            first = f": {wrong[0].place}: {wrong[0].message}" if wrong else ""
            raise EvaluationError(
                f"the log {self._log} has no row to take frequencies from{first}",
                hint="see what verify says of it",
            )
        return dict(counts)

    def _refusal(self, counts: Counts, placement: str, place: str) -> EvaluationError:
        known = sorted({name for name, _ in counts})
        if placement in known:
            return EvaluationError(
                f"row {place}: {self._log} never chose among these candidates on placement "
                f"{placement!r}",
                hint="frequencies can be taken from a log with the same candidates only",
            )
        names = ", ".join(map(repr, known[:_SHOWN])) + (" …" if len(known) > _SHOWN else "")
        return EvaluationError(
            f"row {place}: {self._log} has no placement {placement!r}",
            hint=f"it has {names}; evaluate on a log of the same placements",
        )


def _count(batch: Batch, counts: defaultdict[tuple[str, frozenset[str]], Counter[str]]) -> None:
    sets: dict[bytes, frozenset[str]] = {}
    for row in np.flatnonzero(batch.chosen >= 0):
        codes = batch.arms[batch.offsets[row] : batch.offsets[row + 1]]
        arms = sets.get(codes.tobytes())
        if arms is None:
            arms = frozenset(batch.names.arms[int(code)] for code in codes)
            sets[codes.tobytes()] = arms
        shown = batch.names.arms[int(codes[batch.chosen[row]])]
        counts[batch.names.placements[int(batch.placement[row])], arms][shown] += 1


def _untold(_: int) -> None:
    """Is told of progress, of which nobody is told."""
