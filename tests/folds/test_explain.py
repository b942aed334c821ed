import msgspec
import pytest

from bandit_service.errors import NotFound, SnapshotError
from bandit_service.events.entries import Decision, encode
from bandit_service.folds.explain import Explanation, explain
from bandit_service.folds.learner import KEEP_SNAPSHOTS
from tests.world import QUICK, World, busy_world


def learned_world(visits: int = 150) -> World:
    """A world in which learning went on between visits."""
    world = World()
    learner = world.learner()
    rates = {"h0": 0.1, "h1": 0.6, "h2": 0.1, "h3": 0.1}
    for n in range(visits):
        world.pass_time(0.7)
        world.visit(
            rates,
            visitor=f"v{n % 9}",
            traits={"genres": ["comedy"]},
            context={"device": "tv | :\n", "hour": 3},
            exclude=["h0"] if n % 7 == 0 else [],
        )
        while learner.step():
            pass
    return world


def ask(world: World, decision: str) -> Explanation:
    return explain(world.log, decision, defaults=QUICK, progress=lambda _: None)


def test_every_decision_of_a_learning_site_is_derived_again_bit_for_bit() -> None:
    world = learned_world()
    decisions = [e for _, e in world.entries() if isinstance(e, Decision)]
    assert len({d.snapshot for d in decisions}) > 50

    for decision in decisions[::3]:
        found = ask(world, decision.id)

        assert found.agrees
        assert found.decision == decision
        assert not found.refolded


def test_a_decision_whose_snapshot_is_gone_is_derived_by_folding_the_log_again() -> None:
    world = learned_world()
    decisions = [e for _, e in world.entries() if isinstance(e, Decision)]
    world.log._snapshots.clear()

    for decision in (decisions[40], decisions[-1]):
        found = ask(world, decision.id)

        assert found.refolded
        assert found.agrees


def test_a_forged_propensity_in_the_log_is_found_out() -> None:
    world = learned_world(30)
    position, entry = next((p, e) for p, e in reversed(world.entries()) if isinstance(e, Decision))
    p = list(entry.probabilities)
    p[0], p[1] = p[0] + 1e-15, p[1] - 1e-15
    index = world.log._positions.index(position)
    world.log._entries[index] = encode(msgspec.structs.replace(entry, probabilities=p))

    assert not ask(world, entry.id).agrees


def test_an_explanation_tells_events_outcome_and_repeats() -> None:
    world = World()
    first = world.decide(visitor="ann")
    world.report(first.decision, "impression")
    second = world.decide(visitor="ann")
    world.report(second.decision, "click")

    one, two = ask(world, first.decision), ask(world, second.decision)

    assert [e.type for e in two.events] == ["impression", "click"]
    assert (one.repeats, two.repeats) == (False, True)
    assert one.outcome is not None
    assert (one.outcome.kind, one.outcome.reward, one.outcome.views) == ("rewarded", 1.0, 2)


def test_an_open_decision_has_no_outcome_yet() -> None:
    world = World()
    answer = world.decide()

    assert ask(world, answer.decision).outcome is None


def test_inline_candidates_can_be_explained() -> None:
    world = busy_world(50)
    answer = world.decide(
        placement="x", candidates=[{"id": "a b", "headline": "A"}, {"id": "c|d", "headline": "B"}]
    )

    assert ask(world, answer.decision).agrees


def test_a_decision_made_without_any_snapshot_can_be_explained() -> None:
    world = World()
    world.view.chooser = None
    world.log._head = None

    answer = world.decide()

    assert answer.reason in ("fallback", "holdout")
    assert ask(world, answer.decision).agrees


def test_a_decision_that_this_site_never_made_is_not_found() -> None:
    world = World()

    with pytest.raises(NotFound, match="not in the log"):
        ask(world, "A" * 32)
    with pytest.raises(NotFound, match="never issued"):
        ask(world, "no id")


def test_a_decision_is_explained_though_the_key_that_signed_it_is_gone() -> None:
    # given a decision of before two rotations that kept nothing they need not
    world = World()
    answer = world.decide()
    for _ in range(2):
        world.pass_time(60)
        world.services.mac_keys.rotate("main", QUICK, keep=2)
    world.view.refresh()
    assert world.view.secret.decision_time(answer.decision) is None

    # then
    assert ask(world, answer.decision).agrees
    assert ask(world, world.decide().decision).agrees


def test_a_snapshot_that_cannot_be_derived_to_its_name_is_refused() -> None:
    world = learned_world(30)
    logged = [(n, e) for n, (_, e) in enumerate(world.entries()) if isinstance(e, Decision)]
    world.log._snapshots.clear()
    world.log._entries[logged[1][0]] = b'{"t":"tick","at":0}'
    entry = logged[-1][1]

    with pytest.raises(SnapshotError, match="damaged"):
        ask(world, entry.id)


def test_the_store_keeps_a_bounded_number_of_snapshots() -> None:
    world = learned_world(KEEP_SNAPSHOTS + 60)

    assert len(world.log._snapshots) <= KEEP_SNAPSHOTS


def test_a_decision_made_while_a_clock_was_wrong_is_found_all_the_same() -> None:
    world = busy_world(30)
    right = world.now
    world.now -= 7_200_000
    answer = world.decide()
    world.now = right

    found = ask(world, answer.decision)

    assert found.agrees
    assert found.position.ms > found.decision.at + 3_600_000


def test_a_site_that_was_never_prepared_has_a_snapshot_with_its_first_request() -> None:
    world = World()
    view = world.services.view("another")

    assert view.chooser is not None
    assert world.store.site("another").head() is not None
