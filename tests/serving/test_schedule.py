"""Schedules and finishes where visitors are answered: every process, every cache, every replay."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bandit_service.catalog.model import Finish, PlacementSpec
from bandit_service.catalog.moments import moment_of
from bandit_service.errors import NothingToShow
from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision
from bandit_service.folds.explain import explain
from bandit_service.folds.rebuild import fold_to
from bandit_service.policy.logged import LoggedCandidates
from bandit_service.serving.canonical import canonical
from bandit_service.serving.requests import DecideRequest
from bandit_service.serving.view import Shelf
from tests.world import QUICK, START_MS, World

MINUTE = 60_000


def put(world: World, *variants: dict[str, Any], **fields: Any) -> None:
    """Put a placement ``spot`` of live headlines."""
    specs = [{"headline": v["id"], "status": "live", **v} for v in variants]
    body = {"kind": "headline", "variants": specs, **fields}
    world.editor.put_placement("spot", msgspec.convert(body, PlacementSpec))


def decisions(world: World) -> list[Decision]:
    return [entry for _, entry in world.entries() if isinstance(entry, Decision)]


def shown(world: World, count: int = 40) -> set[str]:
    return {world.decide(placement="spot").variant.id for _ in range(count)}


def noon(minutes: float) -> Any:
    return moment_of(START_MS + round(minutes * MINUTE))


@pytest.fixture
def world() -> World:
    return World()


def test_visitors_see_a_variant_within_its_time_alone(world: World) -> None:
    put(world, {"id": "a"}, {"id": "b", "live_from": noon(1), "live_until": noon(2)})

    seen = []
    for _ in range(3):
        seen.append(shown(world))
        world.pass_time(60)

    assert seen == [{"a"}, {"a", "b"}, {"a"}]


def test_a_process_that_hears_nothing_new_keeps_to_the_schedule_all_the_same(world: World) -> None:
    # given a view that has the placement, and a store that it does not ask again
    put(world, {"id": "a", "live_until": noon(1)}, {"id": "b", "live_from": noon(1)})
    world.view.refresh()
    shelf = world.view.shelves["spot"]

    # then it is right at any time, also where the clock goes back
    for now, live in ((0, "a"), (MINUTE, "b"), (MINUTE - 1, "a"), (9 * MINUTE, "b")):
        assert [v.id for v in shelf.candidates(START_MS + now).variants] == [live]


def test_candidates_are_prepared_once_for_a_stretch_of_time(world: World) -> None:
    put(world, {"id": "a"}, {"id": "b", "live_from": noon(1)})
    shelf = Shelf(world.editor.placement("spot"))

    first = shelf.candidates(START_MS)

    assert shelf.candidates(START_MS + MINUTE - 1) is first
    assert shelf.candidates(START_MS + MINUTE) is not first


def test_where_no_variant_has_its_time_nothing_is_shown(world: World) -> None:
    put(world, {"id": "a", "live_from": noon(1)})
    world.view.refresh()

    with pytest.raises(NothingToShow):
        world.decide(placement="spot")
    with pytest.raises(NothingToShow):
        canonical(world.view, DecideRequest(placement="spot"), now=world.now)

    world.pass_time(60)
    assert world.decide(placement="spot").reason == "only"


def test_a_finished_placement_shows_its_winner_alone_and_logs_it(world: World) -> None:
    # given a placement that finishes in a minute
    put(world, {"id": "a"}, {"id": "b"}, {"id": "c"}, canonical="a")
    world.editor.put_finish("spot", Finish(winner="b", at=noon(1)))
    assert shown(world) == {"a", "b", "c"}
    before = len(decisions(world))

    # when
    world.pass_time(60)
    answers = [world.decide(placement="spot", visitor=f"v{n}") for n in range(20)]

    # then
    assert {answer.variant.id for answer in answers} == {"b"}
    assert {answer.reason for answer in answers} == {"only"}
    assert {answer.probability for answer in answers} == {1.0}
    assert [entry.arms for entry in decisions(world)[before:]] == [["b@1"]] * 20
    assert canonical(world.view, DecideRequest(placement="spot"), now=world.now).variant.id == "b"


def test_what_is_excluded_stays_so_when_a_placement_is_finished(world: World) -> None:
    put(world, {"id": "a"}, {"id": "b"}, finish={"winner": "b"})

    with pytest.raises(NothingToShow):
        world.decide(placement="spot", exclude=["b"])


def test_every_decision_can_be_derived_again_across_turns_of_the_schedule(world: World) -> None:
    # given a placement whose candidates change by themselves, three times
    put(
        world,
        {"id": "a"},
        {"id": "b", "live_from": noon(1)},
        {"id": "c", "live_until": noon(2)},
        finish={"winner": "b", "at": noon(3).isoformat()},
    )
    learner = world.learner()
    for n in range(200):
        world.pass_time(1.2)
        world.visit({"b": 0.5}, placement="spot", visitor=f"v{n % 7}")
        if n % 20 == 0:
            while learner.step():
                pass
    learner.finish()
    logged = decisions(world)
    assert len({tuple(entry.arms) for entry in logged}) == 4

    # then
    for entry in logged[::3]:
        explained = explain(world.log, entry.id, defaults=QUICK, progress=lambda _: None)
        assert explained.agrees

    # and folding the log again learns the same
    head = world.log.head()
    assert head is not None
    fold = fold_to(world.log, QUICK, head.position, progress=lambda _: None)
    assert fold.snapshot().name == head.name
    fold.close()


def test_who_reads_the_log_knows_what_each_decision_chose_among(world: World) -> None:
    # given decisions of one revision, with and without an exclusion, before and after a turn
    put(world, {"id": "a"}, {"id": "b"}, {"id": "c", "live_from": noon(1)})
    for _ in range(2):
        for exclude in ([], ["a"], []):
            world.decide(placement="spot", exclude=exclude)
        world.pass_time(60)

    # when
    history = CatalogHistory(keep_ms=10**9)
    readers = LoggedCandidates(history)
    asked = []
    for position, entry in world.entries():
        history.apply(position, entry)
        if isinstance(entry, Decision):
            asked.append((entry.arms, readers.asked(entry), readers.of(entry)))

    # then
    assert len(asked) == 6
    for arms, candidates, lines in asked:
        assert candidates is not None
        assert candidates.arms == arms
        assert list(candidates.lines) == lines
