"""The fold over outcomes that trains the model.

One outcome is one example: the decision's shared line, a line for each candidate, and the reward
of the one that was shown. Censored outcomes teach nothing. Held-out decisions teach like any other:
they are the least biased examples there are.
"""

from __future__ import annotations

from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.features import shared_line
from bandit_service.policy.logged import LoggedCandidates
from bandit_service.policy.model import Model, open_model
from bandit_service.policy.settings import PolicySettings


class Trainer:
    """A model and how many outcomes it has learned from. Call ``close`` when done."""

    def __init__(
        self,
        settings: PolicySettings,
        history: CatalogHistory,
        *,
        model: bytes | Model | None = None,
        outcomes: int = 0,
    ) -> None:
        """A trainer with a new model, or with one that was saved after ``outcomes`` outcomes.

        A model that is open already is used as it is, and closed with the trainer.
        """
        self.outcomes = outcomes
        self._model = (
            open_model(settings, model) if model is None or isinstance(model, bytes) else model
        )
        self._candidates = LoggedCandidates(history)

    def learn(self, outcome: Outcome, shared: str | None = None) -> bool:
        """Learn from an outcome; False if it teaches nothing or its candidates are unknown.

        ``shared`` is the decision's shared line, if the caller has it already.
        """
        if outcome.kind == "censored":
            return False
        decision = outcome.decision
        lines = self._candidates.of(decision)
        if lines is None:
            return False
        if shared is None:
            shared = shared_line(decision.persona, decision.traits, decision.context)
        self._model.learn(shared, lines, decision.chosen, outcome.reward, decision.probabilities)
        self.outcomes += 1
        return True

    def save(self) -> bytes:
        """The model as bytes."""
        return self._model.save()

    def close(self) -> None:
        """Free the model."""
        self._model.close()
