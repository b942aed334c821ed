import random

import pytest
import vowpalwabbit

from bandit_service.errors import SnapshotError
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.settings import Exploration, PolicySettings
from bandit_service.policy.vowpal import VowpalModel, arguments

Example = tuple[str, list[str], int, float]


def examples(count: int, *, contexts: int = 40) -> list[Example]:
    """Decisions among 2 to 6 arms of which the second is the best for one persona."""
    rng = random.Random(5)
    made = []
    for _ in range(count):
        arms = rng.sample(range(6), rng.randrange(2, 7))
        persona = rng.choice(("romantic", "comedy"))
        shared = f"shared |p persona={persona} |s place={rng.randrange(contexts)}"
        chosen = rng.randrange(len(arms))
        rate = 0.3 if (arms[chosen] == 1 and persona == "comedy") else 0.05
        lines = [f"|a film/v{arm}@1 |g tag=t{arm % 3}" for arm in arms]
        made.append((shared, lines, chosen, float(rng.random() < rate)))
    return made


def trained(settings: PolicySettings, data: list[Example], *, stop: int | None = None) -> bytes:
    """The model after ``data``, saved and restored after ``stop`` examples."""
    model = VowpalModel(settings)
    for n, example in enumerate(data):
        if n == stop:
            saved = model.save()
            model.close()
            model = VowpalModel(settings, saved)
        model.learn(Lesson(*example))
    saved = model.save()
    model.close()
    return saved


@pytest.mark.parametrize("exploration", ["squarecb", "softmax", "epsilon"])
def test_saving_restoring_and_going_on_gives_the_same_bytes(exploration: Exploration) -> None:
    settings = PolicySettings(exploration=exploration)
    data = examples(1_500)

    assert trained(settings, data) == trained(settings, data, stop=700)


def test_the_bindings_predict_what_the_wrappers_around_them_do() -> None:
    settings = PolicySettings(exploration="squarecb", learning_rate=0.05)
    data = examples(2_000)
    plain = vowpalwabbit.Workspace(f"{arguments(settings)} --quiet")
    for shared, lines, chosen, reward in data:
        cost = (settings.typical_reward - reward) / settings.typical_reward
        label = f"0:{cost:.9g}:1 "
        text = [label + line if n == chosen else line for n, line in enumerate(lines)]
        parsed = plain.parse([shared, *text])
        plain.learn(parsed)
        plain.finish_example(parsed)

    ours = VowpalModel(settings, trained(settings, data))

    for shared, lines, _, _ in data[:200]:
        parsed = plain.parse([shared, *lines])
        expected = plain.predict(parsed)
        plain.finish_example(parsed)
        got = ours.predict(shared, lines).probabilities
        assert got == [p / sum(expected) for p in expected]
    ours.close()
    plain.finish()


@pytest.mark.parametrize("exploration", ["squarecb", "softmax", "epsilon"])
def test_the_order_in_which_candidates_are_listed_teaches_nothing(
    exploration: Exploration,
) -> None:
    settings = PolicySettings(exploration=exploration, learning_rate=0.05)
    data = examples(2_000)
    rng = random.Random(9)
    reordered = []
    for shared, lines, chosen, reward in data:
        order = rng.sample(range(len(lines)), len(lines))
        reordered.append((shared, [lines[n] for n in order], order.index(chosen), reward))

    assert trained(settings, reordered) == trained(settings, data)


def test_an_untrained_model_expects_the_typical_reward_and_chooses_evenly() -> None:
    settings = PolicySettings(exploration="squarecb", typical_reward=0.04)
    model = VowpalModel(settings)

    prediction = model.predict("shared |p persona=x", ["|a a", "|a b", "|a c", "|a d"])

    assert prediction.rewards == [0.04] * 4
    assert prediction.probabilities == [0.25] * 4
    model.close()


def test_a_trained_model_prefers_what_a_persona_rewarded() -> None:
    settings = PolicySettings(
        exploration="squarecb", typical_reward=0.1, learning_rate=0.05, gamma=30.0
    )
    model = VowpalModel(settings, trained(settings, examples(6_000)))
    lines = [f"|a film/v{arm}@1 |g tag=t{arm % 3}" for arm in range(6)]

    comedy = model.predict("shared |p persona=comedy", lines)
    romantic = model.predict("shared |p persona=romantic", lines)

    assert max(comedy.probabilities) == comedy.probabilities[1] > 0.5
    assert comedy.rewards[1] > 2 * romantic.rewards[1]
    model.close()


def test_expected_rewards_come_in_the_order_of_the_candidates() -> None:
    settings = PolicySettings(exploration="squarecb", typical_reward=0.1, learning_rate=0.05)
    model = VowpalModel(settings, trained(settings, examples(3_000)))
    lines = [f"|a film/v{arm}@1 |g tag=t{arm % 3}" for arm in range(6)]

    forth = model.predict("shared |p persona=comedy", lines).rewards
    back = model.predict("shared |p persona=comedy", lines[::-1]).rewards

    assert forth == pytest.approx(back[::-1], abs=1e-6)
    model.close()


def test_a_model_that_vw_cannot_load_is_refused() -> None:
    with pytest.raises(SnapshotError) as refused:
        VowpalModel(PolicySettings(), b"not a model")

    assert "rebuild" in (refused.value.hint or "")
