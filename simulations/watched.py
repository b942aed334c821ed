"""Simulated sites that are watched day by day: the sums that reports are made of, and the truth.

Placements of a few variants are shown to visitors of a few personas, in situations that no report
tells apart (a device, say). The policy is Thompson sampling with Gaussian posteriors, as greedy as
the service's own, with its floor and its holdout; it learns at the end of each of STEPS parts of a
day. Visitors of a part of a day who are alike draw with the same probabilities, so they are drawn
together, and a day of hundreds of placements takes milliseconds. What is summed up is what
``reporting.placement_sums`` sums up; a test holds both together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from bandit_service.policy.settings import PolicySettings
from bandit_service.reporting.columns import (
    ASKED,
    R2,
    SHOWN,
    SPREAD,
    TOP,
    W2,
    W2R,
    W2R2,
    WIDTH,
    WR,
    N,
    R,
    W,
    counts_at,
    weighted_at,
)
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.stored import Whole
from bandit_service.reporting.tables import Scale

LOOKS: Final = 60
"""Days, and looks at the end of each."""
PERSONAS: Final = 3
SITUATIONS: Final = 2
_PERSONA_SHARES: Final[Floats] = np.array([0.5, 0.3, 0.2])
_SITUATION_SHARES: Final[Floats] = np.array([0.7, 0.3])
STEPS: Final = 2
"""Updates of the policy a day."""
_DRAWS: Final = 64
"""Draws from the posterior behind a probability."""
_POLICY: Final = PolicySettings()
_LIMIT: Final = 0.95
"""Largest probability of a reward."""


class World(NamedTuple):
    """How sites come about. Spreads are standard deviations of logarithms."""

    name: str
    words: str
    base: float
    """Probability of a reward, before anything makes a difference."""
    visits: float
    """Of a placement, a day."""
    variants: int = 4
    placements: int = 10
    """Of a site."""
    arms: float = 0.0
    """By how much variants differ."""
    own: float = 0.0
    """By how much more they differ from persona to persona."""
    situations: float = 0.0
    """By how much more they differ from situation to situation."""
    aware: bool = True
    """Whether the policy tells situations apart."""
    tide: Callable[[int], float] = lambda _: 1.0
    """By what everything is multiplied on a day."""
    rewards: str = "clicks"
    """``clicks``; ``watched``: shares from 0 to 1; ``disliked``: 1 or, for two of five, -1."""

    @property
    def mean(self) -> float:
        """Of a reward, where there is one."""
        return {"clicks": 1.0, "watched": 0.5, "disliked": 0.2}[self.rewards]


def _week(day: int) -> float:
    return 1.0 + 0.4 * math.sin(2.0 * math.pi * day / 7.0)


def _growth(day: int) -> float:
    return 0.4 + 1.2 * day / LOOKS


_BASES: Final = ((0.001, 3000.0), (0.01, 1000.0), (0.1, 150.0), (0.5, 40.0))
"""Reward rates, and visits a day of a placement."""
_TENTH: Final = (0.1, 150.0)


def _worlds() -> Iterator[World]:
    for base, visits in _BASES:
        rate = f"{base:.1%}".replace(".0%", "%")
        yield World(f"alike-{base:g}", f"{rate}, nothing differs", base, visits)
        yield World(
            f"differ-{base:g}", f"{rate}, variants, personas and situations differ", base, visits,
            arms=0.3, own=0.2, situations=0.4,
        )  # fmt: skip
        yield World(
            f"hidden-{base:g}", f"{rate}, the policy is blind to situations", base, visits,
            arms=0.3, own=0.2, situations=0.4, aware=False,
        )  # fmt: skip
    yield World("week", "10%, with the days of the week", *_TENTH, arms=0.3, own=0.2, tide=_week)
    yield World("growth", "10%, rates grow fourfold", *_TENTH, arms=0.3, own=0.2, tide=_growth)
    yield World("two", "1%, two variants", 0.01, 3000.0, variants=2, arms=0.3, own=0.2)
    yield World("many", "1%, twelve variants", 0.01, 3000.0, variants=12, arms=0.3, own=0.2)
    yield World("busy", "1%, ten times the traffic", 0.01, 10_000.0, arms=0.3, own=0.2)
    yield World("quiet", "10%, ten visits a day", 0.1, 10.0, arms=0.3, own=0.2)
    yield World(
        "watched", "10%, rewards from 0 to 1", *_TENTH, arms=0.3, own=0.2, rewards="watched"
    )
    yield World(
        "disliked", "10%, rewards of both signs", *_TENTH, arms=0.3, own=0.2, rewards="disliked"
    )


WORLDS: Final[Mapping[str, World]] = MappingProxyType({world.name: world for world in _worlds()})


class Day(NamedTuple):
    """L placements, K variants, G personas: everything up to the end of a day."""

    rows: Floats
    """L x K x G x WIDTH: see ``reporting.columns``."""
    scale: Scale
    visits: Floats
    """L x G: visits that came."""
    due: Floats
    """L x K x G: what they would have earned, had each variant always been shown."""
    expected: Floats
    """L x G x 2: what the policy and the holdout were to earn with those who came to them."""


class Site(NamedTuple):
    """Placements of one world."""

    world: World
    rates: Floats
    """L x G x SITUATIONS x K: probability of a reward."""

    def days(self, count: int, rng: np.random.Generator) -> Iterator[Day]:
        """The end of each day. The arrays go on being added to."""
        state = _State(self)
        for day in range(count):
            for _ in range(STEPS):
                state.step(np.minimum(self.rates * self.world.tide(day), _LIMIT), rng)
            yield Day(
                state.rows,
                Scale(-1.0 if self.world.rewards == "disliked" else 0.0, 1.0),
                state.visits,
                state.due * self.world.mean,
                state.expected * self.world.mean,
            )


def made(world: World, placements: int, rng: np.random.Generator) -> Site:
    """Some placements of a world."""
    shape = (placements, PERSONAS, SITUATIONS, world.variants)

    def spread(by: float, *axes: int) -> Floats:
        """Something that differs along axes alone."""
        size = [length if axis in axes else 1 for axis, length in enumerate(shape)]
        found: Floats = np.exp(by * rng.standard_normal(size))
        return found

    rates = world.base * spread(0.3, 0) * spread(0.2, 0, 1) * spread(world.arms, 0, 3)
    rates = rates * spread(world.own, 0, 1, 3) * spread(world.situations, 0, 2, 3)
    return Site(world, np.minimum(rates, _LIMIT))


class _State:
    """What was shown and earned so far."""

    def __init__(self, site: Site) -> None:
        placements, personas, _, variants = site.rates.shape
        self.world = site.world
        self.rows = np.zeros((placements, variants, personas, WIDTH))
        self.visits = np.zeros((placements, personas))
        self.due = np.zeros((placements, variants, personas))
        self.expected = np.zeros((placements, personas, 2))
        self._shown = np.zeros(site.rates.shape)
        self._earned = np.zeros(site.rates.shape)

    def step(self, rates: Floats, rng: np.random.Generator) -> None:
        """A part of a day."""
        learned = self._learned(rng)
        uniform = np.full_like(learned, 1.0 / learned.shape[-1])
        overall = (1.0 - _POLICY.holdout) * learned + _POLICY.holdout * uniform
        shares = _PERSONA_SHARES[:, None] * _SITUATION_SHARES
        came = rng.poisson(self.world.visits / STEPS * shares, learned.shape[:-1])
        self.visits += came.sum(axis=-1)
        self.due += np.swapaxes((came[..., None] * rates).sum(axis=2), 1, 2)
        first = rng.binomial(came, 0.5)
        for half, mine in enumerate((first, came - first)):
            held = rng.binomial(mine, _POLICY.holdout)
            self._ask(half, mine, overall)
            self._show(half, mine - held, learned, overall, rates, rng, holdout=False)
            self._show(half, held, uniform, overall, rates, rng, holdout=True)

    def _learned(self, rng: np.random.Generator) -> Floats:
        """L x G x SITUATIONS x K: what the policy makes of what it has seen."""
        shown, earned = self._shown, self._earned
        if not self.world.aware:
            shown, earned = (
                np.broadcast_to(sums.sum(axis=2, keepdims=True), sums.shape)
                for sums in (shown, earned)
            )
        hits, misses = earned + 1.0, np.maximum(shown - earned, 0.0) + 1.0 / self.world.base
        mean = hits / (hits + misses)
        error = np.sqrt(mean * (1.0 - mean) / (hits + misses + 1.0) / _POLICY.sharpness)
        best = np.argmax(mean + error * rng.standard_normal((_DRAWS, *mean.shape)), axis=-1)
        found = np.stack([(best == arm).mean(axis=0) for arm in range(mean.shape[-1])], axis=-1)
        found = np.maximum(found, _POLICY.floor / found.shape[-1])
        shares: Floats = found / found.sum(axis=-1, keepdims=True)
        return shares

    def _ask(self, half: int, came: Whole, overall: Floats) -> None:
        at = weighted_at(half)
        self.rows[..., at + ASKED] += came.sum(axis=-1)[:, None]
        self.rows[..., at + SPREAD] += _by_variant(came[..., None] / overall)

    def _show(
        self,
        half: int,
        came: Whole,
        drawn: Floats,
        overall: Floats,
        rates: Floats,
        rng: np.random.Generator,
        *,
        holdout: bool,
    ) -> None:
        shown = rng.multinomial(came, drawn)
        hits = rng.binomial(shown, np.broadcast_to(rates, shown.shape))
        earned, squares = self._rewards(hits, rng)
        self._shown += shown
        self._earned += hits
        arm = int(holdout)
        self.expected[..., arm] += (came[..., None] * drawn * rates).sum(axis=(2, 3))
        at = counts_at(holdout=holdout)
        for place, values in ((SHOWN, shown), (N, shown), (R, earned), (R2, squares)):
            self.rows[..., at + place] += _by_variant(values)
        at, weight = weighted_at(half), 1.0 / overall
        sums = (
            (W, shown * weight),
            (WR, earned * weight),
            (W2, shown * weight**2),
            (W2R, earned * weight**2),
            (W2R2, squares * weight**2),
        )
        for place, values in sums:
            self.rows[..., at + place] += _by_variant(values)
        top = np.swapaxes(np.where(shown > 0, weight, 0.0).max(axis=2), 1, 2)
        self.rows[..., at + TOP] = np.maximum(self.rows[..., at + TOP], top)

    def _rewards(self, hits: Whole, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """The sums of rewards and of their squares."""
        each: Floats = hits.astype(np.float64)
        if self.world.rewards == "watched":
            return _uniform_sums(hits, rng)
        if self.world.rewards == "disliked":
            disliked: Floats = rng.binomial(hits, 0.4).astype(np.float64)
            return each - 2.0 * disliked, each
        return each, each


def _by_variant(values: Floats | Whole) -> Floats:
    """L x G x SITUATIONS x K to L x K x G, over all situations."""
    found: Floats = np.swapaxes(values.sum(axis=2), 1, 2).astype(np.float64)
    return found


def _uniform_sums(counts: Whole, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """For each count, the sum of so many uniform numbers, and of their squares."""
    which = np.repeat(np.arange(counts.size), counts.ravel())
    drawn = rng.random(len(which))
    total, squares = np.zeros(counts.size), np.zeros(counts.size)
    np.add.at(total, which, drawn)
    np.add.at(squares, which, drawn * drawn)
    return total.reshape(counts.shape), squares.reshape(counts.shape)
