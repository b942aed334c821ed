"""What a busy process puts off, for how long, and what it never puts off."""

from __future__ import annotations

import pytest

from bandit_service.events.entries import Tick, encode
from bandit_service.folds.explain import explain
from bandit_service.serving.decide import decide
from bandit_service.serving.pressure import BUSY, HELD_SECONDS, Pressure
from bandit_service.serving.requests import DecideRequest
from tests.world import QUICK, World


def pressed(share: float) -> Pressure:
    """The pressure of a process that spent such a share of the last seconds in requests."""
    pressure = Pressure()
    for tenth in range(31):
        pressure.look(tenth / 10)
        pressure.spend(share / 10)
    return pressure


def learn(world: World) -> None:
    """Let visitors come and a new snapshot be published, while a process looks on."""
    world.visit({})
    learn_without_refresh(world)


def learn_without_refresh(world: World) -> None:
    """Let time pass and a new snapshot be published, whoever looks."""
    world.pass_time(3600)
    world.log.append(encode(Tick(at=world.now)))
    learner = world.learner()
    while learner.step():
        pass
    learner.finish()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_the_share_is_that_of_the_last_second(share: float) -> None:
    pressure = pressed(share)

    assert pressure.share == pytest.approx(share)
    for tenth in range(31, 45):
        pressure.look(tenth / 10)
    assert pressure.share == 0.0


def test_a_request_longer_than_the_second_is_no_more_than_all_of_it() -> None:
    pressure = Pressure()
    pressure.look(0.0)
    pressure.spend(7.0)
    pressure.look(1.0)

    assert pressure.share == 1.0


def test_few_marks_are_kept_however_often_one_looks() -> None:
    pressure = Pressure()
    for n in range(10_000):
        pressure.look(n / 100)

    assert len(pressure._marks) < 200


def test_a_busy_process_keeps_its_snapshot_for_a_while_and_says_so() -> None:
    # given a process that has just taken up a snapshot
    world = World()
    pressure = pressed(BUSY + 0.1)
    told: list[int] = []
    pressure.report_to(lambda share, held: told.append(held))
    pressure.refresh(world.view, world.log.pulse(), 100.0)
    learn(world)
    pressure.refresh(world.view, world.log.pulse(), 200.0)
    first = world.view.chooser
    assert first is not None

    # when there is a newer one
    learn(world)
    for now in (200.2, 202.0, 200.0 + HELD_SECONDS - 0.01):
        pressure.refresh(world.view, world.log.pulse(), now)

    # then it waits, and no longer than this
    assert world.view.chooser is first
    assert sum(told) == 3
    pressure.refresh(world.view, world.log.pulse(), 200.0 + HELD_SECONDS)
    assert world.view.chooser is not first
    assert sum(told) == 3


def test_a_process_with_time_takes_up_every_snapshot() -> None:
    world = World()
    pressure = pressed(BUSY - 0.1)
    seen = []
    for n in range(3):
        learn(world)
        pressure.refresh(world.view, world.log.pulse(), n / 10)
        assert world.view.chooser is not None
        seen.append(world.view.chooser.name)

    assert len(set(seen)) == 3


def test_edits_are_never_put_off() -> None:
    world = World()
    pressure = pressed(1.0)
    pressure.refresh(world.view, world.log.pulse(), 1.0)

    world.put("news", 2)
    pressure.refresh(world.view, world.log.pulse(), 1.1)

    assert "news" in world.view.shelves


def test_the_first_snapshot_is_never_put_off() -> None:
    world = World()
    pressure = pressed(1.0)
    world.view.chooser = None
    pressure._swapped["main"] = 1.0

    pressure.refresh(world.view, world.log.pulse(), 1.1)

    assert world.view.chooser is not None


def test_what_is_decided_meanwhile_can_be_derived_again_bit_for_bit() -> None:
    # given a busy process that keeps its snapshot while newer ones are published
    world = World()
    learn(world)
    pressure = pressed(1.0)
    pressure.refresh(world.view, world.log.pulse(), 1.0)
    request = DecideRequest(placement="film", traits={"genres": ["comedy"]})
    decided = []
    for n in range(1, 9):
        learn_without_refresh(world)
        pressure.refresh(world.view, world.log.pulse(), 1.0 + n / 10)
        entropy = world.random.randbytes(9)
        decided.append(decide(world.view, request, now=world.now, entropy=entropy))

    # then all of it names the one that chose, which is not the newest, and agrees with it
    head = world.log.pulse().head
    assert head is not None
    assert {answer.snapshot for answer in decided} == {world.view.chooser.name}  # type: ignore[union-attr]
    assert head.name != decided[-1].snapshot
    for answer in decided:
        found = explain(world.log, answer.decision, defaults=QUICK, progress=lambda _: None)
        assert found.agrees
        assert found.decision.propensity == answer.probability
