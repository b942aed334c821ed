"""The fold of a learning policy over a log that has entries, with a prediction at each decision.

    entry ──▶ catalog history
    what it opened by the settings of the evaluation ──▶ prediction, kept until its row is asked for
    what it closed by the settings of the policy     ──▶ trainer

A prediction is what the fold of all entries before the decision says, without the delay that
publishing has live. The reader of the log has joined it already, and says what an entry opened and
closed. Where the policy has the same rewards, that is also what it learns from; else it has a join
of its own. The model ends as that of ``folds.site``, to the byte, under the policy's settings.

Memory: the probabilities of the open units, and of the last ``MAX_CLOSED`` that have closed.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from bandit_service.catalog.personas import UNKNOWN
from bandit_service.evaluation.batch import Asked
from bandit_service.evaluation.logs.base import Taken
from bandit_service.events.entries import Decision, Entry, Position
from bandit_service.folds.site import empty_history
from bandit_service.learning.trainer import Trainer
from bandit_service.outcomes.join import Join, Outcome
from bandit_service.policy.chooser import Candidates, ModelPolicy
from bandit_service.policy.features import shared_line
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.logged import LoggedCandidates
from bandit_service.policy.model import open_replaying
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.settings import PolicySettings, SiteSettings, canonical

MAX_CLOSED: Final = 100_000
"""Closed units whose probabilities are kept. A reader is not further ahead than a batch of rows;
what it leaves out is never asked for."""


class Replay:
    """One policy on one log. Call ``close`` when done."""

    def __init__(
        self,
        settings: SiteSettings,
        *,
        evaluated: SiteSettings,
        blind: bool,
        others: Sequence[PolicySettings] = (),
    ) -> None:
        """A policy of ``settings`` that has learned nothing.

        ``evaluated`` are the settings of the evaluation. ``blind``: see ``blinded``. ``others`` are
        predicted too, from the same model: they explore otherwise and learn alike.
        """
        settings, evaluated = canonical(settings), canonical(evaluated)
        self._blind = blind
        self._others = tuple(others)
        self._history = empty_history(settings)
        self._candidates = LoggedCandidates(self._history)
        own = settings.rewards != evaluated.rewards
        self._lessons = Join(settings.rewards) if own else None
        self._model = open_replaying(settings.policy, rewards=bool(others))
        self._policy = ModelPolicy(settings.policy, self._model)
        self._trainer = Trainer(settings, self._history, model=self._model)
        self.outcomes = 0
        """How many outcomes it has learned from."""
        self._predicted: dict[int, array[float] | None] = {}
        """By key of the row: from its decision until it is asked for."""
        self._open: dict[str, tuple[int, str]] = {}
        """Key and shared line of the open units, by id of their decision."""
        self._closed: deque[int] = deque()
        """Keys of the units that closed last."""

    def apply(self, taken: Taken) -> None:
        """Take in the next entry: predict if it opens a row, then learn what it closed."""
        position, entry, key, closed = taken
        if self._blind and isinstance(entry, Decision):
            entry = blinded(entry)
        self._history.apply(position, entry)
        if key is not None and isinstance(entry, Decision):
            shared = self._predict(key, entry)
            if self._lessons is None:
                self._trainer.show(entry, shared)
        for outcome in closed:
            shared = self._close(outcome)
            if self._lessons is None:
                self.outcomes += self._trainer.learn(outcome, shared)
        if self._lessons is not None:
            self._learn_apart(self._lessons, position, entry)

    def take(self, key: int) -> array[float] | None:
        """The probabilities of a row, by its key, once; None if the log lacks its candidates.

        Those of the policy come first, then those of each of the others.

        Raises:
            KeyError: if there is no such row, or it closed too long ago.
        """
        return self._predicted.pop(key)

    def score(self, asked: Asked, chosen: int, reward: float) -> array[float]:
        """The probabilities of a row of a log without entries, from which it then learns."""
        decision, shared, candidates = asked
        if self._blind:
            shared = shared_line(UNKNOWN, {}, decision.context)
        if chosen < 0 or not math.isfinite(reward):
            return self._given(candidates, self._model.predict(shared, candidates.lines))
        prediction = self._model.predict_and_learn(
            Lesson(shared, candidates.lines, chosen, reward, decision.probabilities)
        )
        self.outcomes += 1
        return self._given(candidates, prediction)

    def model(self) -> bytes:
        """The model as it stands."""
        return self._trainer.save()

    def close(self) -> None:
        """Free the model."""
        self._trainer.close()

    def _learn_apart(self, lessons: Join, position: Position, entry: Entry) -> None:
        """Learn by the policy's own rewards."""
        closed = lessons.apply(position, entry)
        if lessons.opened is not None:
            self._trainer.show(lessons.opened)
        for outcome in closed:
            self.outcomes += self._trainer.learn(outcome)

    def _predict(self, key: int, decision: Decision) -> str:
        """Keep what is predicted of a row; its shared line."""
        shared = shared_line(decision.persona, decision.traits, decision.context)
        candidates = self._candidates.asked(decision)
        self._open[decision.id] = key, shared
        self._predicted[key] = (
            None
            if candidates is None
            else self._given(candidates, self._model.predict(shared, candidates.lines))
        )
        return shared

    def _given(self, candidates: Candidates, prediction: Prediction) -> array[float]:
        """What the policies make of a prediction, in the order of ``take``."""
        found = array("d", self._policy.given(candidates, prediction).overall)
        for other in self._others:
            found.extend(self._policy.otherwise(other, candidates, prediction).overall)
        return found

    def _close(self, outcome: Outcome) -> str:
        """Let go of an open unit; its shared line."""
        key, shared = self._open.pop(outcome.decision.id)
        if outcome.kind == "censored":  # which makes no row
            self._predicted.pop(key, None)
            return shared
        self._closed.append(key)
        if len(self._closed) > MAX_CLOSED:
            self._predicted.pop(self._closed.popleft(), None)
        return shared


def blinded(decision: Decision) -> Decision:
    """A decision about whose visitor nothing is known but the situation."""
    return msgspec.structs.replace(decision, persona=UNKNOWN, confidence=0.0, traits={})


def blind_settings(settings: SiteSettings) -> SiteSettings:
    """The settings without the two families that ``blinded`` leaves nothing of."""
    cross = tuple(name for name in settings.policy.cross if name not in ("persona", "traits"))
    policy = msgspec.structs.replace(settings.policy, cross=cross)
    return SiteSettings(rewards=settings.rewards, policy=policy)
