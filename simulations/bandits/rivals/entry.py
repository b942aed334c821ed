"""What a table of policies says of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from simulations.bandits.base import Player, World

Make = Callable[[World, int], Player]
"""From a world and a seed to a player of that world; it must not go through the world's batches."""


class Rival(NamedTuple):
    """A policy by name."""

    words: str
    """What it is, in one sentence, with its settings and where they come from."""
    make: Make
    package: str = ""
    """What to install for it, as pip names it; empty: nothing."""
    module: str = ""
    """What that package is imported as."""
