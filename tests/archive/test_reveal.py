from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bandit_service.archive.reveal import NOT_STORED, Revealed, document, reveal
from bandit_service.archive.times import readable
from bandit_service.errors import LogError, NotFound
from bandit_service.events.entries import Decision, Event, decode
from bandit_service.events.identity import SiteSecret
from bandit_service.folds.site import SiteFold
from tests.world import QUICK, World, busy_world


def ask(world: World, visitor: str) -> Revealed:
    pseudonym = SiteSecret(world.log.secret()).pseudonym(visitor)
    return reveal(
        world.log,
        world.log.visits(pseudonym),
        pseudonym=pseudonym,
        settings=QUICK,
        progress=lambda _: None,
    )


def as_json(world: World, visitor: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(document(ask(world, visitor)))
    return found


def learn(world: World) -> None:
    learner = world.learner()
    while learner.step():
        pass
    world.pass_time(1)
    learner.finish()


def test_every_decision_and_event_of_a_visitor_is_revealed_as_logged_and_nobody_elses() -> None:
    world = busy_world(200)
    pseudonym = SiteSecret(world.log.secret()).pseudonym("visitor-3")
    entries = world.entries()
    mine = [(p, e) for p, e in entries if isinstance(e, Decision) and e.visitor == pseudonym]
    ids = {decision.id for _, decision in mine}
    theirs = [(p, e) for p, e in entries if isinstance(e, Event) and e.decision in ids]
    assert len(mine) > 2

    found = ask(world, "visitor-3")

    decisions = [(d.position, decode(bytes(d.entry))) for d in found.decisions]
    events = [(e.position, decode(bytes(e.entry))) for d in found.decisions for e in d.events]
    assert decisions == [(str(p), e) for p, e in mine]
    assert sorted(events, key=lambda row: row[0]) == [(str(p), e) for p, e in theirs]


def test_the_outcomes_revealed_are_those_that_were_learned() -> None:
    world = busy_world(200)
    fold = SiteFold(QUICK)
    learned = {
        o.decision.id: (o.kind, o.reward, o.views, readable(o.closed.ms))
        for position, entry in world.entries()
        for o in fold.apply(position, entry)
        if o.decision.visitor == SiteSecret(world.log.secret()).pseudonym("visitor-5")
    }
    fold.close()
    assert learned

    found = ask(world, "visitor-5")

    ids = [decode(bytes(d.entry)) for d in found.decisions]
    revealed = {
        entry.id: (d.outcome.kind, d.outcome.reward, d.outcome.views, d.outcome.closed)
        for entry, d in zip(ids, found.decisions, strict=True)
        if isinstance(entry, Decision) and d.outcome is not None
    }
    assert revealed == learned


def test_the_document_is_for_people_to_read() -> None:
    world = World()
    shown = world.decide(visitor="ann", traits={"genres": ["romantic"]})
    world.report(shown.decision, "click")
    learn(world)

    found = as_json(world, "ann")

    (visit,), (decision,) = found["visits"], found["decisions"]
    assert visit["placement"] == "film"
    assert visit["last_seen"] == decision["at"] == readable(decision["entry"]["at"])
    assert visit["last_shown"] == f"{shown.variant.id}@{shown.variant.version}"
    assert (visit["earlier_slots"], visit["seen_before_slot"]) == (0, None)
    assert [event["entry"]["type"] for event in decision["events"]] == ["click"]
    assert decision["outcome"]["kind"] == "rewarded"
    assert found["not_stored"] == list(NOT_STORED)
    assert "IP addresses" in " ".join(NOT_STORED)
    assert '"ann"' not in document(ask(world, "ann")).decode()


def test_a_decision_that_is_open_has_no_outcome_yet() -> None:
    world = World()
    world.decide(visitor="ann")

    assert as_json(world, "ann")["decisions"][0]["outcome"] is None


@pytest.mark.parametrize("late", [0.0, 5.0, 90.0])
def test_events_that_reached_the_log_before_their_decision_are_revealed_once(late: float) -> None:
    world = World()
    world.decide(visitor="bob")
    first = world.decide(visitor="ann")
    kept_aside = world.log._entries.pop()
    world.log._positions.pop()
    world.pass_time(late + 2)
    world.report(first.decision, "impression")
    world.log.append(kept_aside)
    world.report(first.decision, "click")
    second = world.decide(visitor="ann", placement="film")
    world.report(second.decision, "like")

    decisions = as_json(world, "ann")["decisions"]

    assert [[event["entry"]["type"] for event in d["events"]] for d in decisions] == [
        ["impression", "click"],
        ["like"],
    ]


def test_a_visit_that_outlived_the_log_is_revealed_by_itself() -> None:
    world = World()
    world.decide(visitor="ann")
    learn(world)
    world.log._positions.clear()
    world.log._entries.clear()

    found = as_json(world, "ann")

    assert (len(found["visits"]), found["decisions"]) == (1, [])


def test_of_a_visitor_who_never_came_nothing_is_found() -> None:
    world = busy_world(20)

    with pytest.raises(NotFound, match="holds nothing about this visitor") as missing:
        ask(world, "nobody")
    assert missing.value.hint
    assert "nobody" not in missing.value.message  # their id stays out of terminals and mails


def test_the_pseudonym_itself_opens_nothing() -> None:
    world = World()
    world.decide(visitor="ann")

    with pytest.raises(NotFound):
        ask(world, SiteSecret(world.log.secret()).pseudonym("ann"))


def test_an_entry_that_cannot_be_read_is_named_rather_than_left_out() -> None:
    world = World()
    world.decide(visitor="ann")
    position = world.log.append(b"{")

    with pytest.raises(LogError, match=str(position)):
        ask(world, "ann")
