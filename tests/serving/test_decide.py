from collections import Counter

import msgspec
import pytest
from scipy.stats import chisquare

from bandit_service.errors import InvalidInput, NotFound, NothingToShow
from bandit_service.events.entries import Decision
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.serving.page import decide_page
from bandit_service.serving.page_requests import PageRequest
from tests.world import QUICK, World, busy_world


def logged(world: World) -> list[Decision]:
    return [entry for _, entry in world.entries() if isinstance(entry, Decision)]


def learn(world: World) -> None:
    learner = world.learner()
    while learner.step():
        pass
    world.pass_time(2)
    learner.publish()


def test_a_visitor_sees_the_same_variant_throughout_a_slot() -> None:
    world = World()

    seen = {world.decide(visitor="ann").variant.id for _ in range(20)}

    assert len(seen) == 1


def test_a_visitor_may_see_another_variant_in_another_slot_or_placement() -> None:
    world = World()
    world.put("other", 4)

    in_time = set()
    for _ in range(40):
        in_time.add(world.decide(visitor="ann").variant.id)
        world.pass_time(QUICK.policy.slot_seconds)

    assert len(in_time) > 1
    pairs = {
        (
            world.decide(visitor=f"v{n}").variant.id,
            world.decide(visitor=f"v{n}", placement="other").variant.id,
        )
        for n in range(60)
    }
    assert len(pairs) > 6


def test_learning_in_the_middle_of_a_slot_moves_few_choices() -> None:
    patient = msgspec.structs.replace(
        QUICK, policy=msgspec.structs.replace(QUICK.policy, slot_seconds=86_400.0, gamma=3.0)
    )
    world = busy_world(200, settings=patient)
    learn(world)
    before = [world.decide(visitor=f"new-{n}") for n in range(300)]
    more = world.visit({"h1": 1.0}, visitor="somebody")
    world.report(more.decision, "click")
    learn(world)

    after = [world.decide(visitor=f"new-{n}") for n in range(300)]

    assert before[0].snapshot != after[0].snapshot
    changed = sum(a.variant.id != b.variant.id for a, b in zip(before, after, strict=True))
    assert changed < 30


def test_without_a_visitor_every_request_is_drawn_anew() -> None:
    world = World(SiteSettings(policy=PolicySettings(holdout=0.0)))

    counts = Counter(world.decide().variant.id for _ in range(2_000))

    assert chisquare(list(counts.values())).pvalue > 1e-3
    assert len(counts) == 4


def test_the_holdout_is_marked_and_its_share_is_kept() -> None:
    world = World(SiteSettings(policy=PolicySettings(holdout=0.3)))

    answers = [world.decide() for _ in range(3_000)]

    held = sum(answer.reason == "holdout" for answer in answers)
    assert chisquare([held, 3_000 - held], [900, 2_100]).pvalue > 1e-3
    assert [d.holdout for d in logged(world)] == [a.reason == "holdout" for a in answers]


def test_a_repeated_view_is_called_sticky_and_keeps_the_features_of_the_first() -> None:
    world = World(SiteSettings(policy=PolicySettings(holdout=0.0)))
    world.decide(visitor="bob")
    learn(world)
    world.pass_time(2_000)
    first = world.decide(visitor="bob")
    learn(world)

    again = world.decide(visitor="bob")

    assert first.reason in ("learned", "explored")
    assert again.reason == "sticky"
    one, two = logged(world)[-2:]
    assert one.context["seen"] == two.context["seen"]
    assert one.unit == two.unit


def test_how_often_and_when_a_visitor_saw_the_content_is_a_feature() -> None:
    world = World()
    features = []
    for _ in range(4):
        world.decide(visitor="ann")
        features.append(logged(world)[-1].context)
        learn(world)
        world.pass_time(2_000)

    assert [f["seen"] for f in features] == ["0", "1", "2", "3-5"]
    assert [f.get("last") for f in features] == [None, "hour", "hour", "hour"]


def test_visitors_are_logged_under_a_pseudonym_only() -> None:
    world = World()

    world.decide(visitor="ann@example.org")

    assert b"ann@example.org" not in b"".join(data for _, data in world.rows())
    assert logged(world)[-1].visitor == world.view.secret.pseudonym("ann@example.org")


def test_the_very_first_request_with_favourites_is_already_personal() -> None:
    settings = SiteSettings(
        rewards=QUICK.rewards,
        policy=msgspec.structs.replace(QUICK.policy, holdout=0.0),
    )
    world = World(settings)
    for _ in range(600):
        world.pass_time(0.2)
        persona = world.random.choice(("romantic", "comedy"))
        liked = {"romantic": {"h0": 0.7, "h2": 0.7}, "comedy": {"h1": 0.7, "h3": 0.7}}[persona]
        world.visit(liked, traits={"genres": [persona]})
    learn(world)

    shown = {
        persona: Counter(
            world.decide(visitor=f"{persona}-{n}", traits={"genres": [persona]}).variant.tags
            for n in range(100)
        )
        for persona in ("romantic", "comedy")
    }

    assert shown["romantic"][("couple",)] > 75
    assert shown["comedy"][("laughing",)] > 75


def test_a_new_variant_profits_at_once_from_what_its_tags_have_earned() -> None:
    world = World(msgspec.structs.replace(QUICK))
    for _ in range(600):
        world.pass_time(0.2)
        world.visit({"h1": 0.6, "h3": 0.6})
    learn(world)
    world.put("new-film", 4)

    expected = {}
    for _ in range(60):
        answer = world.decide(placement="new-film")
        expected[answer.variant.tags] = answer.match

    assert expected[("laughing",)] > 1.5 * expected[("couple",)]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"placement": "nowhere"}, NotFound),
        ({"exclude": ["h0", "h1", "h2", "h3"]}, NothingToShow),
        ({"persona": "pirate"}, InvalidInput),
        ({"candidates": []}, InvalidInput),
        ({"candidates": [{"headline": "no id"}]}, InvalidInput),
        ({"candidates": [{"id": "a"}, {"id": "a"}]}, InvalidInput),
        ({"context": {"hour": 24}}, InvalidInput),
        ({"context": {"timezone": "Mars/Olympus"}}, InvalidInput),
        ({"visitor": ""}, InvalidInput),
    ],
)
def test_what_cannot_be_decided_is_refused_and_not_logged(
    request_: dict[str, object], error: type[Exception]
) -> None:
    world = World()
    before = world.log.length()

    with pytest.raises(error):
        world.decide(**request_)

    assert world.log.length() == before


def test_a_page_is_decided_slot_by_slot_and_logged_together() -> None:
    world = World()
    world.put("other", 2)
    page = msgspec.convert(
        {
            "visitor": "ann",
            "traits": {"genres": ["comedy"]},
            "context": {"device": "tv"},
            "slots": [
                {"placement": "film"},
                {"placement": "other", "exclude": ["h0"], "context": {"place": "top"}},
            ],
        },
        PageRequest,
    )
    world.view.refresh()

    answer = decide_page(world.view, page, now=world.now, entropies=[b"a" * 9, b"b" * 9])

    assert [slot.placement for slot in answer.slots] == ["film", "other"]
    assert answer.slots[1].variant.id == "h1"
    assert answer.slots[1].reason == "only"
    one, two = logged(world)[-2:]
    assert one.context["device"] == two.context["device"] == "tv"
    assert two.context["place"] == "top"
    assert {slot.persona for slot in answer.slots} == {"comedy"}


def test_one_bad_slot_refuses_the_page_and_logs_nothing() -> None:
    world = World()
    before = world.log.length()
    slots = [{"placement": "film"}, {"placement": "nowhere"}]
    page = msgspec.convert({"slots": slots}, PageRequest)

    with pytest.raises(NotFound):
        decide_page(world.view, page, now=world.now, entropies=[b"a" * 9, b"b" * 9])

    assert world.log.length() == before


def test_inline_content_that_changes_is_another_arm() -> None:
    world = World()

    versions = {
        world.decide(placement="x", candidates=[{"id": "a", "headline": h}]).variant.version
        for h in ("One", "Two", "One")
    }

    assert len(versions) == 2
