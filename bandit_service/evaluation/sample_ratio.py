"""Sample-ratio mismatch: whether what was shown was drawn with the probabilities in the log.

Whatever is estimated from a log rests on this, and no other check sees it: a server that logs one
distribution and draws from another, a filter that drops the rows of one arm, a join that doubles
them, all leave rows of which each looks right.

Candidates are counted in groups that are fixed before the draw: each arm, each arm for each
persona, and the most probable candidate of each row. In each group what was shown is compared with
the sum of the probabilities. Where a log has only the probability of what was shown, that alone is
tested (``ratio_cells.inverses``), with less power. A placement's evidence is the mean over its
tests; that of the log is the mean over placements, and over tests of all placements pooled, which
find what is wrong everywhere by too little to show in one place.

What it costs and promises (``evidence``): of logs that were drawn as they say, however often they
are verified while they grow, at most one in 10,000 is ever blamed. That is P_VALUE; many
logs are verified daily, and an alarm that cries wolf is switched off.

Rows with one candidate are left out, nothing was drawn there, as are rows whose probabilities are
wrong in themselves. Memory is bounded: beyond MAX_CELLS, new arms of a placement are counted
together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Batch, Mask, Whole
from bandit_service.evaluation.evidence import average, p_value
from bandit_service.evaluation.ratio_cells import (
    Count,
    Inverses,
    bets,
    inverses,
    most_probable,
    whole,
)
from bandit_service.evaluation.results import RatioTest

P_VALUE: Final = 1e-4
"""Below this a log is blamed."""
MAX_CELLS: Final = 100_000
"""Arms by persona and placement that are counted apart."""
MAX_TESTS: Final = 200
"""Placements that are reported, those furthest off first."""
OTHERS: Final = "*"
"""Arm and persona of what came after the last cell was taken."""
ALL: Final = "all"


class _Key(NamedTuple):
    placement: str
    persona: str
    arm: str


class _Judged(NamedTuple):
    """A group with its evidence, and what to say of it."""

    evidence: float
    words: str


class SampleRatio:
    """The fold. Give it rows whose probabilities are right in themselves."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._cells: dict[_Key, Count] = {}
        self._tops: dict[str, Count] = {}
        self._inverses: dict[str, Inverses] = {}

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        drawn = batch.take(np.flatnonzero(batch.counts > 1))
        if not len(drawn):
            return
        self._add_inverses(drawn)
        known = drawn.take(np.flatnonzero(~np.isnan(drawn.row_sums(drawn.logged))))
        if len(known):
            self._add_counts(known)

    def __add__(self, other: SampleRatio) -> SampleRatio:
        both = SampleRatio()
        for part in (self, other):
            for key, count in part._cells.items():
                both._cell(key).merge(count)
            for placement, count in part._tops.items():
                both._tops.setdefault(placement, Count()).merge(count)
            for placement, sums in part._inverses.items():
                both._inverses.setdefault(placement, Inverses()).merge(sums)
        return both

    def get(self) -> list[RatioTest]:
        """``all`` first, then placements, the most suspicious first; nothing if nothing was drawn.

        The p-value of a placement is its own: among many, some are small by chance, and only that
        of ``all`` takes their number into account.
        """
        judged = {name: self._placement(name, of) for name, of in self._by_placement().items()}
        if not judged:
            return []
        pooled = self._pooled()
        worst = max([*judged.values(), *pooled], key=lambda test: test.evidence)
        parts = average([test.evidence for test in judged.values()])
        whole_log = average([parts, average([test.evidence for test in pooled])])
        rows = sum(sums.rows for sums in self._inverses.values())
        ordered = sorted(judged.items(), key=lambda item: (-item[1].evidence, item[0]))
        return [
            RatioTest(name=ALL, n=rows, p_value=p_value(whole_log), worst=worst.words),
            *(
                RatioTest(
                    name=name,
                    n=self._inverses[name].rows,
                    p_value=p_value(test.evidence),
                    worst=test.words,
                )
                for name, test in ordered[:MAX_TESTS]
            ),
        ]

    # -- counting

    def _cell(self, key: _Key) -> Count:
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= MAX_CELLS:
                key = _Key(key.placement, OTHERS, OTHERS)
            cell = self._cells.setdefault(key, Count())
        return cell

    def _add_counts(self, batch: Batch) -> None:
        shown = np.zeros(len(batch.arms), np.int64)
        shown[batch.shown] = 1
        placement = batch.placement[batch.rows]
        names = batch.names
        arms, personas = len(names.arms), len(names.personas)
        cells = (placement * personas + batch.persona[batch.rows]) * arms + batch.arms
        for cell, *sums in _summed(cells, shown, batch):
            rest, arm = divmod(cell, arms)
            place, persona = divmod(rest, personas)
            key = _Key(names.placements[place], names.personas[persona], names.arms[arm])
            self._cell(key).add(*sums)
        for place, *sums in _summed(placement, shown, batch, most_probable(batch)):
            self._tops.setdefault(names.placements[place], Count()).add(*sums)

    def _add_inverses(self, batch: Batch) -> None:
        statistics = inverses(batch.propensity, batch.counts)
        order = np.argsort(batch.placement, kind="stable")
        places, starts, rows = np.unique(
            batch.placement[order], return_index=True, return_counts=True
        )
        sums = np.add.reduceat(whole(statistics)[order], starts, axis=0)
        staked = np.add.reduceat(whole(bets(statistics))[order], starts, axis=0)
        for n, place in enumerate(places.tolist()):
            name = batch.names.placements[place]
            part = self._inverses.setdefault(name, Inverses())
            part.add(int(rows[n]), sums[n].tolist(), staked[n].tolist())

    # -- judging

    def _by_placement(self) -> dict[str, list[tuple[_Key, Count]]]:
        found: dict[str, list[tuple[_Key, Count]]] = {name: [] for name in self._inverses}
        for key, count in self._cells.items():
            found[key.placement].append((key, count))
        return found

    def _placement(self, name: str, cells: list[tuple[_Key, Count]]) -> _Judged:
        tests = [list(self._shown_alone(name))]
        if cells:
            tests += [list(_arms(cells)), list(_personas(cells)), list(self._top(name))]
        worst = max((test for group in tests for test in group), key=lambda test: test.evidence)
        evidence = average([average([test.evidence for test in group]) for group in tests])
        return _Judged(evidence, worst.words)

    def _top(self, name: str) -> Iterator[_Judged]:
        count = self._tops[name]
        yield _Judged(count.evidence, f"the most probable candidate of {name}: {count.words}")

    def _shown_alone(self, name: str) -> Iterator[_Judged]:
        sums = self._inverses[name]
        yield _Judged(sums.evidence, f"{name}: {sums.words}")

    def _pooled(self) -> list[_Judged]:
        every = Inverses()
        for sums in self._inverses.values():
            every.merge(sums)
        judged = [_Judged(every.evidence, f"all placements: {every.words}")]
        if self._tops:
            top = Count()
            for count in self._tops.values():
                top.merge(count)
            words = f"the most probable candidate of all placements: {top.words}"
            judged.append(_Judged(top.evidence, words))
        return judged


def _summed(
    groups: Whole, shown: Whole, batch: Batch, only: Mask | None = None
) -> Iterator[tuple[int, int, int, int, int]]:
    """Each group of candidates: its code, rows, how many were shown, expected and variance."""
    chosen = slice(None) if only is None else only
    p = batch.logged[chosen]
    codes, inverse, rows = np.unique(groups[chosen], return_inverse=True, return_counts=True)
    columns = []
    for values in (shown[chosen], whole(p), whole(p * (1.0 - p))):
        column = np.zeros(len(codes), np.int64)
        np.add.at(column, inverse, values)
        columns.append(column.tolist())
    yield from zip(codes.tolist(), rows.tolist(), *columns, strict=True)


def _arms(cells: list[tuple[_Key, Count]]) -> Iterator[_Judged]:
    """Each arm of a placement over all personas."""
    arms: dict[str, Count] = {}
    for key, count in cells:
        arms.setdefault(key.arm, Count()).merge(count)
    place = cells[0][0].placement
    for arm, count in arms.items():
        yield _Judged(count.evidence, f"arm {arm} of {place}: {count.words}")


def _personas(cells: list[tuple[_Key, Count]]) -> Iterator[_Judged]:
    """Each arm of a placement for each persona."""
    for key, count in cells:
        words = f"arm {key.arm} of {key.placement} for {key.persona}: {count.words}"
        yield _Judged(count.evidence, words)
