"""The fold over outcomes that trains the model.

One outcome is one example: the decision's shared line, a line for each candidate, and the reward
of the one that was shown. Censored outcomes teach nothing. Held-out decisions teach like any other:
they are the least biased examples there are.
"""

from __future__ import annotations

from typing import Final

from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.settings import PolicySettings
from bandit_service.policy.vowpal import VowpalModel

_MAX_REVISIONS: Final = 5_000
"""Placement revisions whose candidates' lines are kept ready."""


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
        self._lines: dict[tuple[str, int], dict[str, str]] = {}

    def learn(self, outcome: Outcome) -> bool:
        """Learn from an outcome; False if it teaches nothing or its candidates are unknown."""
        if outcome.kind == "censored":
            return False
        decision = outcome.decision
        lines = self._candidates(decision)
        if lines is None:
            return False
        shared = shared_line(decision.persona, decision.traits, decision.context)
        self._model.learn(shared, lines, decision.chosen, outcome.reward)
        self.outcomes += 1
        return True

    def save(self) -> bytes:
        """The model as bytes."""
        return self._model.save()

    def close(self) -> None:
        """Free the model."""
        self._model.close()

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
