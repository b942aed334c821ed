"""Always one variant."""

from __future__ import annotations

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Mask, Names
from bandit_service.evaluation.targets.base import Still
from bandit_service.evaluation.targets.logged import left_as_logged


def names_arm(wanted: str, arm: str) -> bool:
    """Whether ``wanted`` names an arm: as it is (``h0@1``), or as any version of it (``h0``)."""
    return wanted in (arm, arm.rpartition("@")[0])


class Fixed(Still):
    """One variant wherever it could have been shown; elsewhere, what the log's own policy does.

    So it is a policy of the whole log, and the rows that do not offer the variant, which say
    nothing about it, are counted in ``as_logged``. Where a row offers several versions of it, they
    are shown alike.
    """

    def __init__(self, name: str, variant: str) -> None:
        """``variant`` is an arm, or the id of a variant in all its versions."""
        words = f"Always {variant} where it could be shown; elsewhere what was running."
        super().__init__(name, words)
        self._variant = variant
        self._meant = np.zeros(0, np.bool_)
        """By code: whether it is the variant."""

    def probabilities(self, batch: Batch) -> Floats:
        """1 for the variant, 0 for all others."""
        meant = self._known(batch.names.arms)[batch.arms].astype(np.float64)
        offered = batch.row_sums(meant)
        absent = offered == 0
        self.as_logged += int(np.count_nonzero(absent))
        return left_as_logged(batch, meant / np.maximum(offered, 1.0)[batch.rows], absent)

    def _known(self, arms: Names) -> Mask:
        fresh = arms.texts[len(self._meant) :]
        if fresh:
            meant = np.array([names_arm(self._variant, arm) for arm in fresh])
            self._meant = np.concatenate((self._meant, meant))
        return self._meant
