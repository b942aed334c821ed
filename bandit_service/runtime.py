"""What a process takes from its surroundings: the time, and how its interpreter is set up."""

from __future__ import annotations

import gc
import time
from typing import Final

COLLECT_AFTER: Final = 50_000
"""New containers, net, after which the garbage collector looks for cycles; Python's own is 2,000
at most. A request or an outcome makes dozens, none of them in a cycle."""


def spare_the_collector() -> None:
    """Leave what the program is made of out of garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)


def now_ms() -> int:
    """The wall clock, in ms since the Unix epoch."""
    return time.time_ns() // 1_000_000
