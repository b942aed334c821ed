"""How long to wait before trying again: twice as long each time, a random part of it."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """The pauses between the tries of one thing."""

    def __init__(
        self, first: float, longest: float, chance: Callable[[], float] = random.random
    ) -> None:
        """Up to ``first`` seconds at first, up to ``longest`` in the end.

        ``chance`` gives numbers from 0 to 1. The whole pause is drawn rather than a part of it:
        many clients that failed at one moment then spread the widest.
        """
        self._bound = first
        self._longest = longest
        self._chance = chance

    def pause(self, at_least: float | None = None) -> float:
        """The next pause, in seconds, and no shorter than ``at_least``."""
        drawn = self._bound * self._chance()
        self._bound = min(2 * self._bound, self._longest)
        return max(drawn, at_least or 0.0)
