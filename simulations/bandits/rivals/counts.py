"""What each variant earned, by persona: all that many policies need to know."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulations.bandits.base import Batch, Floats, Spot, Whole


class Counted(NamedTuple):
    """Of the K live variants of a placement, by P personas."""

    clicks: Floats
    """P x K"""
    misses: Floats
    """P x K: outcomes without a reward."""


class Counts:
    """Outcomes of every variant, kept when it is no longer live.

    A variant is known by its placement and its id: the same id elsewhere is another variant.
    """

    def __init__(self, personas: int = 1) -> None:
        """``personas``: P; with 1 all visitors are alike."""
        self._personas = personas
        self._places: dict[tuple[str, str], int] = {}
        self._table: Floats = np.zeros((64, personas, 2))
        """Variants (more than there are yet) x P x (misses, clicks)."""

    def add(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """Count outcomes, as ``Player.learn`` is told them. A reward is 0 or 1."""
        arms = self._arms(batch.spot)[chosen]
        persona = batch.persona[rows] if self._personas > 1 else np.zeros_like(rows)
        np.add.at(self._table, (arms, persona, rewards.astype(np.int64)), 1.0)

    def of(self, spot: Spot) -> Counted:
        """The live variants' outcomes."""
        arms = self._arms(spot)  # first: it may have to make room in the table
        table = self._table[arms]
        return Counted(clicks=table[:, :, 1].T, misses=table[:, :, 0].T)

    def everywhere(self) -> Counted:
        """1 x every variant there ever was: outcomes, whatever the persona."""
        table = self._table[: len(self._places)].sum(axis=1)
        return Counted(clicks=table[None, :, 1], misses=table[None, :, 0])

    def _arms(self, spot: Spot) -> Whole:
        found = [self._place((spot.id, arm.id)) for arm in spot.arms]
        return np.array(found, dtype=np.int64)

    def _place(self, key: tuple[str, str]) -> int:
        place = self._places.setdefault(key, len(self._places))
        if place >= len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        return place
