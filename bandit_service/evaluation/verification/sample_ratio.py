"""Sample-ratio mismatch: whether what was shown was drawn with the probabilities in the log.

Whatever is estimated from a log rests on this, and no other check sees it: a server that logs one
distribution and draws from another, a filter that drops the rows of one arm, a join that doubles
them, all leave rows of which each looks right.

Candidates are counted in groups that are fixed before the draw: each arm, each arm for each
persona, and the most probable candidate of each row. In each group what was shown is compared with
the sum of the probabilities. Where a log has only the probability of what was shown, its inverse is
summed up, over all rows (``ratio_cells.inverses``) and for each arm. That has less power, and
cannot have more: what was not shown may have had any probability.

A placement's evidence is the mean over its tests; that of the log is the mean over placements, and
over tests of all placements pooled, which find what is wrong everywhere by too little to show in
one place.

What it costs and promises (``evidence``): of logs that were drawn as they say, however often they
are verified while they grow, at most one in 10,000 is ever blamed. That is P_VALUE: many logs are
verified daily, and an alarm that cries wolf is switched off.

Rows with one candidate are left out, nothing was drawn there, as are rows whose probabilities are
wrong in themselves. Memory is bounded: beyond MAX_PLACEMENTS and MAX_CELLS, what is new is counted
together; which that is depends on the order of the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

import numpy as np

from bandit_service.evaluation.batch import Batch, Mask, Whole
from bandit_service.evaluation.results import RatioTest
from bandit_service.evaluation.verification.evidence import average, p_value
from bandit_service.evaluation.verification.ratio_cells import (
    ArmInverses,
    Count,
    Inverses,
    arm_bets,
    bets,
    inverses,
    most_probable,
    whole,
)

P_VALUE: Final = 1e-4
"""Below this a log is blamed."""
MAX_CELLS: Final = 100_000
"""Arms by persona and placement that are counted apart."""
MAX_PLACEMENTS: Final = 10_000
"""Placements that are counted apart: whoever holds a website's key can name them at will."""
MAX_TESTS: Final = 200
"""Placements that are reported, those furthest off first."""
OTHERS: Final = "*"
"""Placement, arm and persona of what came after the last cell was taken."""
ALL: Final = "all"
_FEW: Final = 65_536
"""Codes that are counted without sorting, however few rows there are."""

Cell = TypeVar("Cell")


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
        self._arms: dict[_Key, ArmInverses] = {}

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        drawn = batch.where(batch.counts > 1)
        if not len(drawn):
            return
        self._add_inverses(drawn)
        known = ~np.isnan(drawn.row_sums(drawn.logged))
        for rows, count in ((known, self._add_counts), (~known, self._add_arms)):
            if rows.any():
                count(drawn.where(rows))

    def __add__(self, other: SampleRatio) -> SampleRatio:
        both = SampleRatio()
        for part in (self, other):
            for placement, sums in part._inverses.items():
                both._inverses.setdefault(both._apart(placement), Inverses()).merge(sums)
            for placement, count in part._tops.items():
                both._tops.setdefault(both._apart(placement), Count()).merge(count)
            for key, count in part._cells.items():
                both._cell(key).merge(count)
            for key, shown in part._arms.items():
                both._arm(key).merge(shown)
        return both

    def get(self) -> list[RatioTest]:
        """``all`` first, then placements, the most suspicious first; nothing if nothing was drawn.

        The p-value of a placement is its own: among many, some are small by chance, and only that
        of ``all`` takes their number into account.
        """
        cells, arms = _by_placement(self._cells), _by_placement(self._arms)
        judged = {
            name: self._placement(name, cells.get(name, []), arms.get(name, []))
            for name in self._inverses
        }
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

    def _apart(self, placement: str) -> str:
        """The placement under which to count one."""
        known = placement in self._inverses or len(self._inverses) < MAX_PLACEMENTS
        return placement if known else OTHERS

    def _cell(self, key: _Key) -> Count:
        key = key._replace(placement=self._apart(key.placement))
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= MAX_CELLS:
                key = _Key(key.placement, OTHERS, OTHERS)
            cell = self._cells.setdefault(key, Count())
        return cell

    def _arm(self, key: _Key) -> ArmInverses:
        key = key._replace(placement=self._apart(key.placement))
        known = self._arms.get(key)
        if known is None:
            if len(self._arms) >= MAX_CELLS:
                return ArmInverses()  # arms cannot be tested together: their sums are not one's
            known = self._arms[key] = ArmInverses()
        return known

    def _add_arms(self, batch: Batch) -> None:
        """Count the rows of a log that knows the probability of what was shown alone."""
        names, arms = batch.names, len(batch.names.arms)
        listed = batch.placement[batch.rows] * arms + batch.arms
        groups, rows = np.unique(listed, return_counts=True)
        at = np.searchsorted(groups, listed[batch.shown])
        inverse, staked = arm_bets(batch.propensity, batch.counts)
        sums = np.zeros(len(groups), np.int64)
        bets_ = np.zeros((len(groups), staked.shape[1]), np.int64)
        np.add.at(sums, at, inverse)
        np.add.at(bets_, at, staked)
        seen = np.bincount(at, minlength=len(groups)).tolist()
        for n, group in enumerate(groups.tolist()):
            place, arm = divmod(group, arms)
            key = _Key(names.placements[place], OTHERS, names.arms[arm])
            self._arm(key).add(int(rows[n]), seen[n], int(sums[n]), bets_[n].tolist())

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
            self._tops.setdefault(self._apart(names.placements[place]), Count()).add(*sums)

    def _add_inverses(self, batch: Batch) -> None:
        statistics = inverses(batch.propensity, batch.counts)
        order = np.argsort(batch.placement, kind="stable")
        places, starts, rows = np.unique(
            batch.placement[order], return_index=True, return_counts=True
        )
        sums = np.add.reduceat(whole(statistics)[order], starts, axis=0)
        staked = np.add.reduceat(whole(bets(statistics))[order], starts, axis=0)
        for n, place in enumerate(places.tolist()):
            name = self._apart(batch.names.placements[place])
            part = self._inverses.setdefault(name, Inverses())
            part.add(int(rows[n]), sums[n].tolist(), staked[n].tolist())

    # -- judging

    def _placement(
        self, name: str, cells: list[tuple[_Key, Count]], arms: list[tuple[_Key, ArmInverses]]
    ) -> _Judged:
        tests = [list(self._shown_alone(name))]
        if arms:
            tests += [list(_inverse_arms(arms))]
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
    codes, inverse, rows = _counted(groups[chosen])
    columns = []
    for values in (shown[chosen], whole(p), whole(p * (1.0 - p))):
        column = np.zeros(len(codes), np.int64)
        np.add.at(column, inverse, values)
        columns.append(column.tolist())
    yield from zip(codes.tolist(), rows.tolist(), *columns, strict=True)


def _counted(groups: Whole) -> tuple[Whole, Whole, Whole]:
    """As ``np.unique``: the groups, which of them each is, and how many each has.

    Where their codes are few, they are counted rather than sorted.
    """
    most = int(groups.max(initial=-1)) + 1
    if most > max(len(groups), _FEW):
        return np.unique(groups, return_inverse=True, return_counts=True)
    counts = np.bincount(groups, minlength=most)
    codes = np.flatnonzero(counts)
    place = np.zeros(most, np.int64)
    place[codes] = np.arange(len(codes))
    return codes, place[groups], counts[codes]


def _by_placement(cells: dict[_Key, Cell]) -> dict[str, list[tuple[_Key, Cell]]]:
    found: dict[str, list[tuple[_Key, Cell]]] = {}
    for key, cell in cells.items():
        found.setdefault(key.placement, []).append((key, cell))
    return found


def _inverse_arms(cells: list[tuple[_Key, ArmInverses]]) -> Iterator[_Judged]:
    """Each arm of a placement, by the probabilities with which it was shown."""
    for key, sums in cells:
        yield _Judged(sums.evidence, f"arm {key.arm} of {key.placement}: {sums.words}")


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
