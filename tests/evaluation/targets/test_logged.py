import numpy as np
import pytest

from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import make_target
from tests.evaluation.targets.rows import a_batch, by_row, closed_world, log_of, run, weights

NOWHERE = TargetContext()


def test_the_log_s_own_policy_has_weight_exactly_1_on_every_row() -> None:
    found = run(make_target("logged", NOWHERE), log_of(closed_world()))

    assert len(weights(found)) > 200
    assert set(weights(found)) == {1.0}
    for batch, target in found:
        assert target.tolist() == batch.logged.tolist()


def test_where_only_the_propensity_is_logged_nothing_is_said_of_the_others() -> None:
    nan = float("nan")
    rows = [
        {"arms": ["a", "b", "c"], "logged": [nan] * 3, "chosen": 1, "propensity": 0.3},
        {"arms": ["a"], "logged": [nan], "propensity": 1.0},
        {"arms": ["a", "b"], "logged": [0.7, nan], "propensity": 0.7},
        {"arms": ["a", "b"], "logged": [nan, nan], "chosen": -1},
        {"arms": ["a", "b"], "logged": [nan, nan]},
    ]
    batch = a_batch(rows)

    target = make_target("logged", NOWHERE).probabilities(batch)

    assert by_row(batch, target) == [
        pytest.approx([nan, 0.3, nan], nan_ok=True),
        [1.0],
        pytest.approx([0.7, nan], nan_ok=True),
        [0.5, 0.5],
        [0.5, 0.5],
    ]
    assert (target[batch.shown] / batch.propensity)[:3].tolist() == [1.0, 1.0, 1.0]


def test_a_propensity_that_disagrees_with_the_distribution_is_what_counts() -> None:
    batch = a_batch([{"logged": [0.9, 0.1], "propensity": 0.8}])

    target = make_target("logged", NOWHERE).probabilities(batch)

    assert (target[batch.shown] / batch.propensity).tolist() == [1.0]


def test_uniform_gives_every_candidate_the_same() -> None:
    batch = a_batch([{"arms": ["a", "b", "c"]}, {"arms": ["a"]}])

    target = make_target("uniform", NOWHERE).probabilities(batch)

    assert by_row(batch, target) == [[1 / 3] * 3, [1.0]]


@pytest.mark.parametrize("words", ["logged", "uniform", "fixed:a"])
def test_no_rows_are_no_probabilities(words: str) -> None:
    target = make_target(words, NOWHERE).probabilities(a_batch([]))

    assert target.dtype == np.float64
    assert not len(target)
