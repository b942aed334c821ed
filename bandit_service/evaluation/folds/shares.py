"""How much of the traffic a target gives to each arm, by placement and persona, against the log.

Memory is that of the combinations of placement, persona and arm that occur.
"""

from __future__ import annotations

import msgspec
import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Whole
from bandit_service.evaluation.folds.cells import Cells, cells_of
from bandit_service.evaluation.folds.keyed_sums import KeyedSums
from bandit_service.evaluation.results import Share

Cell = tuple[str, str, str]
"""Placement, persona and arm."""


class SharesFold:
    """Rows by placement and persona, and what was shown, earned and wanted there by arm."""

    def __init__(self) -> None:
        self._rows: KeyedSums[tuple[str, str]] = KeyedSums()
        self._shown: KeyedSums[Cell] = KeyedSums("reward")
        self._wanted: KeyedSums[Cell] = KeyedSums("probability", of="the policy")

    def add(self, batch: Batch, target_probabilities: Floats) -> None:
        """Add rows.

        Args:
            batch: n rows, each with what was shown among its m candidates in all.
            target_probabilities: m probabilities of the target.

        Raises:
            EvaluationError: if a reward or probability is not a finite number.
        """
        names = batch.names
        placements, personas = len(names.placements), len(names.personas)
        pairs = cells_of((batch.placement, placements), (batch.persona, personas))
        place, persona = pairs.codes
        keys = [*zip(names.placements.named(place), names.personas.named(persona), strict=True)]
        self._rows.add(keys, pairs.group, len(batch), {})
        shown = _cells(batch, pairs, np.arange(len(batch)), batch.shown)
        self._shown.add(*shown, len(batch), {"reward": batch.reward})
        wanted = _cells(batch, pairs, batch.rows, np.arange(len(batch.arms)))
        self._wanted.add(*wanted, len(batch.arms), {"probability": target_probabilities})

    def __add__(self, other: SharesFold) -> SharesFold:
        """The fold of the rows of both."""
        merged = SharesFold()
        merged._rows = self._rows + other._rows
        merged._shown = self._shown + other._shown
        merged._wanted = self._wanted + other._wanted
        return merged

    def get(self) -> list[Share]:
        """Every arm that was a candidate for a persona on a placement, in order of these names."""
        rows, shown, wanted = self._rows.get(), self._shown.get(), self._wanted.get()
        of_pair = dict(zip(rows.keys, rows.n.tolist(), strict=True))
        earned = dict(zip(shown.keys, shown.columns["reward"].tolist(), strict=True))
        times = dict(zip(shown.keys, shown.n.tolist(), strict=True))
        return [
            Share(
                placement=key[0],
                persona=key[1],
                arm=key[2],
                n=times.get(key, 0),
                logged=times.get(key, 0) / of_pair[key[:2]],
                target=mass / of_pair[key[:2]],
                reward=earned[key] / times[key] if key in times else None,
            )
            for key, mass in zip(wanted.keys, wanted.columns["probability"].tolist(), strict=True)
        ]

    def encode(self) -> bytes:
        """All of it as bytes, equal exactly if what was summed up is."""
        parts = (self._rows, self._shown, self._wanted)
        return msgspec.msgpack.encode([part.encode() for part in parts])


def _cells(batch: Batch, pairs: Cells, rows: Whole, candidates: Whole) -> tuple[list[Cell], Whole]:
    """The cells of some candidates, and which each is in; ``rows`` are the rows that they are of.

    ``pairs`` are placements and personas, by row.
    """
    names = batch.names
    of_pairs = (pairs.group[rows], len(pairs.codes[0]))
    (pair, arm), group = cells_of(of_pairs, (batch.arms[candidates], len(names.arms)))
    place, persona = (codes[pair] for codes in pairs.codes)
    keys = zip(
        names.placements.named(place),
        names.personas.named(persona),
        names.arms.named(arm),
        strict=True,
    )
    return [*keys], group
