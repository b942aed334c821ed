"""The fold that counts one placement.

    open ──▶ shown ──▶ queue ──▶ settled, in the order in which units were opened
    close ─▶ rewarded ──┘

A unit is settled once it is closed and all units of the placement that were opened before it are
settled. So what is settled is always the beginning of what was shown, whatever came of it, and
sums over it are a fair sample at every moment: which ones are in it does not depend on rewards.
Counted as they close, rewarded units would come first and all others a window later. A unit that
nobody saw is taken back.

Rows are addressed by (line-up, variant, persona); one is made for every candidate that a unit could
have shown.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bandit_service.outcomes.join import Outcome
from bandit_service.reporting.columns import (
    ASKED,
    R2,
    REWARDED,
    SHOWN,
    SPREAD,
    TOP,
    TOPS,
    VIEWS,
    W2,
    W2R,
    W2R2,
    WIDTH,
    WR,
    N,
    R,
    W,
    counts_at,
    weighted_at,
)
from bandit_service.reporting.lineups import MIXED, PARTIAL, Lineups
from bandit_service.reporting.series import DAY_MS, DAYS, HOUR_MS, HOURS, Series
from bandit_service.reporting.stored import FORMAT, StoredSeries, StoredSums
from bandit_service.reporting.units import Candidates, Unit

_KEPT: Final = 256
"""Lists of candidates whose rows are kept at hand."""


class Asked(NamedTuple):
    """Candidates, and where their rows begin."""

    candidates: Candidates
    rows: tuple[int, ...]


class Waiting(NamedTuple):
    """A unit that is not settled, and where the rows of its candidates begin.

    Rows stay where they are while a unit of their line-up waits.
    """

    unit: Unit
    rows: tuple[int, ...]


class Size(NamedTuple):
    """How many rows there are, and how many of them are of the mixed line-up."""

    rows: int
    mixed: int


class PlacementSums:
    """The sums of one placement."""

    def __init__(self, largest: float = 0.0) -> None:
        """Nothing counted yet; ``largest`` is what a unit may be expected to earn at most."""
        self._arms: dict[str, int] = {}
        self._personas: dict[str, int] = {}
        self._seen: list[int] = []
        self._lineups = Lineups()
        self._rows: dict[tuple[int, int, int], int] = {}
        self._free: list[int] = []
        self._mixed = 0
        """The number of rows of the mixed line-up."""
        self._table = array("d")
        """WIDTH numbers a row; a numpy array takes twice as long to count a unit in."""
        self._known: dict[tuple[str, tuple[str, ...], tuple[str, ...] | None], Asked] = {}
        """Candidates whose rows are at hand, by persona, names, and what was live."""
        self._queue: deque[Waiting] = deque()
        self._hours, self._days = Series(HOUR_MS, HOURS), Series(DAY_MS, DAYS)
        self._least, self._most = 0.0, largest
        self._first = self._last = 0

    @property
    def size(self) -> Size:
        """How many rows there are."""
        return Size(len(self._rows), self._mixed)

    # -- units

    def new_rows(self, persona: str, arms: Sequence[str], live: tuple[str, ...] | None) -> int:
        """How many rows ``asked`` would make; nothing is made yet."""
        lineup = MIXED if live is None else PARTIAL
        if live:
            known = self._lineups.find(tuple(sorted(live)))
            lineup = -1 if known is None else known.number
        who = self._personas.get(persona, -1)
        return sum((lineup, self._arms.get(arm, -1), who) not in self._rows for arm in arms)

    def asked(self, persona: str, arms: tuple[str, ...], live: tuple[str, ...] | None) -> Asked:
        """Number a persona and candidates, and make their rows.

        ``live`` is what was live together, in any order; () if some of it could not be shown, None
        if the candidates came with the request, or it is not known.
        """
        found = self._known.get((persona, arms, live))
        if found is not None:
            return found
        lineup, kept = self._lineup(live)
        who = self._personas.setdefault(persona, len(self._personas))
        if who == len(self._seen):
            self._seen.append(0)
        numbers = [self._arms.setdefault(arm, len(self._arms)) for arm in arms]
        candidates = Candidates(lineup, who, tuple(numbers))
        found = Asked(candidates, self._rows_of(candidates))
        if kept:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[persona, arms, live] = found
        return found

    def open(self, unit: Unit, rows: tuple[int, ...]) -> Waiting:
        """Count a unit as shown, and let it wait; ``rows`` are those of its candidates."""
        waiting = Waiting(unit, rows)
        self._show(waiting, 1)
        at, persona = unit.at, unit.candidates.persona
        self._first = min(self._first, at) if self._last else at
        self._last = max(self._last, at)
        self._seen[persona] = max(self._seen[persona], at)
        self._queue.append(waiting)
        self._lineups.enter(unit.candidates.lineup, at)
        return waiting

    def close(self, waiting: Waiting, outcome: Outcome) -> list[Unit]:
        """Count what became of a unit; those that are settled now, in order."""
        unit = waiting.unit
        unit.closed = True
        if outcome.kind == "censored":
            self._show(waiting, -1)
        else:
            # What was told before the page kept its own content stands: it was seen.
            unit.views, unit.reward = max(outcome.views, 1), outcome.reward
        if unit.reward > 0.0:
            at = waiting.rows[unit.chosen] + counts_at(holdout=unit.holdout)
            self._table[at + REWARDED] += 1.0
        settled = []
        while self._queue and self._queue[0].unit.closed:
            first, rows = self._queue.popleft()
            self._lineups.leave(first.candidates.lineup)
            if first.views:
                self._settle(first, rows)
                settled.append(first)
        return settled

    def _show(self, waiting: Waiting, units: int) -> None:
        unit, rows = waiting
        self._table[rows[unit.chosen] + counts_at(holdout=unit.holdout) + SHOWN] += units
        self._hours.show(unit.at, unit.arm, units)
        self._days.show(unit.at, unit.arm, units)

    def _settle(self, unit: Unit, rows: tuple[int, ...]) -> None:
        table, reward, shown = self._table, unit.reward, rows[unit.chosen]
        at = shown + counts_at(holdout=unit.holdout)
        table[at + N] += 1.0
        table[at + VIEWS] += unit.views
        table[at + R] += reward
        table[at + R2] += reward * reward
        half, weight = weighted_at(unit.half), 1.0 / unit.probabilities[unit.chosen]
        at, earned = shown + half, weight * reward
        table[at + W] += weight
        table[at + WR] += earned
        table[at + W2] += weight * weight
        table[at + W2R] += weight * earned
        table[at + W2R2] += earned * earned
        table[at + TOP] = max(table[at + TOP], weight)
        for row, probability in zip(rows, unit.probabilities, strict=True):
            if probability > 0.0:  # else nobody could have been shown it
                table[row + half + ASKED] += 1.0
                table[row + half + SPREAD] += 1.0 / probability
        self._least, self._most = min(self._least, reward), max(self._most, reward)
        self._hours.settle(unit.at, unit.arm, reward)
        self._days.settle(unit.at, unit.arm, reward)

    # -- rows

    def _lineup(self, live: tuple[str, ...] | None) -> tuple[int, bool]:
        """The number of what was live, and whether it stays that: there may be no room for it."""
        if not live:
            return MIXED if live is None else PARTIAL, True
        arms = tuple(sorted(live))
        found = self._lineups.find(arms)
        if found is None and self._lineups.full:
            oldest = self._lineups.oldest()
            if oldest is None:
                return MIXED, False
            self._mix(oldest.number)
            self._lineups.remove(oldest)
        return (found or self._lineups.add(arms)).number, True

    def mix_idle(self) -> None:
        """Mix every line-up in which no unit waits."""
        while (oldest := self._lineups.oldest()) is not None:
            self._mix(oldest.number)
            self._lineups.remove(oldest)

    def _mix(self, lineup: int) -> None:
        """Move the sums of a line-up to the mixed one."""
        self._known.clear()
        for key in [key for key in self._rows if key[0] == lineup]:
            mixed, row = self._row((MIXED, *key[1:])), self._rows[key]
            for place in range(WIDTH):
                into, of = mixed * WIDTH + place, self._table[row * WIDTH + place]
                top = place in TOPS
                self._table[into] = max(self._table[into], of) if top else self._table[into] + of
                self._table[row * WIDTH + place] = 0.0
            self._free.append(self._rows.pop(key))

    def _rows_of(self, candidates: Candidates) -> tuple[int, ...]:
        """Where the rows of candidates begin, in their order."""
        lineup, persona, arms = msgspec.structs.astuple(candidates)
        return tuple(WIDTH * self._row((lineup, arm, persona)) for arm in arms)

    def _row(self, key: tuple[int, int, int]) -> int:
        """The row of a key, made if there is none."""
        row = self._rows.get(key)
        if row is None:
            row = self._free.pop() if self._free else len(self._rows)
            self._rows[key] = row
            self._mixed += key[0] == MIXED
            if row * WIDTH == len(self._table):
                self._table.frombytes(bytes(self._table.itemsize * WIDTH))
        return row

    # -- stored

    def sums(self) -> StoredSums:
        """The sums as plain data."""
        table = np.frombuffer(self._table, np.float64).reshape(-1, WIDTH)
        rows = table[list(self._rows.values())]
        return StoredSums(
            format=FORMAT,
            arms=list(self._arms),
            personas=list(self._personas),
            seen=list(self._seen),
            lineups=self._lineups.dump(),
            keys=np.array(list(self._rows), "<u4").tobytes(),
            rows=rows.astype("<f8").tobytes(),
            least=self._least,
            most=self._most,
            first=self._first,
            last=self._last,
        )

    def series(self) -> StoredSeries:
        """What was shown and earned over time, as plain data."""
        return StoredSeries(FORMAT, self._hours.dump(), self._days.dump())

    def shown_by_hour(self) -> list[tuple[int, int]]:
        """(start in ms, units shown) of each hour that is kept, oldest first."""
        return self._hours.shown()

    def waiting(self) -> list[Unit]:
        """The units that are not settled, in the order in which they were opened."""
        return [waiting.unit for waiting in self._queue]

    def restore(
        self, sums: StoredSums, series: StoredSeries, units: Sequence[Unit]
    ) -> list[Waiting]:
        """Continue from what ``sums``, ``series`` and ``waiting`` gave; the units that wait."""
        self._arms = {arm: number for number, arm in enumerate(sums.arms)}
        self._personas = {persona: number for number, persona in enumerate(sums.personas)}
        self._seen = list(sums.seen)
        self._lineups.restore(sums.lineups)
        keys = [(lineup, arm, persona) for lineup, arm, persona in sums.key_array().tolist()]
        self._rows = {key: number for number, key in enumerate(keys)}
        self._mixed = sum(lineup == MIXED for lineup, _, _ in keys)
        self._table = array("d", sums.row_array().ravel().tolist())
        self._hours.restore(series.hours)
        self._days.restore(series.days)
        self._least, self._most = sums.least, max(sums.most, self._most)
        self._first, self._last = sums.first, sums.last
        self._queue.extend(Waiting(unit, self._rows_of(unit.candidates)) for unit in units)
        return list(self._queue)
