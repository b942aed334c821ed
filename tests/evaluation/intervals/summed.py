"""Ratios and terms to test intervals with, made by the package's own folds."""

from __future__ import annotations

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import a_batch, changed

SETTINGS = EstimatorSettings()


def ratio_of(terms: Terms, estimator: str = "ips") -> Ratio:
    """The sums of an estimator."""
    fold = EstimateFold(estimators(SETTINGS)[estimator])
    fold.add(terms)
    return fold.get()


def own_terms(rewards: Floats, *, visitors: Floats | None = None) -> Terms:
    """The log's own policy, uniform over two arms, with just these rewards."""
    batch = a_batch(len(rewards), arms=2, uniform=True)
    batch = changed(batch, reward=np.asarray(rewards, np.float64))
    if visitors is not None:
        batch = changed(batch, cluster=np.asarray(visitors, np.uint64) + np.uint64(1))
    return terms_of(batch, batch.logged, np.zeros(len(batch.arms)))


def favourite_terms(rewards: Floats, *, arms: int = 4, batch: Batch | None = None) -> Terms:
    """A policy that always shows the first candidate, on a log of uniform choice."""
    batch = batch or a_batch(len(rewards), arms=arms, uniform=True)
    batch = changed(batch, reward=np.asarray(rewards, np.float64))
    target = np.zeros(len(batch.arms))
    target[batch.offsets[:-1]] = 1.0
    return terms_of(batch, target, np.zeros(len(batch.arms)))


def clicks(n: int, rate: float, *, seed: int = 1) -> Floats:
    """0 or 1 for each row."""
    return (np.random.default_rng(seed).random(n) < rate).astype(np.float64)
