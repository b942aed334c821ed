"""The fold over outcomes that trains the model.

An outcome is an example: the decision's shared line, a line for each candidate, and the reward of
the one that was shown. Censored outcomes teach nothing. Held-out decisions teach like any other:
they are the least biased examples there are.

Rewards come early, and that there was none is known only when the window ends: of what is on its
way, just the rewards would be learned, and most of variants shown most of late. So where a decision
is worth nothing until a reward closes it, it is learned as that when it is shown (``show``), and
its reward when it comes.
"""

from __future__ import annotations

from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.features import shared_line
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.logged import LoggedCandidates
from bandit_service.policy.model import Model, open_model
from bandit_service.policy.settings import SiteSettings


class Trainer:
    """A model and how many outcomes it has learned from. Call ``close`` when done."""

    def __init__(
        self,
        settings: SiteSettings,
        history: CatalogHistory,
        *,
        model: bytes | Model | None = None,
        outcomes: int = 0,
    ) -> None:
        """A trainer with a new model, or with one that was saved after ``outcomes`` outcomes.

        A model that is open already is used as it is, and closed with the trainer.
        """
        self.outcomes = outcomes
        self.lessons = 0
        """How often this trainer's model was told something: of what was shown, and of outcomes."""
        if model is None or isinstance(model, bytes):
            model = open_model(settings.policy, model)
        self._model: Model = model
        self._at_once = settings.rewards.nothing_until_rewarded
        self._candidates = LoggedCandidates(history)

    def show(self, decision: Decision, shared: str | None = None) -> None:
        """Learn that a unit was opened by a decision, where that is worth nothing so far."""
        if self._at_once:
            lines = self._candidates.of(decision)
            if lines is not None:
                self._model.show(shared or _shared(decision), lines, decision.chosen)
                self.lessons += 1

    def learn(self, outcome: Outcome, shared: str | None = None) -> bool:
        """Learn from an outcome; False if it teaches nothing or its candidates are unknown.

        ``shared`` is the decision's shared line, if the caller has it already.
        """
        decision, model = outcome.decision, self._model
        lines = self._candidates.of(decision)
        if lines is None:
            return False
        shared = shared or _shared(decision)
        self.lessons += 1
        if outcome.kind == "censored":
            if self._at_once:
                model.unshow(shared, lines, decision.chosen)
            return False
        if not self._at_once:
            model.show(shared, lines, decision.chosen)
        model.learn(
            Lesson(
                shared,
                lines,
                decision.chosen,
                outcome.reward,
                decision.probabilities,
                at=decision.at,
            )
        )
        self.outcomes += 1
        return True

    def save(self) -> bytes:
        """The model as bytes."""
        return self._model.save()

    def close(self) -> None:
        """Free the model."""
        self._model.close()


def _shared(decision: Decision) -> str:
    return shared_line(decision.persona, decision.traits, decision.context)
