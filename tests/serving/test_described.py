import pytest

from bandit_service.errors import InvalidInput
from bandit_service.serving import described as module
from bandit_service.serving.requests import DecideRequest
from tests.world import World

NOW = 1_800_000_000_000


def request(**fields: object) -> DecideRequest:
    return DecideRequest(placement="film", **fields)  # type: ignore[arg-type]


def world() -> World:
    made = World()
    made.view.refresh()
    return made


def test_those_who_say_the_same_are_described_once() -> None:
    descriptions = world().view.descriptions

    one = descriptions.of(request(traits={"genres": ["comedy"]}, context={"hour": 3}), NOW)
    two = descriptions.of(request(traits={"genres": ["comedy"]}, context={"hour": 3}), NOW + 1)

    assert one is two
    assert one.resolution.persona == "comedy"
    assert one.context == {"hour": "night"}


@pytest.mark.parametrize(
    "other",
    [
        {"traits": {"n": 1}},
        {"traits": {"n": "1"}},
        {"traits": {"n": True}},
        {"traits": {"n": [1]}},
        {"context": {"n": 1}},
        {"persona": "comedy"},
    ],
)
def test_those_who_say_something_else_are_not(other: dict[str, object]) -> None:
    descriptions = world().view.descriptions
    said: tuple[dict[str, object], ...] = (
        {"traits": {"n": 1.5}},
        {"traits": {"m": 1}},
        {"context": {"n": "x"}},
        {},
    )

    described = {id(descriptions.of(request(**each), NOW)) for each in (*said, other)}

    assert len(described) == 5


def test_a_local_time_is_never_kept() -> None:
    descriptions = world().view.descriptions
    asked = request(context={"timezone": "UTC"})

    hours = {descriptions.of(asked, NOW + 6 * 3_600_000 * n).context["hour"] for n in range(4)}

    assert hours == {"night", "morning", "afternoon", "evening"}


def test_new_personas_describe_anew() -> None:
    made = world()
    asked = request(traits={"genres": ["pirate"]})
    before = made.view.descriptions.of(asked, NOW)

    made.put_personas(["pirate"])
    made.view.refresh()

    assert before.resolution.persona == "unknown"
    assert made.view.descriptions.of(asked, NOW).resolution.persona == "pirate"


def test_what_is_remembered_of_a_visitor_is_part_of_the_line_and_not_of_what_is_kept() -> None:
    described = world().view.descriptions.of(request(context={"device": "tv"}), NOW)

    lines = [described.shared(each) for each in ({}, {"seen": "0"}, {"seen": "1", "last": "day"})]

    assert lines == [
        "shared |p persona=unknown |s device=tv",
        "shared |p persona=unknown |v seen=0 |s device=tv",
        "shared |p persona=unknown |v last=day seen=1 |s device=tv",
    ]
    assert described.context == {"device": "tv"}


def test_what_is_wrong_is_refused_every_time() -> None:
    descriptions = world().view.descriptions

    for _ in range(2):
        with pytest.raises(InvalidInput):
            descriptions.of(request(context={"hour": 99}), NOW)


def test_descriptions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    descriptions = world().view.descriptions
    first = descriptions.of(request(context={"n": 0}), NOW)

    for n in range(1, 4):
        descriptions.of(request(context={"n": n}), NOW)

    assert descriptions.of(request(context={"n": 0}), NOW) is not first
