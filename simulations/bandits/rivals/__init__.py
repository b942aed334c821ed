"""Policies that ours is measured against, by name; see ``--list``.

Whoever adds one adds a module with a table of ``Rival`` entries and names it here. A module must be
importable without the packages that its rivals need: they are imported when a player is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulations.bandits.rivals import (
    beta,
    contextual,
    gittins,
    index,
    mab,
    rollout,
    simple,
    vowpal,
)
from simulations.bandits.rivals.entry import Rival

RIVALS: Final[Mapping[str, Rival]] = {
    **simple.RIVALS,
    **index.RIVALS,
    **rollout.RIVALS,
    **beta.RIVALS,
    **vowpal.RIVALS,
    **gittins.RIVALS,
    **mab.RIVALS,
    **contextual.RIVALS,
}
"""Every rival by its name."""
