import numpy as np
import pytest

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.batch import Batch, Floats, hash_of, mixed
from bandit_service.evaluation.reward_model import (
    LEAST_STRENGTH,
    MOST_STRENGTH,
    PARTS,
    RewardTable,
    part_of,
    strength,
)
from tests.evaluation.batches import Row, a_batch, batch_of, changed


def predicted(log: Batch, asked: Batch | None = None) -> Floats:
    table = RewardTable()
    table.add(log)
    return table.fit().predict(log if asked is None else asked)


def visitor_in(part: int) -> str:
    """A visitor of this part."""
    numbers = (str(n) for n in range(10_000))
    return next(n for n in numbers if in_part(n) == part)


def in_part(visitor: str) -> int:
    return int(mixed(np.array([hash_of(f"visitor {visitor}")], np.uint64))[0]) % PARTS


def test_means_are_shrunk_to_those_above_by_the_formula() -> None:
    """All of the log is of visitors of part 0, asked is one of part 1."""
    here, there = visitor_in(0), visitor_in(1)

    def rows(arm: str, persona: str, clicks: int, of: int, placement: str = "film") -> list[Row]:
        menu = {"a": 0.5, "b": 0.5}
        return [
            Row(menu, arm, float(n < clicks), placement, persona, visitor=here) for n in range(of)
        ]

    log = [
        *rows("a", "romantic", 30, 100),
        *rows("a", "comedy", 10, 100),
        *rows("b", "comedy", 5, 100),
        *rows("b", "comedy", 35, 100, "list"),
    ]
    asked = [
        Row({"a": 0.5, "b": 0.5}, "a", persona="romantic", visitor=there),
        Row({"a": 0.5, "new": 0.5}, "a", persona="stranger", visitor=there),
        Row({"a": 1.0}, "a", persona="comedy", placement="elsewhere", visitor=there),
    ]
    mean = 80 / 400
    k = (mean - mean**2) / mean**2
    film = (45 + k * mean) / (300 + k)
    a = (40 + k * film) / (200 + k)
    b = (5 + k * film) / (100 + k)
    a_romantic = (30 + k * a) / (100 + k)

    found = predicted(batch_of(log), batch_of(asked))

    assert found.tolist() == pytest.approx([a_romantic, b, a, film, mean], rel=1e-12)


def test_a_prediction_never_uses_rewards_of_the_visitors_own_part() -> None:
    log = a_batch(3_000, visitors=200)
    before = predicted(log)

    for part in range(PARTS):
        own = part_of(log) == part
        after = predicted(changed(log, reward=np.where(own, 100.0, log.reward)))

        same = after == before
        assert same[own[log.rows]].all()
        assert not same[~own[log.rows]].any()


def test_all_rows_of_a_visitor_are_in_one_part_and_visitors_are_in_all() -> None:
    log = a_batch(1_000, visitors=100)

    parts = part_of(log)

    assert all(len({*parts[log.cluster == c].tolist()}) == 1 for c in np.unique(log.cluster))
    assert np.bincount(parts, minlength=PARTS).min() > 50


def test_where_all_rows_are_of_one_visitor_nothing_is_known() -> None:
    assert (predicted(a_batch(50, visitors=1)) == 0.0).all()


def test_an_empty_log_predicts_nothing() -> None:
    assert (predicted(a_batch(0), a_batch(10)) == 0.0).all()
    assert len(predicted(a_batch(10), a_batch(0))) == 0


def test_many_rows_are_predicted_by_their_own_mean() -> None:
    log = a_batch(60_000, placements=1, personas=1, arms=3, click_rate=0.3)
    found = predicted(log)

    for arm in np.unique(log.arms):
        shown = log.arms[log.shown] == arm
        mean = log.reward[shown].mean()
        spread = np.sqrt(mean * (1 - mean) / shown.sum())
        assert np.abs(found[log.arms == arm] - mean).max() < 6 * spread


def test_predictions_follow_the_unit_of_rewards() -> None:
    log = a_batch(500)

    assert predicted(changed(log, reward=log.reward * 1024)) == pytest.approx(predicted(log) * 1024)


@pytest.mark.parametrize(
    ("mean", "square", "rows"),
    [
        (0.01, 0.01, 99.0),
        (0.5, 0.5, LEAST_STRENGTH),
        (3.0, 9.0, LEAST_STRENGTH),
        (1e-5, 1e-5, MOST_STRENGTH),
        (0.0, 1.0, MOST_STRENGTH),
        (-1e-300, 1.0, MOST_STRENGTH),
        (-0.01, 0.01, 99.0),
    ],
)
def test_strength_is_the_variance_over_the_squared_mean_within_bounds(
    mean: float, square: float, rows: float
) -> None:
    assert strength(mean, square) == pytest.approx(rows)


def test_rewards_that_are_no_numbers_are_refused() -> None:
    log = changed(a_batch(5), reward=np.array([0.0, 1.0, np.nan, 0.0, 0.0]))

    with pytest.raises(EvaluationError, match="reward is nan"):
        predicted(log)
