"""Sums as if so many units had been shown and rewarded, each with the same probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bandit_service.reporting.columns import (
    ASKED,
    R2,
    REWARDED,
    SHOWN,
    SPREAD,
    TOP,
    W2,
    W2R,
    W2R2,
    WIDTH,
    WR,
    N,
    R,
    W,
    counts,
    halves,
)
from bandit_service.reporting.lineups import Lineup
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.stored import FORMAT, StoredSums
from bandit_service.reporting.tables import Scale, Table

CLICKS = Scale(0.0, 1.0)


class Shown(NamedTuple):
    """Units that were shown one variant, half of them on either half of the visitors."""

    n: int
    clicks: float
    p: float = 0.5
    """With which probability each was drawn."""


def row(*parts: Shown, half: int | None = None, holdout: bool = False) -> Floats:
    """WIDTH sums; of one half of the visitors, or of both alike."""
    found = np.zeros(WIDTH)
    count, each = counts(found)[int(holdout)], halves(found)
    for n, clicks, p in parts:
        w = 1.0 / p
        count[[SHOWN, REWARDED, N, R, R2]] += [n, clicks, n, clicks, clicks]
        for number in (0, 1) if half is None else (half,):
            part = 0.5 if half is None else 1.0
            sums = each[number]
            sums[[W, WR, W2]] += [part * n * w, part * clicks * w, part * n * w * w]
            sums[[W2R, W2R2]] += part * clicks * w * w
            sums[[ASKED, SPREAD]] += [part * n * w, part * n * w * w]
            sums[TOP] = max(sums[TOP], w)
    return found


def table(cells: Mapping[str, Mapping[str, Shown]], scale: Scale = CLICKS) -> Table:
    """Variants by persona."""
    personas = list(dict.fromkeys(p for by_persona in cells.values() for p in by_persona))
    rows = np.zeros((len(cells), len(personas), WIDTH))
    for number, by_persona in enumerate(cells.values()):
        for persona, shown in by_persona.items():
            rows[number, personas.index(persona)] = row(shown)
    return Table([f"{arm}@1" for arm in cells], personas, rows, scale)


def stored(found: Table, *, live: Sequence[str] | None = None, last: int = 0) -> StoredSums:
    """The table as the store has it, all of one line-up."""
    arms, personas = len(found.arms), len(found.personas)
    keys = [(1, arm, persona) for arm in range(arms) for persona in range(personas)]
    lineup = tuple(sorted(found.arms if live is None else live))
    return StoredSums(
        format=FORMAT,
        arms=list(found.arms),
        personas=list(found.personas),
        seen=[last] * personas,
        lineups=[Lineup(1, lineup)],
        keys=np.array(keys, "<u4").tobytes(),
        rows=found.rows.reshape(-1, WIDTH).tobytes(),
        least=found.scale.least,
        most=found.scale.most,
        first=0,
        last=last,
    )
