"""The policy of a snapshot: what serving would have answered with it, by the code that serves."""

from __future__ import annotations

from array import array

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.targets.base import Still
from bandit_service.evaluation.targets.logged import left_as_logged
from bandit_service.policy.chooser import Chooser
from bandit_service.policy.snapshot import Snapshot


class OfSnapshot(Still):
    """A snapshot that stays as it is: its model, with its settings' floors, shares and holdout.

    Rows whose candidates the log does not describe are left to the log's own policy.
    """

    def __init__(self, name: str, snapshot: Snapshot, *, holdout: bool = True) -> None:
        """``holdout``: whether its share of uniform draws is part of the policy.

        Raises:
            SnapshotError: if the model cannot be loaded.
        """
        without = "" if holdout else ", without its holdout"
        words = f"The model of {snapshot.position}, learning nothing more{without}."
        super().__init__(name, words)
        self._chooser = Chooser(snapshot)
        self._holdout = holdout

    def probabilities(self, batch: Batch) -> Floats:
        """What the snapshot's ``Chooser`` says of each row."""
        found = array("d")
        unknown = np.zeros(len(batch), np.bool_)
        for row in range(len(batch)):
            asked = batch.asked[row]
            if asked is None:
                unknown[row] = True
                found.extend([0.0] * int(batch.counts[row]))
            else:
                given = self._chooser.distribution(asked.candidates, asked.shared)
                found.extend(given.overall if self._holdout else given.learned)
        self.as_logged += int(np.count_nonzero(unknown))
        return left_as_logged(batch, np.array(found), unknown)

    def close(self) -> None:
        """Free the model."""
        self._chooser.close()
