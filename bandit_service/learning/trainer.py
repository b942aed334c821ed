"""The fold over outcomes that trains the model.

One outcome is one example: the decision's shared line, a line for each candidate, and the reward
of the one that was shown. Censored outcomes teach nothing. Held-out decisions teach like any other:
they are the least biased examples there are.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.settings import PolicySettings
from bandit_service.policy.vowpal import VowpalModel

_MAX_REVISIONS: Final = 5_000
"""Placement revisions whose candidates' lines are kept ready."""
_MAX_SHARED: Final = 20_000
"""Shared lines that are kept ready."""
_encoder: Final = msgspec.json.Encoder()


class Trainer:
    """A model and how many outcomes it has learned from. Call ``close`` when done."""

    def __init__(
        self,
        settings: PolicySettings,
        history: CatalogHistory,
        *,
        model: bytes | None = None,
        outcomes: int = 0,
    ) -> None:
        """A trainer with a new model, or with one that was saved after ``outcomes`` outcomes."""
        self.outcomes = outcomes
        self._history = history
        self._model = VowpalModel(settings, model)
        self._kept: dict[bytes, str] = {}
        self._lines: dict[tuple[str, int], dict[str, str]] = {}

    def learn(self, outcome: Outcome) -> bool:
        """Learn from an outcome; False if it teaches nothing or its candidates are unknown."""
        if outcome.kind == "censored":
            return False
        decision = outcome.decision
        lines = self._candidates(decision)
        if lines is None:
            return False
        self._model.learn(self._shared(decision), lines, decision.chosen, outcome.reward)
        self.outcomes += 1
        return True

    def save(self) -> bytes:
        """The model as bytes."""
        return self._model.save()

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def _shared(self, decision: Decision) -> str:
        """The shared line; decisions that say the same are many, and share it."""
        words = _encoder.encode((decision.persona, decision.traits, decision.context))
        line = self._kept.get(words)
        if line is None:
            if len(self._kept) >= _MAX_SHARED:
                self._kept.clear()
            line = shared_line(decision.persona, decision.traits, decision.context)
            self._kept[words] = line
        return line

    def _candidates(self, decision: Decision) -> list[str] | None:
        if decision.inline is not None:
            return [action_line(decision.placement, (), variant) for variant in decision.inline]
        key = (decision.placement, decision.revision)
        placement = self._history.placement(*key)
        if placement is None:
            return None  # also where its lines are still at hand: a restored trainer has none
        known = self._lines.get(key)
        if known is None:
            if len(self._lines) >= _MAX_REVISIONS:
                self._lines.clear()
            known = self._lines[key] = {
                variant.arm: action_line(placement.id, placement.tags, variant)
                for variant in placement.variants
            }
        try:
            return [known[arm] for arm in decision.arms]
        except KeyError:
            return None
