"""The whole model of Thompson sampling, as a fold: same log, same bytes, and always an answer."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

from bandit_service.catalog.model import Variant
from bandit_service.errors import SnapshotError
from bandit_service.policy import cells as sums
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.model import Model, open_model, open_replaying
from bandit_service.policy.pooled import PooledModel
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.settings import PolicySettings

SETTINGS = PolicySettings(typical_reward=0.2, bits=12, memory=300.0)
PERSONAS = ("comedy", "romance", "action")


class Row(NamedTuple):
    """What a model learns from."""

    shared: str
    actions: list[str]
    chosen: int
    reward: float
    probabilities: list[float] | None


def line(name: str, *tags: str, placement: str = "film", headline: str | None = None) -> str:
    return action_line(placement, (), Variant(id=name, version=1, tags=tags, headline=headline))


def who(persona: str, **context: str) -> str:
    return shared_line(persona, {}, context)


Rate = Callable[[str, str], float]
"""How often a persona rewards a variant, by their names."""


def rows(count: int, rate: Rate, *, seed: int = 5, most: int = 6, worth: float = 1.0) -> list[Row]:
    """Decisions among some of the variants ``v0`` … of two placements, in a few situations."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        names = [f"v{n}" for n in rng.sample(range(6), rng.randrange(1, most + 1))]
        placement, persona = rng.choice(("film", "series")), rng.choice(PERSONAS)
        lines = [
            line(name, f"t{name[-1]}", placement=placement, headline=f"About {name}")
            for name in names
        ]
        probabilities = [rng.uniform(0.1, 1.0) for _ in names]
        chosen = rng.choices(range(len(names)), probabilities)[0]
        told = [p / sum(probabilities) for p in probabilities] if rng.random() < 0.9 else None
        reward = worth * (rng.random() < rate(persona, names[chosen]))
        hour = who(persona, hour=str(rng.randrange(4)))
        made.append(Row(hour, lines, chosen, reward, told))
    return made


def tastes(persona: str, name: str) -> float:
    """The first persona likes the second variant, the others the third."""
    return 0.5 if name == ("v1" if persona == PERSONAS[0] else "v2") else 0.15


def teach(model: Model, row: Row, at: int = 0) -> None:
    """Show, and learn at once what came of it."""
    model.show(row.shared, row.actions, row.chosen)
    model.learn(Lesson(*row, at=at))


def taught(data: Sequence[Row], settings: PolicySettings = SETTINGS) -> PooledModel:
    model = PooledModel(settings)
    for row in data:
        teach(model, row)
    return model


@pytest.fixture(scope="module")
def known() -> Iterator[PooledModel]:
    """A model that nobody teaches any more."""
    model = taught(rows(4_000, tastes, most=5))
    yield model
    model.close()


ALL = [line(f"v{n}", f"t{n}", headline=f"About v{n}") for n in range(6)]


def said(prediction: Prediction) -> tuple[list[float], list[float], list[float]]:
    return prediction.probabilities, prediction.rewards, [*prediction.deviations]


def check(prediction: Prediction, count: int) -> None:
    """Probabilities, and finite rewards with deviations above 0."""
    assert len(prediction.probabilities) == len(prediction.rewards) == count
    assert len(prediction.deviations) == count
    assert math.fsum(prediction.probabilities) == pytest.approx(1.0, abs=1e-9)
    assert all(0.0 <= p <= 1.0 for p in prediction.probabilities)
    assert all(math.isfinite(reward) for reward in prediction.rewards)
    assert all(0.0 < deviation < math.inf for deviation in prediction.deviations)


# -- a fold


@pytest.mark.parametrize("cuts", [{0}, {1}, {400}, {799}, {1, 2, 3, 250, 251, 600}])
def test_saving_restoring_and_going_on_gives_the_same_bytes(cuts: set[int]) -> None:
    data = rows(800, tastes)
    whole = taught(data)

    model = PooledModel(SETTINGS)
    for n, row in enumerate(data):
        if n in cuts:
            saved = model.save()
            model.close()
            model = PooledModel(SETTINGS, saved)
        teach(model, row)

    assert model.save() == whole.save()
    model.close()
    whole.close()


def test_it_goes_on_alike_over_an_alarm_and_over_variants_that_are_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = PolicySettings(typical_reward=0.2, bits=12, memory=300.0, alarm=0.5)
    monkeypatch.setattr(sums, "MAX_ARMS", 7)
    monkeypatch.setattr(sums, "_HEAVY", 1.5)
    data = rows(600, tastes)
    whole, model = taught(data, settings), PooledModel(settings)

    for n, row in enumerate(data):
        if n % 50 == 0:
            saved = model.save()
            model.close()
            model = PooledModel(settings, saved)
        teach(model, row)

    assert model.save() == whole.save()
    model.close()
    whole.close()


def test_predicting_changes_no_bytes_and_nothing_that_is_learned_later() -> None:
    data = rows(500, tastes)
    plain, asked = taught(data), PooledModel(SETTINGS)

    for row in data:
        asked.predict(row.shared, row.actions)
        asked.predict(who("stranger", hour="x"), [line("new", "new tag"), *ALL])
        teach(asked, row)

    assert asked.save() == plain.save()
    plain.close()
    asked.close()


def test_predicting_and_learning_at_once_is_doing_both_in_turn() -> None:
    data = rows(300, tastes)
    one, other = open_replaying(SETTINGS), PooledModel(SETTINGS)

    for row in data:
        before = other.predict(row.shared, row.actions)
        teach(other, row)
        assert said(one.predict_and_learn(Lesson(*row))) == said(before)

    assert one.save() == other.save()
    one.close()
    other.close()


def test_a_model_that_was_loaded_says_what_the_one_that_learned_does() -> None:
    model = taught(rows(700, tastes))
    loaded = open_model(SETTINGS, model.save())

    for persona in (*PERSONAS, "stranger"):
        there, here = (each.predict(who(persona, hour="1"), ALL) for each in (loaded, model))
        assert said(there) == said(here)
    model.close()
    loaded.close()


def test_the_same_lessons_make_the_same_model() -> None:
    data = rows(400, tastes)
    one, other, less = taught(data), taught(data), taught(data[:-1])

    assert one.save() == other.save() != less.save()
    for model in (one, other, less):
        model.close()


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x95\x63\xc4\x00\x80\x80\x00"])
def test_bytes_of_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError) as refused:
        PooledModel(SETTINGS, data)

    assert "rebuild" in (refused.value.hint or "")


def test_a_model_of_another_format_is_refused() -> None:
    model = PooledModel(SETTINGS)
    data = bytearray(model.save())
    model.close()
    assert data[1] == 1
    data[1] = 99

    with pytest.raises(SnapshotError, match="format 99"):
        PooledModel(SETTINGS, bytes(data))


# -- what it says


def test_each_persona_gets_what_it_rewarded(known: PooledModel) -> None:
    comedy, action = (known.predict(who(persona), ALL) for persona in ("comedy", "action"))

    assert comedy.probabilities[1] > 0.9
    assert action.probabilities[2] > 0.9
    assert comedy.rewards[1] > 1.5 * action.rewards[1]


def test_a_persona_that_was_never_seen_gets_what_most_rewarded(known: PooledModel) -> None:
    prediction = known.predict(who("stranger"), ALL)

    check(prediction, 6)
    assert sum(prediction.probabilities[1:3]) > 0.6
    assert min(prediction.deviations) > max(known.predict(who("comedy"), ALL).deviations) / 3.0


def test_a_setting_that_is_blind_to_personas_pools_them_all() -> None:
    settings = PolicySettings(typical_reward=0.2, bits=12, cross=("situation",))
    model = taught(rows(2_000, tastes), settings)

    answers = [said(model.predict(who(persona), ALL)) for persona in (*PERSONAS, "stranger")]

    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0][2] > 0.5
    model.close()


def test_nothing_learned_chooses_evenly_and_expects_the_typical_reward() -> None:
    model = PooledModel(SETTINGS)

    prediction = model.predict(who("comedy"), ALL)

    check(prediction, 6)
    assert prediction.probabilities == pytest.approx([1.0 / 6.0] * 6)
    assert prediction.rewards == pytest.approx([0.2] * 6)
    model.close()


def test_on_a_placement_that_is_new_variants_start_alike_but_for_what_is_known_of_them(
    known: PooledModel,
) -> None:
    plain = known.predict(who("comedy"), [line(n, placement="new") for n in "abcd"])

    check(plain, 4)
    assert plain.probabilities == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("count", [1, 2, 100])
def test_any_number_of_candidates_has_an_answer(known: PooledModel, count: int) -> None:
    check(known.predict(who("comedy"), [line(f"v{n}") for n in range(count)]), count)


def test_the_order_of_candidates_does_not_matter_to_any(known: PooledModel) -> None:
    order = random.Random(3).sample(range(6), 6)

    straight = known.predict(who("comedy", hour="2"), ALL)
    mixed = known.predict(who("comedy", hour="2"), [ALL[n] for n in order])

    for one, other in zip(said(mixed), said(straight), strict=True):
        assert one == pytest.approx([other[n] for n in order], rel=1e-9, abs=1e-12)


def test_a_sharper_setting_follows_the_best_more_often() -> None:
    data = rows(300, tastes)
    shown = []
    for sharpness in (1.0, 8.0, 64.0):
        model = taught(data, PolicySettings(typical_reward=0.2, bits=12, sharpness=sharpness))
        shown.append(max(model.predict(who("action"), ALL).probabilities))
        model.close()

    assert shown[0] < shown[1] < shown[2]


@pytest.mark.parametrize("by", ["tags", "headline"])
def test_a_new_variant_starts_from_what_its_tags_and_words_have_earned(by: str) -> None:
    rng = random.Random(8)

    def named(placement: str, n: int) -> str:
        kind = ("good", "bad")[n % 2]
        tags, headline = ((kind,), None) if by == "tags" else ((), f"{kind} story")
        return line(f"v{n}", *tags, placement=placement, headline=headline)

    model = PooledModel(PolicySettings(typical_reward=0.2, bits=12))
    for _ in range(4_000):
        placement = f"p{rng.randrange(20)}"
        lines = [named(placement, n) for n in range(4)]
        chosen = rng.randrange(4)
        reward = float(rng.random() < (0.3, 0.1)[chosen % 2])
        teach(model, Row(who(rng.choice(PERSONAS)), lines, chosen, reward, [0.25] * 4))

    good, bad = model.predict(who("comedy"), [named("new", 0), named("new", 1)]).rewards

    assert good > 1.2 * bad
    model.close()


def test_a_variant_that_breaks_is_hardly_shown_soon_after() -> None:
    lines = [line(name) for name in "ab"]

    def shown_after_breaking(alarm: float) -> float:
        settings = PolicySettings(typical_reward=0.2, bits=12, alarm=alarm)
        rng, model = random.Random(4), PooledModel(settings)
        for step in range(6_200):
            chosen = rng.randrange(2)
            rate = 0.0 if chosen == 0 and step >= 6_000 else (0.4, 0.2)[chosen]
            teach(model, Row(who("x"), lines, chosen, float(rng.random() < rate), [0.5, 0.5]))
        shown = model.predict(who("x"), lines).probabilities[0]
        model.close()
        return shown

    assert shown_after_breaking(alarm=8.0) < 0.1
    assert shown_after_breaking(alarm=1e9) > 0.9


def test_what_is_shown_counts_before_its_window_ends_and_no_more_once_nobody_saw_it() -> None:
    model = taught(rows(500, tastes))
    before = model.predict(who("comedy"), ALL)

    for _ in range(30):
        model.show(who("comedy"), ALL, 1)
    during = model.predict(who("comedy"), ALL)
    for _ in range(30):
        model.unshow(who("comedy"), ALL, 1)
    after = model.predict(who("comedy"), ALL)

    assert during.rewards[1] < 0.9 * before.rewards[1]
    assert after.rewards == pytest.approx(before.rewards, rel=0.01)
    model.close()


def test_taking_back_what_was_never_shown_leaves_it_with_an_answer() -> None:
    model = taught(rows(20, tastes))

    for persona in (*PERSONAS, "stranger"):
        for chosen in range(6):
            model.unshow(who(persona), ALL, chosen)
    model.unshow(who("comedy"), [line("never", placement="nowhere")], 0)

    check(model.predict(who("comedy"), ALL), 6)
    model.close()


def test_what_is_still_to_come_is_told_by_how_long_placements_of_the_site_were_shown() -> None:
    model = PooledModel(SETTINGS)
    cells = model._cells

    def to_come(name: str) -> float:
        return model._to_come(cells.placements.get(name))

    def show(name: str, times: int) -> None:
        for _ in range(times):
            cells.seen(cells.placement(name))

    assert to_come("new") == 10_000.0
    show("film", 4_000)
    assert to_come("film") == pytest.approx(to_come("new") - 4_000)
    for n in range(100):
        show(f"short {n}", 1_000)
    assert 1_000 < to_come("new") < 4_500
    assert to_come("film") == 1_000.0
    model.close()


def test_less_is_explored_where_less_is_still_to_come() -> None:
    model = PooledModel(SETTINGS)
    for row in rows(2_000, tastes):
        teach(model, row)
    long = model.predict(who("action"), ALL).deviations
    model._cells.shown = 10_000_000

    short = model.predict(who("action"), ALL).deviations

    assert all(a < 0.9 * b for a, b in zip(short, long, strict=True))
    model.close()


# -- hostile lessons


@pytest.mark.parametrize("worth", [1e-6, 1e6, -1e6, 1.0, -1.0])
def test_rewards_of_any_size_and_sign_leave_it_with_an_answer(worth: float) -> None:
    model = taught(rows(400, tastes, worth=worth))

    for persona in (*PERSONAS, "stranger"):
        check(model.predict(who(persona, hour="1"), ALL), 6)
    model.close()


def test_rewards_of_all_sizes_together_leave_it_with_an_answer() -> None:
    rng, model = random.Random(7), PooledModel(SETTINGS)
    for row in rows(1_500, tastes):
        reward = rng.choice((0.0, 0.0, 1e6, -1e6, 1.0, -1.0, 1e-6))
        teach(model, row._replace(reward=reward))
        check(model.predict(row.shared, row.actions), len(row.actions))
    model.close()


@pytest.mark.parametrize("worth", [0.01, 300.0])
def test_rewards_in_another_unit_are_followed_alike(worth: float) -> None:
    other = PolicySettings(typical_reward=0.2 * worth, bits=12, memory=300.0)
    clicks, seconds = taught(rows(1_500, tastes)), taught(rows(1_500, tastes, worth=worth), other)

    for persona in PERSONAS:
        one, scaled = (model.predict(who(persona), ALL) for model in (clicks, seconds))
        assert scaled.probabilities == pytest.approx(one.probabilities, abs=0.02)
        assert scaled.rewards == pytest.approx([worth * r for r in one.rewards], rel=0.02)
    clicks.close()
    seconds.close()


def test_dislikes_among_likes_are_no_alarm() -> None:
    rng, model = random.Random(3), PooledModel(SETTINGS)
    for row in rows(3_000, tastes):
        teach(model, row._replace(reward=rng.choices((1.0, -1.0, 0.0), (0.2, 0.15, 0.65))[0]))

    remembered = [place.rewards for place in model._cells.placements.values()]
    assert min(remembered) > 200  # of about 500; an alarm leaves 50
    model.close()


def test_rewards_that_are_all_nothing_leave_it_even() -> None:
    model = taught(rows(1_000, lambda *_: 0.0))

    check(model.predict(who("comedy"), ALL), 6)
    assert max(model.predict(who("comedy"), ALL).rewards) < 0.05
    model.close()


@pytest.mark.parametrize(
    "told",
    [[0.0, 1.0], [math.nan, 0.5], [0.5], [], [0.5, 0.3, 0.2], [0.5, math.inf], [-0.5, 1.5]],
)
def test_probabilities_that_are_none_teach_the_spreads_nothing(told: list[float]) -> None:
    broken, silent = PooledModel(SETTINGS), PooledModel(SETTINGS)
    lines = [line("a"), line("b")]
    for model, probabilities in ((broken, told), (silent, None)):
        for _ in range(60):
            teach(model, Row(who("x"), lines, 0, 1.0, probabilities))
            teach(model, Row(who("x"), lines, 1, 0.0, probabilities))

    assert broken.save() == silent.save()
    broken.close()
    silent.close()
