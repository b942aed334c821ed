"""What models cost: the part of ``price`` that puts Thompson sampling beside SquareCB.

Every model has seen each variant of a placement with each of six personas, as Thompson sampling
keeps sums of all of these, and reads all that belong to the candidates of a decision. Predictions
are of the model itself: what serving keeps of them (``chooser``) is a row of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle
from random import Random
from typing import Final, NamedTuple

from bandit_service.catalog.model import Variant
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.model import Model, open_model
from bandit_service.policy.settings import Exploration, PolicySettings, SiteSettings
from bench.fold import Log, make_log, run_fold
from bench.measures import Scale
from bench.traffic import PROFILES

EXPLORATIONS: Final[tuple[Exploration, ...]] = ("thompson", "squarecb")
CANDIDATES: Final = (6, 100)
_PERSONAS: Final = 6
_DEVICES: Final = ("phone", "tv", "tablet")
_CLICKS: Final = 0.05
_LESSONS: Final = 5
"""Times that each variant is shown to each persona."""
_SHARE: Final = 10
"""One in so many of the outcomes of ``fold`` is folded here, each round."""


class Learned(NamedTuple):
    """A model, and what it is asked."""

    model: Model
    shared: list[str]
    actions: list[str]
    data: bytes


class Models:
    """The models to be timed. Call ``close`` when done."""

    def __init__(self, scale: Scale) -> None:
        """Teach one of each exploration and number of candidates."""
        self._count = max(100, scale.outcomes // _SHARE)
        self._log: Log = make_log(self._count, profiles=PROFILES)
        self._learned = {
            (exploration, count): _learned(exploration, count)
            for exploration in EXPLORATIONS
            for count in CANDIDATES
        }

    def calls(self) -> list[tuple[str, Callable[[], object]]]:
        """Parts that are timed call by call."""
        found = []
        for (exploration, count), learned in self._learned.items():
            found += [
                (f"predict, {exploration}, {count} candidates", _predicting(learned)),
                (f"learn, {exploration}, {count} candidates", _learning(learned)),
            ]
        return found

    def whole(self) -> list[tuple[str, Callable[[], float]]]:
        """Parts that take long and say themselves how many microseconds they took."""
        found: list[tuple[str, Callable[[], float]]] = []
        for exploration in EXPLORATIONS:
            found.append((f"fold an outcome, {exploration}", self._folding(exploration)))
            for count in CANDIDATES:
                learned = self._learned[exploration, count]
                name = f"save, {exploration}, {count} candidates"
                found.append((name, _timed(learned.model.save)))
                name = f"load, {exploration}, {count} candidates"
                found.append((name, _timed(_loading(exploration, learned.data))))
        return found

    def notes(self) -> list[str]:
        """How large the saved models are."""
        return [
            f"a saved model, {exploration}, {count} candidates x {_PERSONAS} personas: "
            f"{len(learned.data):,} bytes"
            for (exploration, count), learned in self._learned.items()
        ]

    def close(self) -> None:
        """Free the models."""
        for learned in self._learned.values():
            learned.model.close()

    def _folding(self, exploration: Exploration) -> Callable[[], float]:
        settings = SiteSettings(policy=PolicySettings(exploration=exploration))
        took = _timed(lambda: run_fold(settings, self._log))
        return lambda: took() / self._count


def _learned(exploration: Exploration, count: int) -> Learned:
    random, settings = Random(4), PolicySettings(exploration=exploration)
    variants = [
        Variant(id=f"v{n}", version=1, headline=f"Story {n} of {n % 7}", tags=(f"t{n % 5}",))
        for n in range(count)
    ]
    actions = [action_line("film", ("drama",), variant) for variant in variants]
    shared = [
        shared_line(f"persona-{z}", {}, {"device": device, "seen": "0"})
        for z in range(_PERSONAS)
        for device in _DEVICES
    ]
    model, even = open_model(settings), [1.0 / count] * count
    for number in range(_LESSONS * count * _PERSONAS):
        line = shared[number // count % len(shared)]
        model.show(line, actions, number % count)
        model.learn(Lesson(line, actions, number % count, float(random.random() < _CLICKS), even))
    data = model.save()
    model.close()
    return Learned(open_model(settings, data), shared, actions, data)


def _predicting(learned: Learned) -> Callable[[], object]:
    turn = cycle(learned.shared)
    return lambda: learned.model.predict(next(turn), learned.actions)


def _learning(learned: Learned) -> Callable[[], object]:
    """Outcomes of which one in twenty is rewarded, as the log has them."""
    count = len(learned.actions)
    even = [1.0 / count] * count
    turn = cycle(range(20 * count))
    shared = cycle(learned.shared)

    def once() -> None:
        number, line = next(turn), next(shared)
        reward = float(number % 20 == 0)
        learned.model.show(line, learned.actions, number % count)
        learned.model.learn(Lesson(line, learned.actions, number % count, reward, even))

    return once


def _loading(exploration: Exploration, data: bytes) -> Callable[[], object]:
    return lambda: open_model(PolicySettings(exploration=exploration), data).close()


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        started = time.perf_counter()
        call()
        return (time.perf_counter() - started) * 1e6

    return once
