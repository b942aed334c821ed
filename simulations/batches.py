"""Many simulated logs at once, as the batches, sums and sequences that the package has of one.

Sums are of float64 instead of exact, which changes nothing that an interval could show.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Vocabulary, Whole, mixed
from bandit_service.evaluation.folds.estimates import GROUPS
from bandit_service.evaluation.folds.ratio import Ratio, Sums
from bandit_service.evaluation.intervals.sequence import (
    COLUMNS,
    EDGES,
    Bounds,
    SequenceSums,
    bounds,
    classes,
    columns,
)
from bandit_service.evaluation.terms import Terms
from simulations.worlds import ARMS, PERSONAS, Logs

CHECK_ROWS: Final = 10
"""Rows between two looks at the confidence sequence."""
FOLDS: Final = 5
"""Of the cross-fitted model of rewards."""


def batch_of(logs: Logs, rng: np.random.Generator) -> Batch:
    """All rows of several logs as one batch, log after log; ``ms`` counts the rows of a log."""
    count, n = logs.chosen.shape
    rows = count * n
    return Batch(
        names=Vocabulary(),
        places=[""] * rows,
        key=rng.integers(0, 2**63, rows).astype(np.uint64),
        cluster=logs.visitor.ravel().astype(np.uint64),
        ms=np.tile(np.arange(n, dtype=np.int64), count),
        placement=np.zeros(rows, np.int64),
        persona=logs.persona.ravel(),
        offsets=np.arange(rows + 1, dtype=np.int64) * ARMS,
        arms=np.tile(np.arange(ARMS, dtype=np.int64), rows),
        logged=logs.logged.ravel(),
        chosen=logs.chosen.ravel(),
        propensity=np.take_along_axis(logs.logged, logs.chosen[..., None], axis=2).ravel(),
        reward=logs.reward.ravel(),
        asked=[None] * rows,
    )


def predictions(logs: Logs, batch: Batch, *, blind: bool) -> Floats:
    """What a model of rewards expects of every candidate.

    It is the mean of what the arm earned with the persona in the same log, among visitors of other
    folds: the package's reward model in short, for many logs at once.

    Args:
        logs: the logs.
        batch: their rows.
        blind: whether the model cannot tell personas apart.
    """
    count, n = logs.chosen.shape
    persona = np.zeros_like(batch.persona) if blind else batch.persona
    fold = (mixed(batch.cluster) % np.uint64(FOLDS)).astype(np.int64)
    kind = np.repeat(np.arange(count), n) * PERSONAS + persona
    cell = (kind * ARMS + batch.chosen) * FOLDS + fold
    size = count * PERSONAS * ARMS * FOLDS
    shape = (count * PERSONAS, ARMS, FOLDS)
    rows = np.bincount(cell, minlength=size).reshape(shape)
    earned = np.bincount(cell, batch.reward, size).reshape(shape)
    others, gain = (table.sum(axis=2, keepdims=True) - table for table in (rows, earned))
    overall = gain.sum(axis=1, keepdims=True) / np.maximum(others.sum(axis=1, keepdims=True), 1)
    table: Floats = (gain + overall) / (others + 1.0)
    return table[kind, :, fold].ravel()


def ratios_of(logs: Logs, num: Floats, den: Floats, weight: Floats) -> list[Ratio]:
    """The sums of each log, as ``EstimateFold`` has them."""
    count, n = logs.chosen.shape
    group = (mixed(logs.visitor.astype(np.uint64).ravel()) % np.uint64(GROUPS)).astype(np.int64)
    group += np.repeat(np.arange(count) * GROUPS, n)
    by_group = [
        np.bincount(group, values, count * GROUPS).reshape(count, GROUPS)
        for values in (np.ones(len(num)), num, den)
    ]
    by_log = np.stack([num, den, num * num, num * den, den * den, weight, weight * weight])
    sums = by_log.reshape(7, count, n).sum(axis=2).T.tolist()
    largest = weight.reshape(count, n).max(axis=1).tolist()
    clusters = len(np.unique(logs.visitor)) < logs.visitor.size
    return [
        Ratio(
            sums=Sums(n, *sums[log][:5]),
            weight=sums[log][5],
            weight2=sums[log][6],
            max_weight=largest[log],
            group_n=by_group[0][log].astype(np.int64),
            group_num=by_group[1][log],
            group_den=by_group[2][log],
            clusters=clusters,
        )
        for log in range(count)
    ]


def sequences_of(
    logs: Logs, terms: Terms, reward_range: tuple[float, float], confidence: float
) -> list[Bounds]:
    """The confidence sequence of each log."""
    count, n = logs.chosen.shape
    blocks = -(-n // CHECK_ROWS)
    log = np.repeat(np.arange(count), n)
    cell = (log * blocks + terms.ms // CHECK_ROWS) * len(EDGES) + classes(terms)
    size = count * blocks * len(EDGES)
    sums = np.stack([np.bincount(cell, values, size) for values in columns(terms)], axis=1)
    table = sums.reshape(count, blocks, len(EDGES), COLUMNS)
    starts: Whole = np.arange(blocks, dtype=np.int64) * CHECK_ROWS
    return [
        bounds(SequenceSums(starts, table[log]), reward_range, confidence) for log in range(count)
    ]
