"""Everything that is summed up of one target over a log. Mergeable, as all that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import Estimator
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.folds.parts import CellsFold
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.folds.shares import SharesFold
from bandit_service.evaluation.folds.weights import WeightsFold
from bandit_service.evaluation.intervals.sequence import HOUR_MS, SequenceFold
from bandit_service.evaluation.terms import Terms, filled, terms_of

CELLS_BY = "dr"
"""The estimator of parts of a log, and of the gain: unbiased as ``ips``, and steadier."""


@dataclass(frozen=True)
class Gain:
    """How much more a target earns than the log's policy, by the doubly robust estimates of both.

    Taken within each row, so what the two have in common cancels: the pairs are

        expected - usual + (w - 1) (r - predicted),  1

    and all 0 where the target is the log's policy. Rejected: DR less r, to which the model's own
    differences between the candidates add noise even then.
    """

    name: ClassVar[str] = "gain"
    words: ClassVar[str] = "What the policy would have earned beyond what the log's policy did."
    source: ClassVar[str] = "the paired difference of two doubly robust means"
    mean: ClassVar[bool] = True
    distributions: ClassVar[bool] = False

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        error = terms.reward - terms.predicted
        changed = terms.expected - terms.usual + (terms.weight - 1.0) * error
        return changed, np.ones(len(terms))

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return terms.weight


class Scores:
    """One target's folds."""

    def __init__(self, estimators: Mapping[str, Estimator], *, block_ms: int = HOUR_MS) -> None:
        """Of no rows; ``block_ms`` is how far apart the moments of the confidence sequence are."""
        self._estimators = estimators
        self._block_ms = block_ms
        self.estimates = {name: EstimateFold(kind) for name, kind in estimators.items()}
        self.gain = EstimateFold(Gain())
        self.sequence = SequenceFold(block_ms=block_ms)
        self.weights = WeightsFold()
        self.shares = SharesFold()
        self.by_placement = CellsFold(estimators[CELLS_BY])
        self.by_persona = CellsFold(estimators[CELLS_BY])

    def add(self, batch: Batch, target: Floats, predictions: Floats) -> None:
        """Add n rows.

        Args:
            batch: n usable rows; see ``Verifier.usable``.
            target: m probabilities of the target.
            predictions: m expected rewards.

        Raises:
            EvaluationError: if a weight or a value is not a finite number.
        """
        terms = terms_of(batch, target, predictions)
        for fold in (*self.estimates.values(), self.gain):
            fold.add(terms)
        self.sequence.add(terms)
        self.weights.add(terms)
        self.by_placement.add(terms, batch.placement, batch.names.placements)
        self.by_persona.add(terms, batch.persona, batch.names.personas)
        self.shares.add(batch, filled(batch, target))

    def gained(self) -> Ratio:
        """The sums of the gain; 0 where all weights are 1, whatever rounding left of them."""
        ratio = self.gain.get()
        if not ratio.same:
            return ratio
        nothing = np.zeros_like(ratio.group_num)
        sums = ratio.sums._replace(num=0.0, num2=0.0, cross=0.0)
        return ratio._replace(sums=sums, group_num=nothing)

    def __add__(self, other: Scores) -> Scores:
        """The scores of the rows of both."""
        merged = Scores(self._estimators, block_ms=self._block_ms)
        merged.estimates = {
            name: fold + other.estimates[name] for name, fold in self.estimates.items()
        }
        merged.gain = self.gain + other.gain
        merged.sequence = self.sequence + other.sequence
        merged.weights = self.weights + other.weights
        merged.shares = self.shares + other.shares
        merged.by_placement = self.by_placement + other.by_placement
        merged.by_persona = self.by_persona + other.by_persona
        return merged

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if what was summed up is."""
        parts = [fold.encode() for fold in (*self.estimates.values(), self.gain)]
        parts += [self.sequence.encode(), self.weights.encode(), self.shares.encode()]
        parts += [self.by_placement.encode(), self.by_persona.encode()]
        return msgspec.msgpack.encode(parts)
