"""Logs whose draws can be wrong on purpose: contexts, softmax probabilities, and a draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Vocabulary, Whole, hash_of
from tests.evaluation.batches import START_MS

Draw = Callable[[np.random.Generator, Floats], Whole]
"""n x k probabilities to n candidates."""


def as_logged(rng: np.random.Generator, p: Floats) -> Whole:
    """What an honest server does."""
    below = p.cumsum(axis=1) < rng.uniform(size=(len(p), 1))
    drawn: Whole = np.minimum(np.count_nonzero(below, axis=1), p.shape[1] - 1).astype(np.int64)
    return drawn


def the_best(rng: np.random.Generator, p: Floats) -> Whole:
    """What a server does that logs a softmax of its scores and shows the highest."""
    del rng
    best: Whole = p.argmax(axis=1).astype(np.int64)
    return best


def softmax(scores: Floats) -> Floats:
    raw = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Floats = raw / raw.sum(axis=1, keepdims=True)
    return result


def scored(n: int, *, arms: int = 4, contexts: int = 40, seed: int = 1) -> Floats:
    """n x arms probabilities of a softmax whose best arm depends on a context of many."""
    rng = np.random.default_rng(seed)
    return softmax(rng.normal(size=(contexts, arms))[rng.integers(0, contexts, n)])


def drawn_log(
    p: Floats,
    draw: Draw = as_logged,
    *,
    seed: int = 1,
    personas: Whole | None = None,
    placements: Whole | None = None,
    distributions: bool = True,
) -> Batch:
    """A log that says it drew with ``p``, n x arms."""
    rng = np.random.default_rng([seed, 77])
    n, k = p.shape
    chosen = draw(rng, p)
    names = Vocabulary()
    persona = np.zeros(n, np.int64) if personas is None else personas
    placement = np.zeros(n, np.int64) if placements is None else placements
    keys = np.array([hash_of(f"{seed} {i}") for i in range(n)], np.uint64)
    logged = p.ravel().copy()
    propensity = p[np.arange(n), chosen]
    if not distributions:
        logged[:] = np.nan
    return Batch(
        names=names,
        places=[f"log:{i + 1}" for i in range(n)],
        key=keys,
        cluster=keys,
        ms=START_MS + np.arange(n, dtype=np.int64),
        placement=names.placements.codes(f"film{i}" for i in range(placement.max() + 1))[placement],
        persona=names.personas.codes(f"persona{i}" for i in range(persona.max() + 1))[persona],
        offsets=np.arange(n + 1, dtype=np.int64) * k,
        arms=np.tile(names.arms.codes(f"h{i}@1" for i in range(k)), n),
        logged=logged,
        chosen=chosen,
        propensity=propensity,
        reward=np.where(rng.uniform(size=n) < 0.2, 1.0, 0.0),
        asked=[None] * n,
    )
