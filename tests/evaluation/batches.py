"""Batches to test with: drawn from a seed, or written out row by row.

Both are consistent, as ``verify`` wants them: the probabilities of a row sum to 1 and are above 0,
the propensity is the one logged for what was shown, a visitor has one cluster, and times rise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Vocabulary, Whole, hash_of

START_MS: Final = 1_900_000_000_000
"""When the first row was decided, in ms since the epoch."""
SECOND_MS: Final = 1_000


class Row(NamedTuple):
    """One decision: the probability of each candidate, which was shown, and what it earned."""

    logged: Mapping[str, float]
    shown: str
    reward: float = 0.0
    placement: str = "film"
    persona: str = "unknown"
    visitor: str | None = None
    ms: int | None = None
    """None: a second after the row before."""


def batch_of(rows: Sequence[Row], *, names: Vocabulary | None = None, first: int = 0) -> Batch:
    """A batch of just these rows; ``first`` is the number of the first in its log.

    A row whose ``shown`` is not among its candidates has ``chosen`` -1 and no propensity.
    """
    names = names or Vocabulary()
    chosen = [[*row.logged].index(row.shown) if row.shown in row.logged else -1 for row in rows]
    keys = [hash_of(f"row {first + n}") for n in range(len(rows))]
    clusters = [
        key if row.visitor is None else hash_of(f"visitor {row.visitor}")
        for key, row in zip(keys, rows, strict=True)
    ]
    ms = [
        START_MS + (first + n) * SECOND_MS if row.ms is None else row.ms
        for n, row in enumerate(rows)
    ]
    return Batch(
        names=names,
        places=[f"test:{first + n + 1}" for n in range(len(rows))],
        key=np.array(keys, np.uint64),
        cluster=np.array(clusters, np.uint64),
        ms=np.array(ms, np.int64),
        placement=names.placements.codes(row.placement for row in rows),
        persona=names.personas.codes(row.persona for row in rows),
        offsets=np.cumsum([0, *(len(row.logged) for row in rows)], dtype=np.int64),
        arms=names.arms.codes(arm for row in rows for arm in row.logged),
        logged=np.array([p for row in rows for p in row.logged.values()], np.float64),
        chosen=np.array(chosen, np.int64),
        propensity=np.array([row.logged.get(row.shown, np.nan) for row in rows], np.float64),
        reward=np.array([row.reward for row in rows], np.float64),
        asked=[None] * len(rows),
    )


def a_batch(
    n: int = 200,
    *,
    seed: int = 1,
    arms: int = 4,
    fewest: int | None = None,
    placements: int = 2,
    personas: int = 3,
    visitors: int | None = None,
    uniform: bool = False,
    distributions: bool = True,
    click_rate: float | None = 0.2,
    names: Vocabulary | None = None,
    first: int = 0,
) -> Batch:
    """n rows drawn from a seed: each placement has arms of its own, some clicked more than others.

    Args:
        n: How many rows; 0 gives an empty batch.
        seed: The same seed gives the same batch.
        arms: How many candidates a row has at most.
        fewest: How many it has at least; None: as many as ``arms``, so that all have the same.
        placements: How many placements there are.
        personas: How many personas there are.
        visitors: How many visitors the rows are of; None: none is known, each row is its own
            cluster.
        uniform: Whether the log chose uniformly; otherwise by probabilities drawn for each row.
        distributions: Whether the log says the probability of every candidate; otherwise that of
            what was shown alone.
        click_rate: Mean reward of a log of clicks (0 or 1); None: normal rewards about 0.
        names: The vocabulary of a reading that this batch is part of.
        first: The number of the first row in its log, for keys, places and times.
    """
    rng = np.random.default_rng([seed, first])
    names = names or Vocabulary()
    counts = rng.integers(arms if fewest is None else fewest, arms, n, endpoint=True)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    menu = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    place = rng.integers(0, placements, n)
    logged = _probabilities(rng, offsets, counts, uniform=uniform)
    chosen = _drawn(rng, offsets, logged)
    merit = np.random.default_rng(seed).uniform(0.2, 1.8, (placements, arms))[place, chosen]
    earned = _earned(rng, merit, click_rate)
    keys = np.array([hash_of(f"row {first + i}") for i in range(n)], np.uint64)
    who = rng.integers(0, visitors or 1, n)
    visitor = np.array([hash_of(f"visitor {v}") for v in range(visitors or 0)], np.uint64)
    place_codes = names.placements.codes(f"p{p}" for p in range(placements))
    persona_codes = names.personas.codes(f"persona{p}" for p in range(personas))
    arm_codes = names.arms.codes(f"p{p}a{a}@1" for p in range(placements) for a in range(arms))
    batch = Batch(
        names=names,
        places=[f"test:{first + i + 1}" for i in range(n)],
        key=keys,
        cluster=visitor[who] if visitors else keys,
        ms=START_MS + (first + np.arange(n, dtype=np.int64)) * SECOND_MS,
        placement=place_codes[place],
        persona=persona_codes[rng.integers(0, personas, n)],
        offsets=offsets,
        arms=arm_codes.reshape(placements, arms)[np.repeat(place, counts), menu],
        logged=logged,
        chosen=chosen,
        propensity=logged[offsets[:-1] + chosen],
        reward=earned,
        asked=[None] * n,
    )
    return batch if distributions else without_distributions(batch)


def a_target(batch: Batch, *, seed: int = 1, skew: float = 2.0) -> Floats:
    """m probabilities of some policy, each above 0, a row's summing to 1; it prefers some arms."""
    liked = np.random.default_rng(seed).uniform(0.0, 1.0, max(len(batch.names.arms), 1)) ** skew
    raw = 0.05 + liked[batch.arms]
    return raw / np.repeat(batch.row_sums(raw), batch.counts)


def changed(batch: Batch, **fields: Any) -> Batch:
    """The batch with some columns replaced, to break it on purpose."""
    return replace(batch, **fields)


def without_distributions(batch: Batch) -> Batch:
    """The batch as of a log that says the probability of what was shown alone."""
    known = np.full(len(batch.logged), np.nan)
    known[batch.shown] = batch.propensity
    return replace(batch, logged=known)


def cut(batch: Batch, *, at: Sequence[int]) -> list[Batch]:
    """The batch in parts that begin at these rows."""
    edges = [0, *at, len(batch)]
    return [batch.take(np.arange(low, high, dtype=np.int64)) for low, high in pairwise(edges)]


def _probabilities(
    rng: np.random.Generator, offsets: Whole, counts: Whole, *, uniform: bool
) -> Floats:
    if uniform:
        return np.repeat(1.0 / counts, counts)
    raw = rng.uniform(0.05, 1.0, int(offsets[-1]))
    sums = np.add.reduceat(raw, offsets[:-1]) if len(counts) else np.zeros(0)
    probabilities: Floats = raw / np.repeat(sums, counts)
    return probabilities


def _drawn(rng: np.random.Generator, offsets: Whole, logged: Floats) -> Whole:
    """What was shown: the winner of a race of exponential clocks, so drawn as logged."""
    clocks = rng.exponential(size=len(logged)) / logged
    return np.array(
        [int(np.argmin(clocks[low:high])) for low, high in pairwise(offsets.tolist())],
        np.int64,
    )


def _earned(rng: np.random.Generator, merit: Floats, click_rate: float | None) -> Floats:
    if click_rate is None:
        return rng.normal(merit - 1.0, 1.0)
    return (rng.uniform(0.0, 1.0, len(merit)) < click_rate * merit).astype(np.float64)
