from __future__ import annotations

import random

import pytest

from bandit_service.policy.exploration import explored
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.settings import Exploration, PolicySettings
from bandit_service.policy.vowpal import VowpalModel

RATES = (0.1, 0.2, 0.5, 0.1, 0.3)
LINES = [f"|a id=h{n} |g t{n % 2}" for n in range(len(RATES))]


@pytest.mark.parametrize("lessons", [0, 300])
@pytest.mark.parametrize("greed", [0.05, 0.5, 4.0, 40.0])
@pytest.mark.parametrize("exploration", ["squarecb", "softmax", "epsilon"])
def test_formulas_give_what_vowpal_wabbit_gives_in_float32(
    exploration: Exploration, greed: float, lessons: int
) -> None:
    settings = PolicySettings(
        exploration=exploration,
        gamma=greed,
        epsilon=min(greed, 1.0),
        learning_rate=0.05,
        typical_reward=0.2,
    )
    model = VowpalModel(settings)
    chance = random.Random(1)
    for _ in range(lessons):
        chosen = chance.randrange(len(RATES))
        reward = float(chance.random() < RATES[chosen])
        model.learn(Lesson("shared |p x", LINES, chosen, reward))

    prediction = model.predict("shared |p x", LINES)
    model.close()

    given = explored(settings, prediction)
    assert sum(given) == pytest.approx(1.0, abs=1e-12)
    assert given == pytest.approx(prediction.probabilities, abs=2e-6)
