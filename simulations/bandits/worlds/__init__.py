"""Worlds, by name: ``newsroom:2000``, ``personas:0.3:10000``; see ``--list``.

A name is followed by parameters, with colons between. Whoever adds a world adds a module with a
table of entries and names it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bandit_service.errors import InvalidInput
from simulations.bandits.base import World
from simulations.bandits.worlds import simulated, tables
from simulations.bandits.worlds.entry import Entry, Setup

__all__ = ["WORLDS", "Entry", "Setup", "entry", "world"]

WORLDS: Final[Mapping[str, Entry]] = {**tables.ENTRIES, **simulated.ENTRIES}
"""Every world, or family of worlds, by the first part of its name."""


def entry(name: str) -> Entry:
    """What the table says of a world.

    Raises:
        InvalidInput: if there is none of that name.
    """
    found = WORLDS.get(name.partition(":")[0])
    if found is None:
        raise InvalidInput(
            f"there is no world {name[:80]!r}",
            field="worlds",
            hint="known are " + ", ".join(entry.form for entry in WORLDS.values()),
        )
    return found


def world(name: str, setup: Setup) -> World:
    """The world of a name, such as ``newsroom:2000``.

    Raises:
        InvalidInput: if there is none, its parameters cannot be used, or its data is missing.
    """
    return entry(name).make(name, name.split(":")[1:], setup)
