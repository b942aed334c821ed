"""The policy of a model: probabilities for candidates, and the draw among them.

Live serving and ``explain`` choose through the ``Chooser`` of a snapshot. It is a ``ModelPolicy``;
offline replay has one over a model that goes on learning. There is no second copy. Probabilities
depend on the model, the candidates and the shared line alone, and repeat, so a chooser keeps them.
A model that has been driven out of the range of numbers knows nothing: where its prediction is not
finite the choice is uniform, and a decision is always possible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from bandit_service.catalog.model import Placement, Variant
from bandit_service.kept import Kept
from bandit_service.policy.exploration import explored, greed_of
from bandit_service.policy.features import action_line, placement_lines
from bandit_service.policy.model import Model, open_model
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.sampling import bounded, held_out, mixed, race
from bandit_service.policy.settings import PolicySettings
from bandit_service.policy.snapshot import Snapshot

MAX_KEPT: Final = 20_000
"""Distributions kept for one snapshot before all are let go."""
MAX_KEPT_BYTES: Final = 64 * 1_048_576
"""How much they may take together: lines come from requests, and may be long."""
_BYTES_AN_ARM: Final = 160
"""What a distribution takes of each arm: four numbers and their places in lists."""


class Candidates:
    """What may be shown: variants with their arms and feature lines, prepared once."""

    __slots__ = ("_floored", "arms", "key", "lines", "lower", "uniform", "upper", "variants")

    def __init__(self, variants: Sequence[Variant], lines: Sequence[str]) -> None:
        """``lines`` are the candidates' feature lines, in the order of ``variants``."""
        self.variants = tuple(variants)
        self.lines = tuple(lines)
        self.arms = [variant.arm for variant in variants]
        self.lower = tuple(variant.min_share for variant in variants)
        self.upper = tuple(variant.max_share for variant in variants)
        self.key = (self.lines, self.lower, self.upper)
        self.uniform = bounded([1.0] * len(self.arms), self.lower, self.upper) if self.arms else []
        self._floored: tuple[float, list[float]] = (0.0, list(map(min, self.lower, self.upper)))

    @classmethod
    def of(cls, placement: Placement, now: int, exclude: Iterable[str] = ()) -> Candidates:
        """What a placement may show at ``now`` (ms), without the variants excluded by id."""
        barred = frozenset(exclude)
        live = [variant for variant in placement.live(now) if variant.id not in barred]
        return cls(live, placement_lines(placement, live))

    @classmethod
    def inline(cls, placement: str, variants: Sequence[Variant]) -> Candidates:
        """Variants that came with a request."""
        return cls(variants, [action_line(placement, (), variant) for variant in variants])

    def least(self, floor: float) -> list[float]:
        """The least probability of each, where ``floor`` / K is the least of all; caps prevail."""
        if self._floored[0] != floor:
            even = floor / len(self)
            lower = [
                min(max(low, even), high) for low, high in zip(self.lower, self.upper, strict=True)
            ]
            self._floored = (floor, lower)
        return self._floored[1]

    def __len__(self) -> int:
        return len(self.variants)


class Distribution(NamedTuple):
    """The probabilities of K candidates, each a list of K numbers."""

    learned: list[float]
    """What a unit that is not held out draws from."""
    uniform: list[float]
    """What a held-out unit draws from."""
    overall: list[float]
    """The mixture of both: the propensities."""
    rewards: list[float]
    """Expected reward of each candidate."""


class Choice(NamedTuple):
    """A candidate's place in the list, and whether it was drawn from the holdout."""

    chosen: int
    holdout: bool


class ModelPolicy:
    """The policy of a model, which it owns. Not thread-safe; call ``close`` when done."""

    def __init__(self, policy: PolicySettings, model: Model) -> None:
        """Choose by ``model``, as it stands whenever it is asked, under ``policy``."""
        self.policy = policy
        self._model = model

    def distribution(self, candidates: Candidates, shared: str) -> Distribution:
        """The probabilities of ``candidates`` for the decision that ``shared`` describes."""
        return self.given(candidates, self._model.predict(shared, candidates.lines))

    def given(self, candidates: Candidates, prediction: Prediction) -> Distribution:
        """What the policy makes of a prediction of its model."""
        if not math.isfinite(sum(prediction.probabilities) + sum(prediction.rewards)):
            return without_knowledge(self.policy, candidates)
        return distribute(self.policy, candidates, prediction)

    def otherwise(
        self, other: PolicySettings, candidates: Candidates, prediction: Prediction
    ) -> Distribution:
        """What ``other``, which learns alike and explores otherwise, makes of the prediction."""
        if not math.isfinite(sum(prediction.probabilities) + sum(prediction.rewards)):
            return without_knowledge(other, candidates)
        if greed_of(other) != greed_of(self.policy):
            prediction = Prediction(explored(other, prediction), prediction.rewards)
        return distribute(other, candidates, prediction)

    def close(self) -> None:
        """Free the model; the policy cannot be used afterwards."""
        self._model.close()


class Chooser(ModelPolicy):
    """The policy of one snapshot. Its model stays as it is, and what is asked of it repeats."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Load the model of ``snapshot``.

        Raises:
            SnapshotError: if the model cannot be loaded.
        """
        self.name = snapshot.name
        self.settings = snapshot.settings
        policy = snapshot.settings.policy
        super().__init__(policy, open_model(policy, snapshot.model))
        self._kept: Kept[tuple[object, str], Distribution] = Kept(
            entries=MAX_KEPT, room=MAX_KEPT_BYTES
        )

    def distribution(self, candidates: Candidates, shared: str) -> Distribution:
        """The probabilities of ``candidates`` for the decision that ``shared`` describes."""
        shared = self._model.reads(shared)
        key = (candidates.key, shared)
        kept = self._kept.get(key)
        if kept is None:
            kept = super().distribution(candidates, shared)
            lines = sum(map(len, candidates.lines))
            self._kept.keep(key, kept, len(shared) + lines + _BYTES_AN_ARM * len(candidates))
        return kept

    def close(self) -> None:
        """Free the model; the chooser cannot be used afterwards."""
        self._kept.clear()
        super().close()


def distribute(
    policy: PolicySettings, candidates: Candidates, prediction: Prediction
) -> Distribution:
    """From the model's prediction to the probabilities that are drawn from."""
    least = candidates.least(policy.floor)
    learned = bounded(prediction.probabilities, least, candidates.upper)
    overall = mixed(learned, candidates.uniform, policy.holdout)
    return Distribution(learned, candidates.uniform, overall, prediction.rewards)


def without_knowledge(policy: PolicySettings, candidates: Candidates) -> Distribution:
    """The distribution where there is no model to ask: uniform, within the shares."""
    count = len(candidates)
    blank = Prediction([1.0 / count] * count, [policy.typical_reward] * count)
    return distribute(policy, candidates, blank)


def draw(
    policy: PolicySettings, salt: bytes, unit: str, candidates: Candidates, given: Distribution
) -> Choice:
    """Draw a candidate for ``unit``: the same answer whenever and wherever it is asked again."""
    holdout = held_out(salt, unit, policy.holdout)
    probabilities = given.uniform if holdout else given.learned
    return Choice(race(salt, unit, candidates.arms, probabilities), holdout)
