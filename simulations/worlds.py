"""Small worlds whose truth is known exactly, for measuring how often intervals hold.

A world makes many logs at once: visitors of a few personas come, a logging policy shows one of a
few arms with probabilities that it writes down, and a reward follows. Every array is over L logs of
n rows. Everything follows from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Floats, Whole

PERSONAS = 3
ARMS = 5
_SHARES: Floats = np.array([0.5, 0.3, 0.2])
"""How common each persona is."""
_LIKING: Floats = np.array(
    [[1.0, 0.6, 0.8, 0.5, 1.6], [0.7, 1.5, 0.6, 0.9, 0.8], [0.5, 0.7, 1.7, 1.1, 0.6]]
)
"""PERSONAS x ARMS: how well each persona likes each arm, relative to the world's base rate."""
_STEP = 10
"""Rows between two updates of a logging policy that learns."""
_VISITS = 5
"""Rows of a visitor, where they return."""


TARGETS: Mapping[str, str] = {
    "best": "always the best variant",
    "persona": "leaning to what each persona likes",
    "log": "the log's own policy",
    "rare": "always the variant least shown",
}
"""The policies to be evaluated, in words."""


class Logs(NamedTuple):
    """L logs of n rows."""

    persona: Whole
    """L x n"""
    visitor: Whole
    """L x n: rows with the same number are of the same visitor."""
    logged: Floats
    """L x n x ARMS: probabilities of the draw."""
    chosen: Whole
    """L x n"""
    reward: Floats
    """L x n"""
    expected: Floats
    """n x PERSONAS x ARMS: mean reward at each row over everyone who might have come."""
    given: Floats
    """L x n x ARMS: mean reward of each arm for the very visitor who came."""

    def truth(self, target: Floats) -> float:
        """What a policy (PERSONAS x ARMS) earns per row on average, over everyone."""
        return float(np.mean((self.expected * target).sum(axis=2) @ _SHARES))

    def running(self, target: Floats) -> Floats:
        """L x n: what it earns per row on those who came, averaged over the rows so far."""
        values = (self.given * target[self.persona]).sum(axis=2)
        return np.cumsum(values, axis=1) / np.arange(1.0, values.shape[1] + 1.0)


Policy = Callable[[Whole], Floats]
"""Persona of each row to the probabilities of the arms."""


class World(NamedTuple):
    """How logs come about."""

    name: str
    words: str
    n: int
    """Rows of a log."""
    base: float
    """Mean reward of an arm that is liked neither more nor less."""
    policy: Floats | None = None
    """PERSONAS x ARMS of a logging policy that stands still; None: it learns while logging."""
    returning: bool = False
    """Whether each visitor makes several rows, alike in taste."""
    graded: bool = False
    """Whether rewards are a share watched instead of a click."""
    drift: float = 0.0
    """By how much tastes turn from the first row to the last, of 1."""
    blind: bool = False
    """Whether a model of rewards cannot tell personas apart, so that it is wrong."""
    targets: tuple[str, ...] = ("best", "persona")

    def logs(self, count: int, rng: np.random.Generator) -> Logs:
        """Some logs of this world."""
        visitor, persona, mood = self._visitors(count, rng)
        expected = self._expected()
        given = np.clip(expected[np.arange(self.n), persona] * mood[..., None], 0.0, 1.0)
        rewards = self._rewards(given, rng)
        uniform = rng.random((count, self.n))
        if self.policy is None:
            logged, chosen = _learning(persona, rewards, uniform)
        else:
            logged = self.policy[persona]
            chosen = _drawn(logged, uniform)
        reward = np.take_along_axis(rewards, chosen[..., None], axis=2)[..., 0]
        return Logs(persona, visitor, logged, chosen, reward, expected, given)

    def target(self, name: str) -> Floats:
        """PERSONAS x ARMS: a policy to be evaluated, one of ``TARGETS``."""
        mean = self._expected().mean(axis=0)
        if name == "best":
            return np.tile(np.eye(ARMS)[np.argmax(_SHARES @ mean)], (PERSONAS, 1))
        if name == "persona":
            likes = np.exp(3.0 * mean / self.base)
            leaning: Floats = likes / likes.sum(axis=1, keepdims=True)
            return leaning
        policy = np.full((PERSONAS, ARMS), 1.0 / ARMS) if self.policy is None else self.policy
        return policy if name == "log" else np.eye(ARMS)[np.argmin(policy, axis=1)]

    def _expected(self) -> Floats:
        turn = self.drift * np.linspace(0.0, 1.0, self.n)[:, None, None]
        mean: Floats = self.base * ((1.0 - turn) * _LIKING + turn * _LIKING[:, ::-1])
        return mean

    def _visitors(self, count: int, rng: np.random.Generator) -> tuple[Whole, Whole, Floats]:
        """Who comes, their personas, and how ready each is to click, 1 on average."""
        rows = _VISITS if self.returning else 1
        people = self.n // rows
        order = np.argsort(rng.random((count, self.n)), axis=1) if self.returning else None
        who = np.tile(np.repeat(np.arange(people), rows), (count, 1))
        if order is not None:
            who = np.take_along_axis(who, order, axis=1)
        persona = rng.choice(PERSONAS, (count, people), p=_SHARES)
        mood = rng.uniform(0.1, 1.9, (count, people)) if self.returning else np.ones_like(persona)
        visitor = who + np.arange(count)[:, None] * people
        return (
            visitor,
            np.take_along_axis(persona, who, axis=1),
            np.take_along_axis(mood.astype(np.float64), who, axis=1),
        )

    def _rewards(self, given: Floats, rng: np.random.Generator) -> Floats:
        """What each arm would have earned: a click, or a share watched, often 0 or all."""
        if self.graded:
            return rng.beta(given, 1.0 - given + 1e-9)
        return (rng.random(given.shape) < given).astype(np.float64)


def _drawn(probabilities: Floats, uniform: Floats) -> Whole:
    """One arm of each row."""
    past = np.cumsum(probabilities, axis=-1) <= uniform[..., None]
    arms: Whole = np.minimum(past.sum(axis=-1), ARMS - 1)
    return arms


def _learning(persona: Whole, rewards: Floats, uniform: Floats) -> tuple[Floats, Whole]:
    """What epsilon-greedy shows (epsilon 0.2), which learns each persona's favourite as it goes."""
    count, n = persona.shape
    logs = np.arange(count)[:, None]
    shown = np.ones((count, PERSONAS, ARMS))
    earned = np.full((count, PERSONAS, ARMS), 0.5)
    logged, chosen = np.empty((count, n, ARMS)), np.empty((count, n), np.int64)
    for start in range(0, n, _STEP):
        rows = slice(start, start + _STEP)
        who = persona[:, rows]
        greedy = np.eye(ARMS)[np.argmax(earned / shown, axis=2)]
        logged[:, rows] = (0.2 / ARMS + 0.8 * greedy)[logs, who]
        arms = chosen[:, rows] = _drawn(logged[:, rows], uniform[:, rows])
        got = np.take_along_axis(rewards[:, rows], arms[..., None], axis=2)[..., 0]
        np.add.at(shown, (logs, who, arms), 1.0)
        np.add.at(earned, (logs, who, arms), got)
    return logged, chosen


_UNIFORM: Floats = np.full((PERSONAS, ARMS), 1.0 / ARMS)
_SKEWED: Floats = np.tile([0.02, 0.03, 0.15, 0.3, 0.5], (PERSONAS, 1))
"""A softmax that is sure of itself, and of the wrong arms."""
_TURNED: Floats = np.array([np.roll([0.08, 0.12, 0.2, 0.25, 0.35], by) for by in (0, 2, 3)])
"""Each persona has another favourite: who does not see personas mistakes them for the arms."""
_NARROW: Floats = np.tile([0.5, 0.3, 0.15, 0.048, 0.002], (PERSONAS, 1))

_ALL = (
    World("uniform", "uniform choice, 20 % clicks", 2000, 0.2, _UNIFORM),
    World("uniform-300", "uniform choice, 20 % clicks, few rows", 300, 0.2, _UNIFORM),
    World(
        "rare",
        "uniform choice, 1 % clicks",
        2000,
        0.01,
        _UNIFORM,
        targets=("best", "persona", "log"),
    ),
    World("rare-10k", "uniform choice, 1 % clicks, many rows", 10000, 0.01, _UNIFORM),
    World(
        "skewed",
        "small propensities, 20 % clicks",
        2000,
        0.2,
        _SKEWED,
        targets=("best", "persona", "log"),
    ),
    World("skewed-rare", "small propensities, 3 % clicks", 2000, 0.03, _SKEWED),
    World("learning", "the logging policy learns, 20 % clicks", 2000, 0.2),
    World("returning", "visitors return, 20 % clicks", 2000, 0.2, _UNIFORM, returning=True),
    World("watched", "rewards from 0 to 1", 2000, 0.4, _UNIFORM, graded=True),
    World("drifting", "tastes turn around, 20 % clicks", 2000, 0.2, _SKEWED, drift=1.0),
    World("blind", "the reward model is wrong", 2000, 0.2, _TURNED, blind=True),
    World("unsupported", "the target is hardly in the log", 2000, 0.2, _NARROW, targets=("rare",)),
)
WORLDS: Mapping[str, World] = {world.name: world for world in _ALL}
"""Every world by its name."""
