"""Units to be counted, one after the other, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bandit_service.catalog.model import Placement, Status, Variant
from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision, PlacementChanged, Position
from bandit_service.outcomes.join import Outcome, OutcomeKind
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting.columns import (
    R2,
    SHOWN,
    N,
    R,
    counts,
    halves,
)
from bandit_service.reporting.counters import Counters, Parts
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.stored import StoredSums, decode
from tests.world import a_decision

HOUR_MS = 3_600_000


def placement(
    name: str, live: Sequence[str], *, revision: int = 1, rest: Sequence[str] = (), **fields: Any
) -> Placement:
    """A placement of headlines, some of which rest."""
    tags: dict[str, tuple[str, ...]] = fields.pop("tags_of", {})
    groups: list[tuple[Sequence[str], Status]] = [(live, "live"), (rest, "paused")]
    variants = [
        Variant(id=v, version=1, headline=v, status=status, tags=tags.get(v, ()))
        for names, status in groups
        for v in names
    ]
    return Placement(
        id=name, revision=revision, kind="headline", variants=tuple(variants), **fields
    )


class Counting:
    """A site whose units are opened and closed by hand."""

    def __init__(self, *placements: Placement, largest: float = 0.0) -> None:
        self.history = CatalogHistory(keep_ms=10**12)
        self.counters = Counters(self.history, largest=largest)
        self._largest = largest
        self.now = 1_800_000_000_000
        self._units = 0
        for one in placements or [placement("film", ["a", "b"])]:
            self.edit(one)

    def edit(self, changed: Placement) -> None:
        """Put a placement."""
        entry = PlacementChanged(placement=changed, at=self.now, by="test")
        self.history.apply(Position(self.now, 0), entry)
        self.counters.edited(changed.id)

    def open(self, arm: str = "a", **fields: Any) -> Decision:
        """Open a unit that was shown ``arm``, drawn evenly unless told otherwise."""
        name, revision = fields.get("placement", "film"), fields.pop("revision", None)
        latest = self.history.latest(name)
        if revision is None:
            revision = latest.revision if latest is not None else 0
        asked = self.history.placement(name, revision)
        arms = fields.pop("arms", None) or [v.arm for v in (asked.live(self.now) if asked else ())]
        arms = arms or [f"{arm}@1"]
        self._units += 1
        unit = {
            "id": f"unit-{self._units}",
            "visitor": f"visitor-{self._units}",
            "revision": revision,
            "arms": arms,
            "probabilities": [1.0 / len(arms)] * len(arms),
            "chosen": arms.index(f"{arm}@1"),
            "persona": "romantic",
            "at": self.now,
        }
        decision = a_decision(**{**unit, **fields})
        self.counters.passed(self.now)
        self.counters.open(decision, self.now)
        return decision

    def close(self, decision: Decision, reward: float = 0.0, *, views: int = 1) -> None:
        """Close a unit; without views, nobody saw it."""
        kind: OutcomeKind = "rewarded" if reward else "defaulted"
        if not views:
            kind = "censored"
        self.counters.close(Outcome(decision, kind, reward, views, Position(self.now, 0)))

    def count(self, arm: str = "a", reward: float = 0.0, **fields: Any) -> None:
        """Open a unit and close it."""
        self.close(self.open(arm, **fields), reward)

    def sums(self, name: str = "film") -> StoredSums:
        """What was counted of a placement."""
        return decode(self.counters.parts().sums[name], StoredSums)

    def resumed(self) -> Counting:
        """The same, stopped and gone on."""
        again = Counting(largest=self._largest)
        again.history, again.now, again._units = self.history, self.now, self._units
        again.counters = Counters(self.history, largest=self._largest)
        parts = self.counters.parts()
        again.counters.restore(self.counters.dump(JoinCounts()), Parts(*parts))
        return again


def totals(sums: StoredSums) -> dict[str, float]:
    """Shown, settled and earned over all rows, policy and holdout together."""
    both = counts(sums.row_array()).sum(axis=(0, 1))
    return {"shown": both[SHOWN], "n": both[N], "r": both[R], "r2": both[R2]}


def row_of(sums: StoredSums, arm: str, persona: str = "romantic", lineup: int = 1) -> Floats:
    """The row of a variant and a persona in a line-up."""
    key = [lineup, sums.arms.index(f"{arm}@1"), sums.personas.index(persona)]
    (at,) = np.flatnonzero((sums.key_array() == key).all(axis=1))
    found: Floats = sums.row_array()[at]
    return found


def weights_of(row: Floats) -> Floats:
    """The weighted sums of a row, over both halves."""
    found: Floats = halves(row).sum(axis=0)
    return found
