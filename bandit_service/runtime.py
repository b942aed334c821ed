"""How the interpreter of a long-running process is set up."""

from __future__ import annotations

import gc
from typing import Final

COLLECT_AFTER: Final = 50_000
"""New containers, net, after which the garbage collector looks for cycles; Python's own is 2,000
at most. A request or an outcome makes dozens, none of them in a cycle."""


def spare_the_collector() -> None:
    """Leave what the program is made of out of garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)
