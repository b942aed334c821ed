from __future__ import annotations

import random

import pytest

from bandit_service.catalog.model import Variant
from bandit_service.errors import SnapshotError
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.regression import MOST_IMPORTANT, Regression, arguments
from bandit_service.policy.settings import PolicySettings

SETTINGS = PolicySettings(bits=12)
COMEDY = shared_line("comedy", {}, {})
ROMANCE = shared_line("romance", {}, {})


def line(name: str, *tags: str, headline: str | None = None) -> str:
    return action_line("film", (), Variant(id=name, version=1, tags=tags, headline=headline))


def taught(
    lessons: list[tuple[str, str, float]],
    *,
    settings: PolicySettings = SETTINGS,
    stop: int | None = None,
) -> Regression:
    model = Regression(settings)
    for n, (shared, action, value) in enumerate(lessons):
        if n == stop:
            saved = model.save()
            model.close()
            model = Regression(settings, saved)
        model.learn(shared, action, value, 1.0)
    return model


def some(count: int) -> list[tuple[str, str, float]]:
    rng = random.Random(2)
    made = []
    for _ in range(count):
        tag = rng.choice(("laughing", "kissing"))
        shared = shared_line(rng.choice(("comedy", "romance")), {}, {"hour": str(rng.randrange(5))})
        action = line(f"v{rng.randrange(9)}", tag, headline=f"words of {rng.choice('abc')}")
        made.append((shared, action, rng.gauss(0.3 * (tag == "laughing"), 1.0)))
    return made


def test_a_tag_says_of_a_new_variant_what_it_earned_elsewhere() -> None:
    model = taught([(COMEDY, line(f"v{n % 7}", "good"), 1.0) for n in range(400)])

    new, other = model.predict(COMEDY, [line("new", "good"), line("new", "unknown")])

    assert new > 0.5
    assert other == 0.0
    model.close()


def test_words_say_it_too() -> None:
    model = taught([(COMEDY, line(f"v{n % 7}", headline="How Hot"), 1.0) for n in range(600)])

    both, one, none = model.predict(
        COMEDY,
        [line("new", headline=text) for text in ("hot how", "Why so hot?", "entirely other")],
    )

    assert both > one > 0.1
    assert none == 0.0
    model.close()


def test_a_tag_may_be_liked_by_one_persona_and_not_by_another() -> None:
    lessons = [
        (who, line(f"v{n % 5}", "joke"), value)
        for n in range(400)
        for who, value in ((COMEDY, 1.0), (ROMANCE, -1.0))
    ]
    model = taught(lessons)

    assert model.predict(COMEDY, [line("new", "joke")])[0] > 0.3
    assert model.predict(ROMANCE, [line("new", "joke")])[0] < -0.3
    model.close()


def test_a_variant_by_itself_teaches_nothing_the_cells_know_it() -> None:
    model = taught([(COMEDY, line("a"), 1.0)] * 300)

    assert model.predict(COMEDY, [line("a"), line("b")]) == [0.0, 0.0]
    model.close()


def test_a_variant_in_a_situation_does() -> None:
    evening, morning = (shared_line("x", {}, {"hour": hour}) for hour in ("evening", "morning"))
    model = taught([(evening, line("a"), 1.0)] * 300)

    assert model.predict(evening, [line("a"), line("b")])[0] > 0.5
    assert model.predict(evening, [line("b")]) == [0.0]
    assert model.predict(morning, [line("a")]) == [0.0]
    model.close()


def test_what_is_not_crossed_teaches_nothing_of_the_variant() -> None:
    plain = PolicySettings(bits=12, cross=())
    evening = shared_line("x", {}, {"hour": "evening"})
    model = taught([(evening, line("a", "good"), 1.0)] * 100, settings=plain)

    here = model.predict(evening, [line("b", "good")])

    assert here[0] > 0.3
    assert model.predict(COMEDY, [line("b", "good")]) == here
    model.close()


def test_learning_says_what_was_predicted_before() -> None:
    model = taught(some(100))
    expected = model.predict(COMEDY, [line("new", "laughing")])[0]

    assert expected != 0.0
    assert model.learn(COMEDY, line("new", "laughing"), 5.0, 1.0) == expected
    assert model.predict(COMEDY, [line("new", "laughing")])[0] > expected
    model.close()


@pytest.mark.parametrize("importance", [MOST_IMPORTANT * 3, 1e9])
def test_no_example_is_more_important_than_the_most(importance: float) -> None:
    heavy, most = Regression(SETTINGS), Regression(SETTINGS)
    heavy.learn(COMEDY, line("a", "good"), 1.0, importance)
    most.learn(COMEDY, line("a", "good"), 1.0, MOST_IMPORTANT)

    found = heavy.predict(COMEDY, [line("b", "good")])

    assert found == most.predict(COMEDY, [line("b", "good")]) != [0.0]
    heavy.close()
    most.close()


@pytest.mark.parametrize("stop", [0, 1, 150, 299])
def test_saving_restoring_and_going_on_gives_the_same_bytes(stop: int) -> None:
    whole, cut = taught(some(300)), taught(some(300), stop=stop)

    assert cut.save() == whole.save()
    whole.close()
    cut.close()


def test_predicting_before_saving_changes_no_bytes() -> None:
    asked, plain = taught(some(200)), taught(some(200))
    for shared, action, _ in some(50):
        asked.predict(shared, [action, line("never seen", "unknown")])

    assert asked.save() == plain.save()
    asked.close()
    plain.close()


def test_saving_is_repeatable() -> None:
    model = taught(some(50))

    assert model.save() == model.save()
    model.close()


def test_all_candidates_are_predicted_in_their_order() -> None:
    model = taught(some(300))
    actions = [line(f"v{n}", ("laughing", "kissing")[n % 2]) for n in range(6)]

    found = model.predict(COMEDY, actions)

    assert found == [model.predict(COMEDY, [action])[0] for action in actions]
    assert found[0] != found[1]
    model.close()


def test_the_command_line_holds_what_the_settings_say() -> None:
    said = arguments(PolicySettings(learning_rate=0.003, power_t=0.5, bits=14, cross=("traits",)))

    assert "-l 0.003 " in said
    assert "--power_t 0.5 " in said
    assert "-b 14 " in said
    assert said.endswith("-q tg -q ta")


def test_a_model_that_vw_cannot_load_is_refused() -> None:
    with pytest.raises(SnapshotError) as refused:
        Regression(SETTINGS, b"not a model")

    assert "rebuild" in (refused.value.hint or "")
