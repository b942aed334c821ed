import math

import numpy as np
import pytest

from bandit_service.evaluation.folds.weights import EDGES, WeightsFold, WeightsFound
from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import Row, a_batch, a_target, batch_of, without_distributions


def found_of(terms: Terms) -> WeightsFound:
    fold = WeightsFold()
    fold.add(terms)
    return fold.get()


def test_weights_are_described_as_their_formulas_say() -> None:
    batch = a_batch(800, arms=6)
    terms = terms_of(batch, a_target(batch, skew=5.0), np.zeros(len(batch.arms)))
    w = terms.weight

    found = found_of(terms)

    assert found.mean == math.fsum(w) / 800
    assert found.variance == pytest.approx(np.var(w, ddof=1), rel=1e-9)
    assert found.ess == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-12)
    assert found.maximum == w.max()
    assert found.counts == np.histogram(w, found.edges)[0].tolist()
    assert sum(found.counts) == 800


def test_a_log_evaluated_on_its_own_policy_has_weights_of_one() -> None:
    batch = a_batch(100)

    found = found_of(terms_of(batch, batch.logged, np.zeros(len(batch.arms))))

    assert (found.mean, found.variance, found.ess, found.maximum) == (1.0, 0.0, 100.0, 1.0)
    assert (found.edges, found.counts) == ([1.0, 2.0], [100])
    assert found.unsupported == 0.0


def test_the_histogram_spans_the_bins_that_are_used_and_edges_belong_above() -> None:
    rows = [Row({"a": p, "b": 1 - p}, "a") for p in (0.5, 0.25, 0.2, 1e-9)]
    target = np.array([0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 1.0, 0.0])  # weights 0, 2, 5 and 1e9

    found = found_of(terms_of(batch_of(rows), target, np.zeros(8)))

    assert found.edges == [*EDGES, found.maximum]
    counted = {e: n for e, n in zip(found.edges, found.counts, strict=False) if n}
    assert counted == {0.0: 1, 2.0: 1, 5.0: 1, EDGES[-1]: 1}
    assert found.maximum > EDGES[-1]
    assert list(EDGES) == sorted(set(EDGES))


def test_unsupported_mass_is_the_mean_over_rows_that_say() -> None:
    rows = [
        Row({"a": 0.0, "b": 1.0}, "b"),
        Row({"a": 0.5, "b": 0.5}, "b"),
        Row({"a": math.nan, "b": 0.5}, "b"),
    ]

    found = found_of(terms_of(batch_of(rows), np.array([0.4, 0.6] * 3), np.zeros(6)))

    assert found.unsupported == pytest.approx(0.2)


def test_a_log_without_distributions_says_nothing_of_support() -> None:
    batch = without_distributions(a_batch(50))

    found = found_of(terms_of(batch, a_target(batch), np.zeros(len(batch.arms))))

    assert found.unsupported is None
    assert found.mean > 0


def test_no_rows_have_no_weights() -> None:
    found = WeightsFold().get()

    assert math.isnan(found.mean)
    assert math.isnan(found.variance)
    assert (found.ess, found.maximum, found.edges, found.counts) == (0.0, 0.0, [], [])
    assert found.unsupported is None
