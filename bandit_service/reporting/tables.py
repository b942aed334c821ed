"""The sums of a placement as arrays, by variant and persona."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bandit_service.reporting.columns import TOPS, WIDTH, merged
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.stored import StoredSums, Whole


class Scale(NamedTuple):
    """Between what rewards lie, as far as they were seen or the site's settings say."""

    least: float
    """The least, or 0."""
    most: float
    """The largest, or what one may be by the settings."""

    @property
    def size(self) -> float:
        """How large a reward is at most; 1 before there was any."""
        return max(self.most, -self.least) or 1.0

    def __or__(self, other: Scale) -> Scale:
        """The scale of both."""
        return Scale(min(self.least, other.least), max(self.most, other.most))


class Table(NamedTuple):
    """Rows of A variants and G personas."""

    arms: Sequence[str]
    personas: Sequence[str]
    rows: Floats
    """A x G x WIDTH."""
    scale: Scale

    def only(self, arms: Sequence[str]) -> Table:
        """The same of some of the variants, in their order; without rows they have nothing."""
        place = {arm: number for number, arm in enumerate(self.arms)}
        rows = np.zeros((len(arms), len(self.personas), WIDTH))
        for number, arm in enumerate(arms):
            if arm in place:
                rows[number] = self.rows[place[arm]]
        return self._replace(arms=list(arms), rows=rows)

    def of_everybody(self) -> Floats:
        """A x WIDTH: over all personas."""
        return merged(self.rows, axis=1)


def whole(sums: StoredSums) -> Table:
    """All that was counted of a placement."""
    return _table(sums, lambda _: True)


def field(sums: StoredSums, live: Sequence[str]) -> Table:
    """The variants that are live, over visits in which each of them was: to be compared.

    They are those of line-ups that have all of ``live``.
    """
    wanted = set(live)
    kept = {lineup.number for lineup in sums.lineups if wanted <= set(lineup.arms)}
    return _table(sums, kept.__contains__).only(live)


def lineups(sums: StoredSums) -> list[Table]:
    """A table for each line-up that was kept apart, of the variants that were live in it."""
    return [_table(sums, lineup.number.__eq__).only(lineup.arms) for lineup in sums.lineups]


def _table(sums: StoredSums, chosen: Callable[[int], bool]) -> Table:
    keys, rows = sums.key_array(), sums.row_array()
    found = np.zeros((len(sums.arms), len(sums.personas), WIDTH))
    for lineup in np.unique(keys[:, 0]).tolist():
        if chosen(lineup):
            mine = keys[:, 0] == lineup
            _add(found, keys[mine], rows[mine])
    return Table(sums.arms, sums.personas, found, Scale(sums.least, sums.most))


def _add(found: Floats, keys: Whole, rows: Floats) -> None:
    """Add the rows of one line-up, in which no variant and persona come twice."""
    at = (keys[:, 1], keys[:, 2])
    before = found[at]
    after = before + rows
    after[:, TOPS] = np.maximum(before[:, TOPS], rows[:, TOPS])
    found[at] = after
