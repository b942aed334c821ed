"""A unit between its opening and its settling: what could have been shown, and what was."""

from __future__ import annotations

import msgspec


class Candidates(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a unit could have shown, and to whom: numbers of its placement."""

    lineup: int
    persona: int
    arms: tuple[int, ...]


class Unit(msgspec.Struct, array_like=True, gc=False):
    """A unit that is not settled yet."""

    id: str
    """Of the decision that opened it."""
    candidates: Candidates
    probabilities: list[float]
    """Of the candidates."""
    chosen: int
    """Which of them was shown."""
    holdout: bool
    half: int
    """The half of the visitors that it is of, 0 or 1."""
    at: int
    """When it was opened, in ms."""
    views: int = 0
    """0 while it is open, and if nobody saw it."""
    reward: float = 0.0
    closed: bool = False

    @property
    def arm(self) -> int:
        """The variant that was shown."""
        return self.candidates.arms[self.chosen]
