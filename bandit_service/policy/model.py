"""Models: what learns from outcomes, and says what candidates are worth.

``exploration`` in the settings says which one: "thompson" is a posterior over pooled sums with a
regression by Vowpal Wabbit as its prior (``pooled``), the others are Vowpal Wabbit's own
(``vowpal``). Both read the same lines (``features``), and everything around them is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bandit_service.policy.lesson import Lesson
from bandit_service.policy.pooled import PooledModel
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.settings import PolicySettings
from bandit_service.policy.vowpal import ReplayModel, VowpalModel


class Model(Protocol):
    """A model. Not thread-safe."""

    def show(self, shared: str, actions: Sequence[str], chosen: int) -> None:
        """Learn that the candidate at index ``chosen`` was shown, and has earned nothing yet."""

    def unshow(self, shared: str, actions: Sequence[str], chosen: int) -> None:
        """Take ``show`` back, as far as can be: nobody saw it."""

    def learn(self, lesson: Lesson) -> None:
        """Learn what came of something that was shown."""

    def reads(self, shared: str) -> str:
        """What of a shared line ``predict`` goes by, while nothing is learned."""

    def predict(self, shared: str, actions: Sequence[str]) -> Prediction:
        """What is to be thought of the candidates."""

    def save(self) -> bytes:
        """The model as bytes, a function of what was learned."""

    def close(self) -> None:
        """Free what it holds; it cannot be used afterwards."""


class Replaying(Model, Protocol):
    """A model that predicts and learns in turn."""

    def predict_and_learn(self, lesson: Lesson) -> Prediction:
        """``predict``, then ``show`` and ``learn``."""


def open_model(settings: PolicySettings, data: bytes | None = None) -> Model:
    """A new model, or the one that ``save`` wrote as ``data``, to serve from or to learn with.

    Raises:
        SnapshotError: if ``data`` cannot be loaded.
    """
    if settings.exploration == "thompson":
        return PooledModel(settings, data)
    return VowpalModel(settings, data)


def open_replaying(settings: PolicySettings, *, rewards: bool = False) -> Replaying:
    """A new model that predicts and learns in turn.

    ``rewards``: whether every prediction has to have expected rewards.
    """
    if settings.exploration == "thompson":
        return PooledModel(settings)
    return ReplayModel(settings, rewards=rewards)
