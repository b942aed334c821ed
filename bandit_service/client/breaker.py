"""The breaker: a service that keeps failing is not asked for a while, so that it costs nothing.

It looks at the last LOOKED_AT calls. When FAILURES of them failed, calls are refused for a rest of
FIRST_REST seconds; then one call is let through to see. If it fails too, the next rest is twice as
long, up to LONGEST_REST; if it is answered, all calls are let through again. A look that is never
heard of again ends with its rest. Rests are up to a third shorter by chance, so that the processes
of a website do not all look at one moment.

A share of failures, rather than failures in a row: a service that answers every other call would
otherwise keep half of the visitors waiting for ever. What was let through before a rest began says
nothing after it.

``storage.breaker`` is another thing: it waits for a watcher to find Redis well. Here nobody
watches; the traffic itself has to look.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

LOOKED_AT: Final = 10
"""How many of the last calls are looked at."""
FAILURES: Final = 5
"""How many of them must have failed."""
FIRST_REST: Final = 1.0
LONGEST_REST: Final = 10.0
"""How long calls are refused, in seconds."""
LONGEST_TOLD: Final = 60.0
"""How long the service is believed when it says when to come again, in seconds."""


class Breaker:
    """Whether to ask; for all threads of a process."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``clock`` gives seconds, ``chance`` numbers from 0 to 1."""
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._failed: deque[bool] = deque(maxlen=LOOKED_AT)
        self._turn = 0
        self._rest = 0.0
        self._until = 0.0

    @property
    def rest(self) -> float:
        """How long the present rest still lasts, in seconds; 0 if calls are let through."""
        return max(0.0, self._until - self._clock())

    def admit(self) -> int | None:
        """Whether a call may be made: a number to report it with, or None."""
        if not self._rest:
            return self._turn
        with self._lock:
            if self._clock() < self._until:
                return None
            self._until = self._clock() + self._rest  # until this one is back, nobody else looks
            return self._turn

    def succeeded(self, turn: int) -> bool:
        """A call was answered. Whether this ended a rest."""
        if not self._rest:
            self._failed.append(False)
            return False
        with self._lock:
            if turn != self._turn:
                return False
            self._rest = self._until = 0.0
            self._failed.clear()
            return True

    def failed(self, turn: int, *, told: float = 0.0) -> bool:
        """A call was not. Whether this began the first of some rests.

        ``told`` is how many seconds the service said to stay away, if it did.
        """
        with self._lock:
            if turn != self._turn:
                return False
            self._failed.append(True)
            if not (self._rest or told or sum(self._failed) >= FAILURES):
                return False
            first = not self._rest
            self._turn += 1
            self._rest = min(max(FIRST_REST, 2 * self._rest), LONGEST_REST)
            shortened = self._rest * (1 - self._chance() / 3)
            self._until = self._clock() + (min(told, LONGEST_TOLD) or shortened)
            return first
