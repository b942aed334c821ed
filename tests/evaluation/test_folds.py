"""What all folds of a log keep to: parts merge to the whole, whatever the order and the cut."""

import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_service.evaluation.batch import Batch, Floats, Vocabulary
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.folds.shares import SharesFold
from bandit_service.evaluation.folds.weights import WeightsFold
from bandit_service.evaluation.reward_model import RewardTable
from bandit_service.evaluation.terms import terms_of
from tests.evaluation.batches import a_batch, a_target, changed

HOUR_MS = 3_600_000
EVERY = estimators(EstimatorSettings(clip=1.5, switch=1.5, shrinkage=2.0))
WHOLE = changed(
    a_batch(300, arms=6, fewest=1, visitors=40, click_rate=None),
    ms=1_900_000_000_000 + np.random.default_rng(3).integers(-20, 20, 300) * HOUR_MS,
)
TARGET = a_target(WHOLE)
PREDICTIONS = np.random.default_rng(8).normal(size=len(TARGET))

Rows = np.ndarray[Any, np.dtype[np.int64]]


def renamed(batch: Batch) -> Batch:
    """The batch as another process would read it: the same names by other codes."""
    names = Vocabulary()
    columns = {}
    for field, here, there in (
        ("placement", batch.names.placements, names.placements),
        ("persona", batch.names.personas, names.personas),
        ("arms", batch.names.arms, names.arms),
    ):
        there.code("another")
        codes = there.codes(reversed(here.texts))[::-1]
        columns[field] = codes[getattr(batch, field)]
    return changed(batch, names=names, **columns)


def candidates_of(rows: Rows) -> Rows:
    spans = [np.arange(WHOLE.offsets[row], WHOLE.offsets[row + 1]) for row in rows]
    return np.concatenate([np.zeros(0, np.int64), *spans])


def estimates(name: str) -> Callable[[Batch, Rows], Any]:
    def folded(batch: Batch, rows: Rows) -> EstimateFold:
        fold = EstimateFold(EVERY[name])
        here = candidates_of(rows)
        fold.add(terms_of(batch, TARGET[here], PREDICTIONS[here]))
        return fold

    return folded


def weights(batch: Batch, rows: Rows) -> WeightsFold:
    fold = WeightsFold()
    fold.add(terms_of(batch, TARGET[candidates_of(rows)], PREDICTIONS[candidates_of(rows)]))
    return fold


def shares(batch: Batch, rows: Rows) -> SharesFold:
    fold = SharesFold()
    fold.add(batch, TARGET[candidates_of(rows)])
    return fold


def rewards(batch: Batch, rows: Rows) -> RewardTable:
    fold = RewardTable()
    fold.add(batch)
    return fold


FOLDS = {**{name: estimates(name) for name in EVERY}, "w": weights, "s": shares, "r": rewards}


def given_back(fold: Any) -> str:
    if isinstance(fold, RewardTable):
        return repr(fold.fit().predict(WHOLE).tolist())
    found = fold.get()
    return repr(found) if isinstance(found, list) else repr([_plain(part) for part in found])


def _plain(part: object) -> object:
    return part.tolist() if isinstance(part, np.ndarray) else part


@pytest.mark.parametrize("name", FOLDS)
@settings(max_examples=25)
@given(
    part=st.lists(st.integers(0, 3), min_size=len(WHOLE), max_size=len(WHOLE)),
    order=st.randoms(use_true_random=False),
)
def test_any_partition_in_any_order_merges_to_the_whole_to_the_byte(
    name: str, part: list[int], order: random.Random
) -> None:
    make = FOLDS[name]
    every = np.arange(len(WHOLE))
    whole = make(WHOLE, every)

    parts = [every[np.array(part) == k] for k in range(4)]
    order.shuffle(parts)
    for rows in parts:
        order.shuffle(rows)
    read = [WHOLE.take(rows) for rows in parts]
    a, b, c, d = (
        make(renamed(batch) if k % 2 else batch, rows)
        for k, (batch, rows) in enumerate(zip(read, parts, strict=True))
    )
    merged = (a + b) + (c + d)

    assert merged.encode() == whole.encode()
    assert given_back(merged) == given_back(whole)


@pytest.mark.parametrize("name", FOLDS)
def test_batches_added_one_after_another_are_the_whole(name: str) -> None:
    make = FOLDS[name]
    fold = make(WHOLE.take(np.arange(0)), np.arange(0))

    for rows in np.array_split(np.arange(len(WHOLE)), 7):
        fold = fold + make(WHOLE.take(rows), rows)

    assert fold.encode() == make(WHOLE, np.arange(len(WHOLE))).encode()


@pytest.mark.parametrize("name", FOLDS)
def test_other_rows_give_other_bytes(name: str) -> None:
    make = FOLDS[name]
    rows = np.arange(len(WHOLE) - 1)

    assert make(WHOLE.take(rows), rows).encode() != make(WHOLE, np.arange(len(WHOLE))).encode()


@pytest.mark.parametrize("name", FOLDS)
def test_folds_travel_between_processes(name: str) -> None:
    fold = FOLDS[name](WHOLE, np.arange(len(WHOLE)))

    assert pickle.loads(pickle.dumps(fold)).encode() == fold.encode()


@pytest.mark.parametrize("name", FOLDS)
def test_merging_changes_neither_part(name: str) -> None:
    every = np.arange(len(WHOLE))
    a, b = (FOLDS[name](WHOLE.take(rows), rows) for rows in (every[:100], every[100:]))
    before = a.encode(), b.encode()

    merged = a + b
    merged + merged

    assert (a.encode(), b.encode()) == before


def test_predictions_for_a_row_do_not_depend_on_its_batch() -> None:
    table = RewardTable()
    table.add(WHOLE)
    model = table.fit()
    rows = np.arange(120, 131)

    part: Floats = model.predict(WHOLE.take(rows))

    assert part.tobytes() == model.predict(WHOLE)[candidates_of(rows)].tobytes()
