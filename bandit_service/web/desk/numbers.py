"""What the desk's pages know of a placement's numbers, read from the reports.

Counting and judging is done in ``reporting``; this brings it into the shape of a page: one record a
placement, so that a page of hundreds of cards looks nothing up twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bandit_service.outcomes.join import JoinCounts
from bandit_service.reporting.counters import (
    Cell,
    CellKey,
    Estimate,
    ReportState,
    Row,
    by_persona,
    by_variant,
    by_variant_and_persona,
    estimate,
)
from bandit_service.storage.ports import SiteStore


class PlacementNumbers(NamedTuple):
    """One placement."""

    views: int
    policy: Estimate
    holdout: Estimate
    cells: Sequence[tuple[CellKey, Cell]]

    def by_variant(self) -> dict[str, Row]:
        """Rows by arm."""
        return {row.group: row for row in by_variant(self.cells, self._id)}

    def by_variant_and_persona(self) -> dict[str, Row]:
        """Rows by ``arm persona``."""
        return {row.group: row for row in by_variant_and_persona(self.cells, self._id)}

    @property
    def _id(self) -> str:
        return self.cells[0][0].placement if self.cells else ""


NOTHING = PlacementNumbers(0, estimate(Cell()), estimate(Cell()), ())


class SiteNumbers:
    """All placements of a site."""

    def __init__(self, state: ReportState) -> None:
        self._cells: dict[str, list[tuple[CellKey, Cell]]] = {}
        for key, cell in state.cells:
            self._cells.setdefault(key.placement, []).append((key, cell))

    def of(self, placement: str) -> PlacementNumbers:
        """The numbers of a placement; zeros where there are none."""
        cells = self._cells.get(placement)
        if not cells:
            return NOTHING
        held, free = Cell(), Cell()
        for key, cell in cells:
            if key.holdout:
                held += cell
            else:
                free += cell
        return PlacementNumbers(held.views + free.views, estimate(free), estimate(held), cells)

    def by_persona(self) -> dict[str, Row]:
        """Rows by persona, over all placements."""
        every = (pair for cells in self._cells.values() for pair in cells)
        return {row.group: row for row in by_persona(every)}


def numbers_of(store: SiteStore) -> SiteNumbers:
    """The numbers as last published.

    Raises:
        StorageError: if the store does not answer.
    """
    data = store.report()
    if data is None:
        return SiteNumbers(ReportState([], JoinCounts()))
    return SiteNumbers(msgspec.json.decode(data, type=ReportState))
