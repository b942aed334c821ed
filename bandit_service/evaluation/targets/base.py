"""What a policy to be evaluated is."""

from __future__ import annotations

from typing import Final, Protocol

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.logs.base import Taken

MAX_KEPT: Final = 50_000
"""Answers that a target keeps for rows with the same placement and candidates."""
MAX_KEPT_BYTES: Final = 64 * 1_048_576
"""How much they may take together: which candidates are excluded comes from requests."""


class Target(Protocol):
    """A policy. One instance reads one log, in log order; call ``close`` when done."""

    name: str
    """As the user wrote it."""
    words: str
    """What it is, in a sentence that a marketer can follow."""
    learns: bool
    """Whether its probabilities depend on the rows before, so that order matters and the log cannot
    be read in parts."""
    as_logged: int
    """Rows so far of which it says nothing, and which it left to the log's own policy (weight 1). A
    result must show it; where it is all rows, the target says nothing about this log."""

    def watch(self, taken: Taken) -> None:
        """See the next entry of a log that has entries, before any batch that it closes rows of.

        A row's probabilities are those at the moment of its decision, which is long before it
        closes: targets that learn work them out here.
        """

    def probabilities(self, batch: Batch) -> Floats:
        """m: the probability of each candidate of the next batch; those of a row sum to 1.

        In rows left to a log that says the propensity alone, the others are NaN.

        Raises:
            EvaluationError: if a row cannot be answered, saying which and why.
        """

    def close(self) -> None:
        """Free what it holds."""


class Still:
    """The part of a target that is the same for all that learn nothing."""

    learns = False

    def __init__(self, name: str, words: str) -> None:
        """A target of these words."""
        self.name = name
        self.words = words
        self.as_logged = 0

    def watch(self, taken: Taken) -> None:
        """Nothing: a row is answered by itself."""

    def close(self) -> None:
        """Nothing: it holds nothing."""
