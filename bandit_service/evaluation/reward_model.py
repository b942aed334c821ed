"""What a decision is expected to earn: shrunken means by placement, arm and persona.

The model of ``dm`` and ``dr``. A mean of few rows is shrunk towards the one above it:

    all rows  <-  placement  <-  arm on it  <-  arm on it for a persona

each as ``(sum + k * above) / (rows + k)``, as if k rows more had earned just what is usual above
(the posterior mean under a conjugate prior of k rows). An arm never seen is expected to earn what
its placement does.

k = variance / mean^2 of the rewards, which for clicks is nearly 1 / click rate: 100 rows at 1 %.
That is what Bayes' rule gives if the means below vary as much as the mean itself: fewer rows than
it takes for one click say nearly nothing. k is in rows, so it does not depend on the unit of
rewards.

**Cross-fitting** (Chernozhukov et al., 2018): visitors are cut into 5 parts, and what a row is
expected to earn was fitted to the other 4. A row's own reward, or one of the same visitor, never
helps to predict it; without this, doubly robust estimates are too sure of themselves.

Rejected: regression on features, which needs the features that many logs do not have, a library or
a solver, and a reading for each pass; sums by cell are one reading and merge exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Whole, mixed
from bandit_service.evaluation.folds.cells import cells_of
from bandit_service.evaluation.folds.keyed_sums import Key, KeyedSums, Totals

PARTS: Final = 5
"""Into how many parts visitors are cut."""
LEAST_STRENGTH: Final = 1.0
"""k, in rows, where all rewards are nearly the same: one row says most of what there is to say."""
MOST_STRENGTH: Final = 1_000.0
"""k, in rows, where rewards are rare or cancel out: 1,000 rows of an arm count for half at least,
however rare its rewards."""

Cell = tuple[int, str, str, str]
"""Part, placement, arm, persona."""


class RewardTable:
    """What was earned, by part, placement, arm and persona. Merges exactly."""

    def __init__(self) -> None:
        self._cells: KeyedSums[Cell] = KeyedSums("reward", "reward^2")

    def add(self, batch: Batch) -> None:
        """Add rows, each with what was shown among its candidates.

        Raises:
            EvaluationError: if a reward is not a finite number, or too large to be squared.
        """
        names = batch.names
        (part, place, arm, persona), group = cells_of(
            (part_of(batch), PARTS),
            (batch.placement, len(names.placements)),
            (batch.arms[batch.shown], len(names.arms)),
            (batch.persona, len(names.personas)),
        )
        keys = zip(
            part.tolist(),
            names.placements.named(place),
            names.arms.named(arm),
            names.personas.named(persona),
            strict=True,
        )
        with np.errstate(over="ignore"):  # the sums refuse what is not finite
            columns = {"reward": batch.reward, "reward^2": batch.reward * batch.reward}
        self._cells.add([*keys], group, len(batch), columns)

    def __add__(self, other: RewardTable) -> RewardTable:
        """The table of the rows of both."""
        merged = RewardTable()
        merged._cells = self._cells + other._cells
        return merged

    def fit(self) -> RewardModel:
        """The model of each part, fitted to all others."""
        return RewardModel([self._fit_without(part) for part in range(PARTS)])

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if what was summed up is."""
        return self._cells.encode()

    def _fit_without(self, part: int) -> Means:
        cells = self._cells.regrouped(lambda key: key[1:] if key[0] != part else None)
        n, total = cells.n, cells.total("reward")
        overall = total / n if n else 0.0
        k = strength(overall, cells.total("reward^2") / n if n else 0.0)
        arms = cells.regrouped(lambda key: key[:2])
        placements = arms.regrouped(lambda key: key[0])
        of_placement = _shrunk(placements.get(), k, lambda _: overall)
        of_arm = _shrunk(arms.get(), k, lambda key: of_placement[key[0]])
        of_cell = _shrunk(cells.get(), k, lambda key: of_arm[key[:2]])
        return Means(overall, of_placement, of_arm, of_cell)


class Means(NamedTuple):
    """Expected rewards; the most detailed that is there applies."""

    overall: float
    placements: dict[str, float]
    arms: dict[tuple[str, str], float]
    """By placement and arm."""
    cells: dict[tuple[str, str, str], float]
    """By placement, arm and persona."""

    def expected(self, placement: str, arm: str, persona: str) -> float:
        """What showing an arm to a persona on a placement is expected to earn."""
        found = self.cells.get((placement, arm, persona))
        if found is None:
            found = self.arms.get((placement, arm))
        return self.placements.get(placement, self.overall) if found is None else found


class RewardModel:
    """Expected rewards of candidates, cross-fitted."""

    def __init__(self, means: Sequence[Means]) -> None:
        """``means`` are those of each part, fitted to the others."""
        self._means = means

    def predict(self, batch: Batch) -> Floats:
        """m: what each candidate is expected to earn."""
        names = batch.names
        rows = batch.rows
        cells = cells_of(
            (part_of(batch)[rows], PARTS),
            (batch.placement[rows], len(names.placements)),
            (batch.arms, len(names.arms)),
            (batch.persona[rows], len(names.personas)),
        )
        part, place, arm, persona = cells.codes
        expected = [
            self._means[k].expected(*key)
            for k, *key in zip(
                part.tolist(),
                names.placements.named(place),
                names.arms.named(arm),
                names.personas.named(persona),
                strict=True,
            )
        ]
        return np.array(expected, np.float64)[cells.group]


def part_of(batch: Batch) -> Whole:
    """n: the part of each row, that of its cluster."""
    return (mixed(batch.cluster) % np.uint64(PARTS)).astype(np.int64)


def strength(mean: float, square: float) -> float:
    """k, in rows, of the mean reward and the mean of its square."""
    if mean * mean == 0.0:
        return MOST_STRENGTH
    ratio = (square - mean * mean) / (mean * mean)
    return min(max(ratio, LEAST_STRENGTH), MOST_STRENGTH)


def _shrunk(
    totals: Totals[Key], strength: float, above: Callable[[Key], float]
) -> dict[Key, float]:
    """By key: the mean reward, shrunk towards the one above."""
    sums = totals.columns["reward"].tolist()
    return {
        key: (total + strength * above(key)) / (n + strength)
        for key, n, total in zip(totals.keys, totals.n.tolist(), sums, strict=True)
    }
