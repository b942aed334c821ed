"""What a policy to be evaluated is."""

from __future__ import annotations

from typing import Protocol

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.events.entries import Entry, Position


class Target(Protocol):
    """A policy. One instance reads one log, in log order; call ``close`` when done."""

    name: str
    """As the user wrote it."""
    words: str
    """What it is, in a sentence that a marketer can follow."""
    learns: bool
    """Whether its probabilities depend on the rows before, so that order matters and the log cannot
    be read in parts."""

    def watch(self, position: Position, entry: Entry) -> None:
        """See the next entry of a log that has entries, before any batch that it closes rows of.

        A row's probabilities are those at the moment of its decision, which is long before it
        closes: targets that learn work them out here.
        """

    def probabilities(self, batch: Batch) -> Floats:
        """m: the probability of each candidate of the next batch; those of a row sum to 1.

        Raises:
            EvaluationError: if a row cannot be answered, saying which and why.
        """

    def close(self) -> None:
        """Free what it holds."""
