"""What a model learns from: one decision, what it showed, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Lesson(NamedTuple):
    """An outcome, as lines of ``features``."""

    shared: str
    """The shared line of the decision."""
    actions: Sequence[str]
    """K lines, one of each candidate."""
    chosen: int
    """The index of the one that was shown."""
    reward: float
    """What it earned."""
    probabilities: Sequence[float] | None = None
    """K propensities, where the log has them."""
    at: int = 0
    """When it was shown, ms."""
