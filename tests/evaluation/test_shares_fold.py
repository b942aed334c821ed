import numpy as np
import pytest

from bandit_service.evaluation.folds.shares import SharesFold
from bandit_service.evaluation.results import Share
from tests.evaluation.batches import Row, a_batch, a_target, batch_of

HALF = {"a": 0.5, "b": 0.5}


def test_shares_are_of_the_rows_of_a_persona_on_a_placement() -> None:
    batch = batch_of(
        [
            Row(HALF, "a", 1.0, placement="film", persona="romantic"),
            Row(HALF, "a", 0.0, placement="film", persona="romantic"),
            Row({"a": 1.0}, "a", 1.0, placement="film", persona="romantic"),
            Row(HALF, "b", 3.0, placement="film", persona="romantic"),
            Row(HALF, "b", 0.0, placement="film", persona="comedy"),
        ]
    )
    fold = SharesFold()

    fold.add(batch, np.array([0.75, 0.25, 0.75, 0.25, 1.0, 0.5, 0.5, 0.0, 1.0]))

    assert fold.get() == [
        share("comedy", "a", n=0, logged=0.0, target=0.0, reward=None),
        share("comedy", "b", n=1, logged=1.0, target=1.0, reward=0.0),
        share("romantic", "a", n=3, logged=0.75, target=0.75, reward=2 / 3),
        share("romantic", "b", n=1, logged=0.25, target=0.25, reward=3.0),
    ]


def share(
    persona: str, arm: str, *, n: int, logged: float, target: float, reward: float | None
) -> Share:
    return Share(
        placement="film",
        persona=persona,
        arm=arm,
        n=n,
        logged=logged,
        target=target,
        reward=reward,
    )


def test_an_arm_of_one_name_on_two_placements_is_two_arms() -> None:
    batch = batch_of([Row({"a": 1.0}, "a", placement=name) for name in ("film", "list", "film")])
    fold = SharesFold()

    fold.add(batch, np.ones(3))

    assert [(s.placement, s.arm, s.n) for s in fold.get()] == [("film", "a", 2), ("list", "a", 1)]


def test_shares_of_a_persona_on_a_placement_sum_to_one() -> None:
    batch = a_batch(2_000, arms=7, fewest=2, placements=3, personas=4)
    fold = SharesFold()

    fold.add(batch, a_target(batch))

    shares = fold.get()
    for pair in {(s.placement, s.persona) for s in shares}:
        here = [s for s in shares if (s.placement, s.persona) == pair]
        assert sum(s.logged for s in here) == pytest.approx(1.0)
        assert sum(s.target for s in here) == pytest.approx(1.0)
    assert sum(s.n for s in shares) == 2_000


def test_no_rows_have_no_shares() -> None:
    fold = SharesFold()

    fold.add(a_batch(0), np.zeros(0))

    assert fold.get() == []
