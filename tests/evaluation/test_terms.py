import numpy as np
import pytest

from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import (
    Row,
    a_batch,
    a_target,
    batch_of,
    cut,
    without_distributions,
)

COLUMNS = Terms._fields


def test_terms_of_a_row_are_those_of_their_formulas() -> None:
    batch = batch_of([Row({"a": 0.2, "b": 0.5, "c": 0.3}, "b", 3.0)])
    target, predictions = np.array([0.6, 0.1, 0.3]), np.array([1.0, 2.0, 4.0])

    terms = terms_of(batch, target, predictions)

    assert terms.weight.tolist() == [0.1 / 0.5]
    assert terms.bound.tolist() == [0.6 / 0.2]
    assert terms.predicted.tolist() == [2.0]
    assert terms.expected.tolist() == pytest.approx([0.6 + 0.2 + 1.2])
    assert terms.unsupported.tolist() == [0.0]
    assert terms.reward.tolist() == [3.0]


def test_what_the_log_could_not_show_is_unsupported_and_no_part_of_the_bound() -> None:
    batch = batch_of([Row({"a": 0.0, "b": 0.5, "c": 0.5}, "b")])

    terms = terms_of(batch, np.array([0.25, 0.75, 0.0]), np.zeros(3))

    assert terms.unsupported.tolist() == [0.25]
    assert terms.bound.tolist() == [1.5]


def test_a_log_without_distributions_has_neither_bound_nor_support() -> None:
    batch = without_distributions(a_batch(50, fewest=2))

    terms = terms_of(batch, a_target(batch), np.zeros(len(batch.arms)))

    assert np.isnan(terms.bound).all()
    assert np.isnan(terms.unsupported).all()
    assert not terms.accepted.any()
    assert np.isfinite(terms.weight).all()


def test_the_logging_policy_on_its_own_log_has_weight_one_and_is_always_accepted() -> None:
    batch = a_batch(2_000, arms=7, fewest=1)

    terms = terms_of(batch, batch.logged, np.zeros(len(batch.arms)))

    assert (terms.weight == 1.0).all()
    assert (terms.bound == 1.0).all()
    assert terms.accepted.all()


def test_rows_are_accepted_as_often_as_their_weight_is_part_of_the_bound() -> None:
    batch = a_batch(40_000, arms=3, visitors=3)  # each row for itself, whoever it is of

    terms = terms_of(batch, a_target(batch), np.zeros(len(batch.arms)))

    chance = terms.weight / terms.bound
    spread = np.sqrt((chance * (1 - chance)).sum())
    assert abs(terms.accepted.sum() - chance.sum()) < 5 * spread


@pytest.mark.parametrize("distributions", [True, False])
def test_what_is_computed_of_a_row_does_not_depend_on_its_batch(distributions: bool) -> None:
    batch = a_batch(700, arms=40, fewest=1, visitors=30, distributions=distributions)
    target = a_target(batch)
    predictions = np.random.default_rng(5).normal(size=len(target))
    whole = terms_of(batch, target, predictions)

    edges = [1, 2, 5, 13, 100, 101, 399]
    parts = [
        terms_of(part, target[at : at + len(part.arms)], predictions[at : at + len(part.arms)])
        for part, at in zip(cut(batch, at=edges), batch.offsets[[0, *edges]], strict=True)
    ]

    for column in COLUMNS:
        joined = np.concatenate([getattr(part, column) for part in parts])
        assert joined.tobytes() == getattr(whole, column).tobytes(), column


def test_an_empty_batch_has_empty_terms() -> None:
    batch = a_batch(0)

    assert len(terms_of(batch, np.zeros(0), np.zeros(0))) == 0
