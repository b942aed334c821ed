import math

import numpy as np
import pytest

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.batch import Batch, Whole, mixed
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.folds.estimates import GROUPS, EstimateFold
from bandit_service.evaluation.folds.ratio import Ratio, Sums
from bandit_service.evaluation.terms import Terms, terms_of
from tests.evaluation.batches import Row, a_batch, a_target, batch_of, changed

EVERY = estimators(EstimatorSettings())


def terms_for(batch: Batch) -> Terms:
    predictions = np.random.default_rng(2).uniform(0, 1, len(batch.arms))
    return terms_of(batch, a_target(batch), predictions)


def folded(name: str, terms: Terms) -> Ratio:
    fold = EstimateFold(EVERY[name])
    fold.add(terms)
    return fold.get()


@pytest.mark.parametrize("name", EVERY)
def test_every_sum_is_that_of_its_rows(name: str) -> None:
    batch = a_batch(600, arms=5, fewest=2, visitors=50)
    batch = changed(batch, ms=batch.ms * 7)
    terms = terms_for(batch)
    num, den = EVERY[name].pairs(terms)
    weights = EVERY[name].weights(terms)

    def sums(rows: Whole) -> Sums:
        a, b = num[rows], den[rows]
        return Sums(
            len(a),
            math.fsum(a),
            math.fsum(b),
            math.fsum(a * a),
            math.fsum(a * b),
            math.fsum(b * b),
        )

    found = folded(name, terms)

    assert found.sums == sums(np.arange(600))
    assert found.weight == math.fsum(weights)
    assert found.weight2 == math.fsum(weights * weights)
    assert found.max_weight == weights.max()
    group = mixed(batch.cluster) % np.uint64(GROUPS)
    for g in range(GROUPS):
        rows = np.flatnonzero(group == g)
        assert found.group_n[g] == len(rows)
        assert found.group_num[g] == math.fsum(num[rows])
        assert found.group_den[g] == math.fsum(den[rows])


def test_all_rows_of_a_visitor_are_in_one_group() -> None:
    batch = a_batch(500, visitors=1)

    found = folded("ips", terms_for(batch))

    assert sorted(found.group_n.tolist())[-2:] == [0, 500]


@pytest.mark.parametrize(("visitors", "clusters"), [(None, False), (20, True)])
def test_whether_rows_may_depend_on_each_other_is_known(
    visitors: int | None, clusters: bool
) -> None:
    assert folded("dr", terms_for(a_batch(100, visitors=visitors))).clusters is clusters


@pytest.mark.parametrize("name", EVERY)
def test_no_rows_have_no_value(name: str) -> None:
    found = folded(name, terms_for(a_batch(0)))

    assert math.isnan(found.value)
    assert (found.ess, found.max_weight, found.sums.n) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (Row({"a": 0.5, "b": 0.5}, "a", math.nan), "num of ips is nan"),
        (Row({"a": 0.5, "b": 0.5}, "a", 1e200), "num2 of ips is inf"),
        (Row({"a": 5e-324, "b": 1.0}, "a", 1.0), "weight of ips is inf"),
        (Row({"a": 1e-200, "b": 1.0}, "a", 1.0), "weight.2 of ips is inf"),
    ],
)
def test_what_cannot_be_summed_up_is_refused_by_name(row: Row, named: str) -> None:
    batch = batch_of([row])
    terms = terms_of(batch, np.array([1.0, 0.0]), np.zeros(2))

    with pytest.raises(EvaluationError, match=named) as raised:
        folded("ips", terms)

    assert raised.value.hint is not None


def test_folds_of_other_estimators_or_settings_are_not_merged() -> None:
    other = estimators(EstimatorSettings(clip=3.0))

    for a, b in (
        (EstimateFold(EVERY["ips"]), EstimateFold(EVERY["snips"])),
        (EstimateFold(EVERY["clipped-ips"]), EstimateFold(other["clipped-ips"])),
    ):
        with pytest.raises(ValueError, match="cannot be merged"):
            a + b
    merged = EstimateFold(EVERY["ips"]) + EstimateFold(other["ips"])
    assert merged.get().sums.n == 0
