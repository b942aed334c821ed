"""What is said in the website's own log: each subject at most once in EVERY_SECONDS.

A mistake in a template fails with every visitor; saying so a thousand times a second would be the
outage. What was left unsaid is counted, and the next saying tells how often it was. Standard
``logging``, under ``bandit_service.client``: it is what the website's own process already has.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

EVERY_SECONDS: Final = 60.0
"""How long a subject rests after it was spoken of."""
MAX_SUBJECTS: Final = 1_000
"""Subjects that are remembered; beyond it, all are forgotten."""

log = logging.getLogger("bandit_service.client")


class Notices:
    """The notices of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._spoken: dict[str, tuple[float, int]] = {}

    def say(self, level: int, subject: str, message: str) -> None:
        """Say ``message``, unless the same subject was spoken of just now."""
        unsaid = self._unsaid(subject)
        if unsaid is not None:
            more = f" ({unsaid} times more since it was last said)" if unsaid else ""
            log.log(level, "%s%s", message, more)

    def _unsaid(self, subject: str) -> int | None:
        """How often it was not said since it last was; None if it must not be said now."""
        with self._lock:
            now = self._clock()
            known = self._spoken.get(subject)
            if known is not None and now - known[0] < EVERY_SECONDS:
                self._spoken[subject] = known[0], known[1] + 1
                return None
            if len(self._spoken) >= MAX_SUBJECTS:
                self._spoken.clear()
            self._spoken[subject] = now, 0
            return 0 if known is None else known[1]
