"""A policy that learns as it goes, scored progressively: predict, score, then learn.

On a log with entries it is ``replay.Replay``: predictions are made at the decisions, and an outcome
is learned when it closes, as live. On any other log there is no telling when a reward was known: a
row is predicted, then learned from at once.

Nothing it does changes what the log shows next, and it learns from what the log's policy chose to
show: this is how well it predicts from this log's lessons, not what it would have explored.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.batch import Batch, Floats, Mask
from bandit_service.evaluation.logs.base import Taken
from bandit_service.evaluation.targets.logged import left_as_logged
from bandit_service.evaluation.targets.replay import Replay, blind_settings
from bandit_service.policy.settings import PolicySettings, SiteSettings


class Learning:
    """A policy of these settings, which has learned nothing when the log begins.

    Rows whose candidates the log does not describe are left to the log's own policy, and teach
    nothing.
    """

    learns = True

    def __init__(
        self,
        name: str,
        settings: SiteSettings,
        *,
        evaluated: SiteSettings,
        blind: bool = False,
        others: Sequence[PolicySettings] = (),
    ) -> None:
        """``evaluated`` are the settings of the evaluation; for ``others`` see ``spread``.

        ``blind``: hide the visitor's persona and traits, of what is predicted and learned alike.
        The context stays: it is the situation, and what this visitor saw of this placement.
        """
        self.name = name
        self.words = "The service, learning from this log from its beginning" + (
            ", without knowing who visits." if blind else "."
        )
        self.as_logged = 0
        self._blind = blind
        self._watched = False
        self._policies = 1 + len(others)
        self._replay = Replay(
            blind_settings(settings) if blind else settings,
            evaluated=evaluated,
            blind=blind,
            others=others,
        )

    @property
    def outcomes(self) -> int:
        """How many outcomes it has learned from."""
        return self._replay.outcomes

    def watch(self, taken: Taken) -> None:
        """Predict at a decision; learn what the entry closed."""
        self._watched = True
        self._replay.apply(taken)

    def probabilities(self, batch: Batch) -> Floats:
        """What it predicted of each row when it was decided.

        Raises:
            EvaluationError: if a row was not seen being decided.
        """
        return self.spread(batch)[0]

    def spread(self, batch: Batch) -> list[Floats]:
        """The same, then m probabilities of each of the others that explore otherwise.

        One model answers for all: what it learns does not depend on how greedily it is followed.

        Raises:
            EvaluationError: as of ``probabilities``.
        """
        unknown = np.zeros(len(batch), np.bool_)
        predict = self._remembered if self._watched else self._progressive
        found = predict(batch, unknown)
        self.as_logged += int(np.count_nonzero(unknown))
        return [left_as_logged(batch, one, unknown) for one in self._apart(batch, np.array(found))]

    def _apart(self, batch: Batch, found: Floats) -> list[Floats]:
        """The m probabilities of each policy, from those of all policies for row after row."""
        if self._policies == 1:
            return [found]
        starts = np.repeat(batch.offsets[:-1] * self._policies, batch.counts)
        within = np.arange(len(batch.arms)) - np.repeat(batch.offsets[:-1], batch.counts)
        counts = np.repeat(batch.counts, batch.counts)
        return [found[starts + n * counts + within] for n in range(self._policies)]

    def model(self) -> bytes:
        """The model as it stands."""
        return self._replay.model()

    def close(self) -> None:
        """Free the model."""
        self._replay.close()

    def _remembered(self, batch: Batch, unknown: Mask) -> array[float]:
        found = array("d")
        counts = batch.counts.tolist()
        for row, key in enumerate(batch.key.tolist()):
            try:
                predicted = self._replay.take(key)
            except KeyError:
                raise _unseen(batch.places[row]) from None
            if predicted is None:
                unknown[row] = True
                predicted = array("d", bytes(8 * counts[row] * self._policies))
            found.extend(predicted)
        return found

    def _progressive(self, batch: Batch, unknown: Mask) -> array[float]:
        found = array("d")
        counts, chosen, rewards = (
            batch.counts.tolist(),
            batch.chosen.tolist(),
            batch.reward.tolist(),
        )
        for row, asked in enumerate(batch.asked):
            if asked is None:
                unknown[row] = True
                found.extend(array("d", bytes(8 * counts[row] * self._policies)))
            else:
                found.extend(self._replay.score(asked, chosen[row], rewards[row]))
        return found


def _unseen(place: str) -> EvaluationError:
    return EvaluationError(
        f"row {place}: a policy that learns has not seen its decision, or too many others since",
        hint="evaluate it on the whole log, in order, from its beginning",
    )
