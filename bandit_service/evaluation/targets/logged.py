"""The log's own policy, and uniform choice: the two that every other is compared with."""

from __future__ import annotations

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Mask
from bandit_service.evaluation.targets.base import Still


class Logged(Still):
    """The policy that made the log: every weight is exactly 1."""

    def __init__(self, name: str) -> None:
        """The policy of whatever log it reads."""
        super().__init__(name, "What was running when this log was made, for comparison.")

    def probabilities(self, batch: Batch) -> Floats:
        """See ``logged_probabilities``."""
        return logged_probabilities(batch)


class Uniform(Still):
    """Every candidate alike, whatever their shares in the catalog."""

    def __init__(self, name: str) -> None:
        """The same for any log."""
        super().__init__(name, "Every variant equally often, for everybody.")

    def probabilities(self, batch: Batch) -> Floats:
        """1 / K for each of the K candidates of a row."""
        return (1.0 / batch.counts)[batch.rows]


def logged_probabilities(batch: Batch) -> Floats:
    """The probabilities with which the log was drawn.

    What was shown has the propensity itself, so that its weight is exactly 1. Where the log says no
    more than that, the others are NaN (see ``terms_of``). Where not even that is known, the row is
    even.
    """
    even = 1.0 / batch.counts
    known = ~np.isnan(batch.row_sums(batch.logged))
    propensity = np.where(batch.chosen >= 0, batch.propensity, np.nan)
    others = np.where(np.isnan(propensity), even, np.nan)
    probabilities = np.where(known[batch.rows], batch.logged, others[batch.rows])
    said = ~np.isnan(propensity)
    probabilities[batch.shown[said]] = propensity[said]
    return probabilities


def left_as_logged(batch: Batch, probabilities: Floats, rows: Mask) -> Floats:
    """``probabilities``, but those of the log in some rows."""
    if not rows.any():
        return probabilities
    return np.where(rows[batch.rows], logged_probabilities(batch), probabilities)
