"""The fold of a learning policy over a log that has entries, with a prediction at each decision.

    entry ──▶ catalog history
          ├─▶ join of the evaluation ──opened──▶ prediction, kept until its row is asked for
          │         └──closed──┐
          └─▶ join of the policy ──outcomes──▶ trainer

A prediction is what the fold of all entries before the decision says, without the delay that
publishing has live. The join of the evaluation says which decisions become rows. Where the policy
has the same rewards, its outcomes are also what is learned from; else the policy has a join of its
own. The model ends as ``folds.site`` would have it, to the byte, under the policy's settings.

Memory: the probabilities of the open units, and of the last ``MAX_CLOSED`` that have closed.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from bandit_service.catalog.personas import UNKNOWN
from bandit_service.evaluation.batch import hash_of
from bandit_service.events.entries import Decision, Entry, Position
from bandit_service.folds.site import empty_history
from bandit_service.learning.trainer import Trainer
from bandit_service.outcomes.join import Join, Outcome
from bandit_service.policy.chooser import Candidates, ModelPolicy
from bandit_service.policy.features import shared_line
from bandit_service.policy.logged import LoggedCandidates
from bandit_service.policy.settings import PolicySettings, SiteSettings, canonical
from bandit_service.policy.vowpal import ReplayModel

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
        self._rows = Join(evaluated.rewards)
        own = settings.rewards != evaluated.rewards
        self._lessons = Join(settings.rewards) if own else None
        model = ReplayModel(settings.policy)
        self.policy = ModelPolicy(settings.policy, model)
        self.trainer = Trainer(settings.policy, self._history, model=model)
        self._predicted: dict[int, array[float] | None] = {}
        """By key of the row: from its decision until it is asked for."""
        self._keys: dict[str, int] = {}
        """Of the open units, by id of their decision."""
        self._closed: deque[int] = deque()
        """Keys of the units that closed last."""

    def apply(self, position: Position, entry: Entry) -> None:
        """Take in the next entry: predict if it opens a row, then learn what it closed."""
        if isinstance(entry, Decision):
            if not _sound(entry):
                return
            if self._blind:
                entry = blinded(entry)
        self._history.apply(position, entry)
        opened = self._units()
        closed = self._rows.apply(position, entry)
        if isinstance(entry, Decision) and self._units() > opened:
            key = self._keys[entry.id] = hash_of(entry.id)
            self._predicted[key] = self._predict(entry)
        for outcome in closed:
            self._close(outcome)
        lessons = closed if self._lessons is None else self._lessons.apply(position, entry)
        for outcome in lessons:
            self.trainer.learn(outcome)

    def take(self, key: int) -> array[float] | None:
        """The probabilities of a row, by its key, once; None if the log lacks its candidates.

        Those of the policy come first, then those of each of the others.

        Raises:
            KeyError: if there is no such row, or it closed too long ago.
        """
        return self._predicted.pop(key)

    def close(self) -> None:
        """Free the model."""
        self.trainer.close()

    def _units(self) -> int:
        """How many units have been opened."""
        counts = self._rows.counts
        return counts.decisions - counts.repeated_views - counts.switched_views

    def _predict(self, decision: Decision) -> array[float] | None:
        candidates = self._candidates.asked(decision)
        if candidates is None:
            return None
        shared = shared_line(decision.persona, decision.traits, decision.context)
        return self.predict(candidates, shared)

    def predict(self, candidates: Candidates, shared: str) -> array[float]:
        """The probabilities as the model stands, in the order of ``take``."""
        if not self._others:
            return array("d", self.policy.distribution(candidates, shared).overall)
        given = self.policy.distributions(candidates, shared, self._others)
        return array("d", [p for one in given for p in one.overall])

    def _close(self, outcome: Outcome) -> None:
        key = self._keys.pop(outcome.decision.id)
        if outcome.kind == "censored":  # and therefore no row
            self._predicted.pop(key, None)
            return
        self._closed.append(key)
        if len(self._closed) > MAX_CLOSED:
            self._predicted.pop(self._closed.popleft(), None)


def blinded(decision: Decision) -> Decision:
    """A decision about whose visitor nothing is known but the situation."""
    return msgspec.structs.replace(decision, persona=UNKNOWN, confidence=0.0, traits={})


def blind_settings(settings: SiteSettings) -> SiteSettings:
    """The settings without the two families that ``blinded`` leaves nothing of."""
    cross = tuple(name for name in settings.policy.cross if name not in ("persona", "traits"))
    policy = msgspec.structs.replace(settings.policy, cross=cross)
    return SiteSettings(rewards=settings.rewards, policy=policy)


def _sound(decision: Decision) -> bool:
    """Whether a decision chose among its candidates; readers leave out one that did not."""
    count = len(decision.arms)
    return len(decision.probabilities) == count and 0 <= decision.chosen < count
