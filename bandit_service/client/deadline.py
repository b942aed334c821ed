"""A moment by which something must be over, however many steps it takes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """So many seconds from now, by a clock that never runs backwards."""

    __slots__ = ("_clock", "_end")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left; 0 or less once it has passed."""
        return self._end - self._clock()

    def require(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: if none are.
        """
        left = self.left
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left
