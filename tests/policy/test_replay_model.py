"""The model of replay does what the model of the service does, to the bit."""

import random

import pytest

from bandit_service.catalog.model import Variant
from bandit_service.policy import vowpal
from bandit_service.policy.chooser import Candidates, ModelPolicy
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.settings import Exploration, PolicySettings
from bandit_service.policy.vowpal import ReplayModel, VowpalModel

EXPLORATIONS: list[Exploration] = ["squarecb", "softmax", "epsilon"]
Row = tuple[str, Candidates, int, float]


def rows(count: int, *, rewards: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)) -> list[Row]:
    """Decisions among 1 to 6 arms in a few situations."""
    rng = random.Random(5)
    made = []
    for _ in range(count):
        arms = rng.sample(range(9), rng.randrange(1, 7))
        variants = [Variant(id=f"v{arm}", version=1, tags=(f"t{arm % 3}",)) for arm in arms]
        shared = f"shared |p persona={rng.randrange(3)} |s place={rng.randrange(30)}"
        chosen = rng.randrange(len(arms))
        made.append((shared, Candidates.inline("film", variants), chosen, rng.choice(rewards)))
    return made


def settings_of(exploration: Exploration, *, learning_rate: float = 0.05) -> PolicySettings:
    return PolicySettings(exploration=exploration, learning_rate=learning_rate, typical_reward=0.2)


def lived(settings: PolicySettings, data: list[Row]) -> tuple[list[list[float]], bytes]:
    """What a model says before it learns each row, and the bytes of one that never was asked."""
    asked, taught = VowpalModel(settings), VowpalModel(settings)
    policy = ModelPolicy(settings, asked)
    said = []
    for shared, candidates, chosen, reward in data:
        said.append(policy.distribution(candidates, shared).overall)
        for model in (asked, taught):
            model.learn(Lesson(shared, candidates.lines, chosen, reward))
    saved = taught.save()
    asked.close()
    taught.close()
    return said, saved


def replayed(
    settings: PolicySettings, data: list[Row], *, at_once: bool
) -> tuple[list[list[float]], bytes]:
    model = ReplayModel(settings)
    policy = ModelPolicy(settings, model)
    said = []
    for shared, candidates, chosen, reward in data:
        if at_once:
            found = model.predict_and_learn(Lesson(shared, candidates.lines, chosen, reward))
            said.append(policy.given(candidates, found).overall)
        else:
            said.append(policy.distribution(candidates, shared).overall)
            model.learn(Lesson(shared, candidates.lines, chosen, reward))
    saved = model.save()
    policy.close()
    return said, saved


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_it_predicts_and_saves_the_same_bits(exploration: Exploration, *, at_once: bool) -> None:
    settings, data = settings_of(exploration), rows(2_000)

    said, saved = replayed(settings, data, at_once=at_once)

    assert (said, saved) == lived(settings, data)
    assert any(max(given) > 1.5 * min(given) for given in said)  # there was something to learn


def test_lines_that_it_let_go_of_are_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vowpal, "MAX_LINES", 4)
    monkeypatch.setattr(vowpal, "MAX_LESSONS", 2)
    settings, data = settings_of("squarecb"), rows(500)

    assert replayed(settings, data, at_once=False) == lived(settings, data)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("exploration", EXPLORATIONS)
@pytest.mark.parametrize("reward", [1e6, 1e19, 1e30, 1e37, 1e38])
@pytest.mark.parametrize("learning_rate", [0.01, 1_000.0])
def test_driven_out_of_range_it_knows_as_little(
    exploration: Exploration, reward: float, learning_rate: float, *, at_once: bool
) -> None:
    settings = settings_of(exploration, learning_rate=learning_rate)
    data = rows(150, rewards=(0.0, reward, -reward))

    said, _ = replayed(settings, data, at_once=at_once)

    assert said == lived(settings, data)[0]


def test_it_goes_on_from_what_was_saved() -> None:
    settings, data = settings_of("squarecb"), rows(600)
    half = VowpalModel(settings)
    for shared, candidates, chosen, reward in data[:300]:
        half.learn(Lesson(shared, candidates.lines, chosen, reward))
    model = ReplayModel(settings, half.save())

    said = []
    for shared, candidates, chosen, reward in data[300:]:
        found = model.predict_and_learn(Lesson(shared, candidates.lines, chosen, reward))
        said.append(ModelPolicy(settings, model).given(candidates, found).overall)

    assert (said, model.save()) == (lived(settings, data)[0][300:], lived(settings, data)[1])
    half.close()
    model.close()
