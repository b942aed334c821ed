"""When a service is left alone, and for how long."""

from __future__ import annotations

import pytest

from bandit_service.client.breaker import FAILURES, LONGEST_REST, LONGEST_TOLD, Breaker
from tests.client.conftest import Clock


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock=clock, chance=lambda: 0.0)


def admitted(breaker: Breaker) -> int:
    turn = breaker.admit()
    assert turn is not None
    return turn


def fail(breaker: Breaker, times: int = 1) -> list[bool]:
    return [breaker.failed(admitted(breaker)) for _ in range(times)]


def test_failures_up_to_a_number_change_nothing(breaker: Breaker) -> None:
    assert not any(fail(breaker, FAILURES - 1))
    assert breaker.admit() is not None
    assert breaker.rest == 0.0


def test_half_of_the_last_calls_begin_a_rest_wherever_they_stand(breaker: Breaker) -> None:
    began = []
    for n in range(10):
        turn = admitted(breaker)
        began.append(breaker.failed(turn) if n % 2 else breaker.succeeded(turn))

    assert began == [False] * 9 + [True]
    assert breaker.admit() is None
    assert breaker.rest == 1.0


def test_failures_long_ago_do_not_count(breaker: Breaker) -> None:
    for _ in range(20):
        fail(breaker, 4)
        for _ in range(10):
            breaker.succeeded(admitted(breaker))

    assert breaker.admit() is not None


def test_after_a_rest_one_call_looks_and_all_follow_if_it_is_answered(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, FAILURES)
    clock.now += 1.0

    looking = admitted(breaker)
    assert [breaker.admit() for _ in range(3)] == [None] * 3
    assert breaker.succeeded(looking)

    assert not any(fail(breaker, FAILURES - 1))
    assert breaker.rest == 0.0


def test_rests_double_up_to_a_longest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    rests = []
    for _ in range(6):
        rests.append(breaker.rest)
        clock.now += breaker.rest
        assert fail(breaker) == [False]  # the first rest alone is news

    assert rests == [1.0, 2.0, 4.0, 8.0, LONGEST_REST, LONGEST_REST]


def test_a_look_that_is_never_heard_of_again_is_not_the_last(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, FAILURES)
    clock.now += 1.0
    admitted(breaker)

    clock.now += 1.0

    assert breaker.admit() is not None


def test_what_was_let_through_before_a_rest_says_nothing_after_it(
    breaker: Breaker, clock: Clock
) -> None:
    early = [admitted(breaker) for _ in range(20)]
    fail(breaker, FAILURES)

    for turn in early[:10]:
        breaker.failed(turn)
    for turn in early[10:]:
        assert not breaker.succeeded(turn)

    assert breaker.rest == 1.0


def test_rests_are_shorter_by_chance(clock: Clock) -> None:
    breaker = Breaker(clock=clock, chance=lambda: 1.0)

    fail(breaker, FAILURES)

    assert breaker.rest == pytest.approx(2 / 3)


@pytest.mark.parametrize(("told", "rest"), [(0.3, 0.3), (7.0, 7.0), (86_400.0, LONGEST_TOLD)])
def test_who_says_when_to_come_again_is_believed_at_once_and_not_for_ever(
    breaker: Breaker, told: float, rest: float
) -> None:
    assert breaker.failed(admitted(breaker), told=told)

    assert breaker.rest == pytest.approx(rest)
