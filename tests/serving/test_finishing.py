"""Placements that wait for a winner get it: once it is clear, or at their date."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec
import pytest

from bandit_service.catalog.model import Finish, Placement, PlacementSpec
from bandit_service.catalog.moments import moment_of
from bandit_service.errors import StorageError
from bandit_service.events.entries import PlacementChanged
from bandit_service.serving import finishing
from bandit_service.serving.finishing import Finisher, Finishing, Standing, ended
from bandit_service.storage.memory import MemorySite
from tests.world import START_MS, World

LATER = moment_of(START_MS + 60_000)


class Judge:
    """Says what it is told to say, and keeps what it was asked."""

    def __init__(self, clear: str | None = None, ahead: str | None = None) -> None:
        self.standing = Standing(clear, ahead)
        self.asked: list[str] = []

    def __call__(self, placement: Placement) -> Standing:
        self.asked.append(placement.id)
        return self.standing


@pytest.fixture
def world() -> World:
    return World()


def put(world: World, finish: Finish | None, **fields: Any) -> Placement:
    """Put a placement ``spot`` of headlines a, b (paused), c and d."""
    statuses = {"a": "live", "b": "paused", "c": "live", "d": "live"}
    specs = [{"id": i, "headline": i, "status": status} for i, status in statuses.items()]
    body = {"kind": "headline", "variants": specs, **fields}
    world.editor.put_placement("spot", msgspec.convert(body, PlacementSpec))
    return world.editor.put_finish("spot", finish)


def finisher(world: World, judge: Judge) -> Finisher:
    return Finisher(
        world.log, world.services.editor("main", by="finish"), judge, clock=lambda: world.now
    )


@pytest.mark.parametrize(
    ("finish", "judge", "winner"),
    [
        (Finish(when_clear=True), Judge(), None),
        (Finish(when_clear=True), Judge(ahead="c"), None),
        (Finish(when_clear=True), Judge(clear="c"), "c"),
        (Finish(when_clear=True), Judge(clear="b"), None),  # it is paused
        (Finish(when_clear=True), Judge(clear="nobody"), None),
        (Finish(when_clear=True, at=LATER, winner="a"), Judge(clear="c", ahead="d"), "c"),
        (Finish(at=LATER), Judge(clear="c", ahead="d"), None),  # its time has not come
        (Finish(winner="a", at=LATER), Judge(clear="c"), None),  # needs nobody
        (Finish(winner="a"), Judge(clear="c"), None),
        (None, Judge(clear="c"), None),
    ],
)
def test_before_its_date_a_placement_is_finished_by_a_clear_winner_where_it_waits_for_one(
    world: World, finish: Finish | None, judge: Judge, winner: str | None
) -> None:
    placement = put(world, finish)

    found = ended(placement, judge, now=START_MS)

    assert (None if found is None else found.winner) == winner


@pytest.mark.parametrize(
    ("finish", "judge", "canonical", "winner"),
    [
        (Finish(at=LATER), Judge(ahead="d"), "c", "d"),
        (Finish(at=LATER), Judge(ahead="b"), "c", "c"),
        (Finish(at=LATER), Judge(), "c", "c"),
        (Finish(at=LATER), Judge(), "b", "a"),
        (Finish(at=LATER), Judge(clear="c"), None, "a"),
        (Finish(at=LATER, when_clear=True), Judge(clear="c", ahead="d"), None, "c"),
        (Finish(at=LATER, when_clear=True), Judge(ahead="d"), None, "d"),
    ],
)
def test_at_its_date_it_is_finished_by_who_is_ahead_or_else_the_canonical_one(
    world: World, finish: Finish, judge: Judge, canonical: str | None, winner: str
) -> None:
    placement = put(world, finish, canonical=canonical)

    found = ended(placement, judge, now=START_MS + 60_000)

    assert found is not None
    assert (found.winner, found.since) == (winner, LATER)
    assert (found.at, found.when_clear) == (finish.at, finish.when_clear)


def test_a_named_winner_stays_when_its_date_has_come_whoever_becomes_clear_later(
    world: World,
) -> None:
    placement = put(world, Finish(when_clear=True, at=LATER, winner="a"))

    assert ended(placement, Judge(clear="c"), now=START_MS + 60_000) is None


def test_a_placement_without_anything_live_waits(world: World) -> None:
    put(world, Finish(at=LATER))
    for variant in "acd":
        world.editor.retire("spot", variant)

    assert ended(world.editor.placement("spot"), Judge(), now=START_MS + 60_000) is None


def test_finishing_is_an_edit_in_the_log_and_is_made_once(world: World) -> None:
    # given two processes that look after the same site
    put(world, Finish(when_clear=True))
    first, second = (finisher(world, Judge(clear="c")) for _ in range(2))

    # when
    done = [first.step(), second.step(), first.step()]

    # then
    assert done == [["spot"], [], []]
    last = world.entries()[-1][1]
    assert isinstance(last, PlacementChanged)
    assert (last.by, last.at) == ("finish", world.now)
    assert last.placement == world.editor.placement("spot")
    assert world.decide(placement="spot").variant.id == "c"


def test_only_placements_that_wait_are_looked_at(world: World) -> None:
    # given
    put(world, Finish(when_clear=True))
    judge = Judge()
    waiting = finisher(world, judge)
    waiting.step()
    assert judge.asked == ["spot"]

    # when it does not wait any more
    world.editor.put_finish("spot", None)
    waiting.step()

    # then
    assert judge.asked == ["spot"]


def test_an_edit_that_slips_in_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an editor who pauses the winner between the look and the edit
    put(world, Finish(when_clear=True))

    class Slow(Judge):
        def __call__(self, placement: Placement) -> Standing:
            world.editor.retire("spot", "c")
            return super().__call__(placement)

    # when
    waiting = finisher(world, Slow(clear="c"))

    # then
    assert waiting.step() == []
    assert world.editor.placement("spot").finish == Finish(when_clear=True)


def test_trouble_with_one_site_keeps_no_other_from_being_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given two sites, of which one cannot be read
    world = World()
    put(world, Finish(when_clear=True))
    look = Finishing(lambda site: finisher(world, Judge(clear="c")))
    real = MemorySite.catalog
    calls: list[int] = []

    def broken(site: MemorySite, since: int) -> Any:
        calls.append(since)
        if len(calls) == 1:
            raise StorageError("away")
        return real(site, since)

    monkeypatch.setattr(MemorySite, "catalog", broken)

    # when
    look.tend(["broken", "main"], 100.0)

    # then, and it looks again only after a while
    assert world.editor.placement("spot").finished(world.now)
    looked = len(calls)
    look.tend(["broken", "main"], 104.9)
    assert len(calls) == looked
    look.tend(["broken", "main"], 105.0)
    assert len(calls) > looked


def visited(world: World, rates: dict[str, float]) -> None:
    """Let visitors come who click at these rates, and wait until their rewards are known."""
    for _ in range(600):
        world.pass_time(0.2)
        world.visit(rates, placement="spot")
    world.pass_time(60)


def test_whoever_learns_finishes_what_visitors_made_clear(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(finishing, "FINISH_SECONDS", 0.05)
    put(world, Finish(when_clear=True))
    visited(world, {"a": 0.02, "c": 0.02, "d": 0.6})
    stop = threading.Event()
    learning = threading.Thread(target=world.services.learn, args=(stop,))

    # when
    learning.start()
    deadline = time.monotonic() + 20
    while not world.editor.placement("spot").finished(world.now) and time.monotonic() < deadline:
        stop.wait(0.02)
    stop.set()
    learning.join()

    # then
    finish = world.editor.placement("spot").finish
    assert finish is not None
    assert finish.winner == "d"


def test_who_is_ahead_by_chance_finishes_nothing_before_the_date(world: World) -> None:
    # given
    put(world, Finish(when_clear=True, at=moment_of(world.now + 3_600_000)))
    visited(world, {"a": 0.2, "c": 0.2, "d": 0.2})
    learner = world.learner()
    while learner.step():
        pass
    learner.finish()
    lead = world.services.reports("main").lead("spot")
    assert lead.clear is None
    assert lead.ahead is not None

    # when
    waiting = world.services.finisher("main")

    # then
    assert waiting.step() == []
    world.pass_time(3_600)
    assert waiting.step() == ["spot"]
    finish = world.editor.placement("spot").finish
    assert finish is not None
    assert finish.winner == lead.ahead
