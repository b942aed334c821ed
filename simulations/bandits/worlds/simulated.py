"""The worlds that make their own visitors, and those that are made of what others bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulations.bandits.worlds import catalogue, described, drift, multiclass, visitors
from simulations.bandits.worlds.entry import Entry

ENTRIES: Final[Mapping[str, Entry]] = {
    "catalogue": catalogue.ENTRY,
    "drift": drift.ENTRY,
    "visitors": visitors.ENTRY,
    "multiclass": multiclass.ENTRY,
    "file": described.ENTRY,
}
