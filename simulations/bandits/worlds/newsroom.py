"""A newsroom's week: real headline tests, run at once, each for two days.

A placement is a test of the Upworthy archive; its variants are the test's arms, in an order that
is drawn: rows of the archive are sorted in a way that gives away a little of how they ended. The
truth of a variant is its shrunk click rate, see ``archive``; every seed draws tests, orders and
luck anew.

The tests of a week start together and run for ``RUN_MS``, in batches of 100 that take turns. A test
has as many impressions as it really had, or the first H of them: with another H the same visitors
come with the same luck, closer together or further apart. Clicks become known after an exponential
delay, cut before the window ends, so nobody is told "no click" of what is clicked later.

Policies see headlines, and which variants share an image (tag ``image:ID``), of any test: an image
or a phrase may return. There are no personas; ``personas`` adds them.

Settings must not be chosen on what is reported: ``:tune`` runs on the weeks up to 201426, all else
on later ones. With ``history=N``, N tests of the tuning weeks come first and are not reported: what
a site's model has learned before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Final, NamedTuple, Protocol
from zlib import crc32

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Spot, Whole
from simulations.bandits.told import Means, Told
from simulations.bandits.worlds.archive import LAST_TUNED, Archive, Trial
from simulations.bandits.worlds.spread import shape_of_tests

START_MS: Final = 1_767_571_200_000
"""2026-01-05 00:00 UTC, a Monday, in ms since the Unix epoch: when the first week starts."""
WEEK_MS: Final = 7 * 86_400_000
RUN_MS: Final = 2 * 86_400_000
"""How long a test runs."""
WINDOW_MS: Final = 600_000
MEAN_DELAY_MS: Final = 180_000
"""Of clicks, before they are cut."""
LAST_DELAY_MS: Final = 540_000
BATCH: Final = 100
"""Impressions of a test that come close together."""
SPAN_MS: Final = 30_000
"""Longest time that a batch takes."""
TESTS: Final = 300
_LEAST: Final = 2.0**-54
"""Least random number: 0 itself is left out."""


class Audience(Protocol):
    """Who comes, and what they make of a test."""

    @property
    def personas(self) -> tuple[str, ...]:
        """At least one."""

    @property
    def shares(self) -> Floats:
        """How common each is, 1 in sum."""

    def rates(self, base: Floats, rng: np.random.Generator) -> Floats:
        """Personas x K click rates, where ``base`` (K) are those of everyone together."""


class Everyone(NamedTuple):
    """Visitors of whom nothing is known, and who are all alike."""

    personas: tuple[str, ...] = ("everyone",)
    shares: Floats = np.ones(1)

    def rates(self, base: Floats, rng: np.random.Generator) -> Floats:
        """``base``, for the one persona there is."""
        del rng
        return base[None, :]


class Plan(NamedTuple):
    """Which tests run."""

    horizon: int | None = None
    """Most impressions of a test; None: as many as it had."""
    tune: bool = False
    history: int = 0
    tests: int = TESTS


class Newsroom:
    """The world; its tests are drawn once, its visitors anew whenever it is gone through."""

    keys: tuple[str, ...] = ()
    window_ms = WINDOW_MS

    def __init__(
        self, name: str, archive: Archive, plan: Plan, audience: Audience, *, seed: int
    ) -> None:
        """``name`` is as the command line calls it."""
        self.name = name
        self.personas = audience.personas
        self._audience = audience
        self._seed = seed
        self._archive = archive
        self._k = archive.k
        self._horizon = plan.horizon
        rng = np.random.default_rng([seed, 1])
        reported = _some(rng, archive.tuning() if plan.tune else archive.reporting(), plan.tests)
        taken = {test.id for test in reported}
        rest = [test for test in archive.tuning() if test.id not in taken]
        self._history = _some(np.random.default_rng([seed, 2]), rest, plan.history)
        self._reported = reported
        self.words = _words(plan, len(reported), len(self._history))

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        start = START_MS
        for tests, reported in ((self._history, False), (self._reported, True)):
            for _, week in groupby(tests, key=lambda test: test.week):
                shown = [self._shown(test, reported=reported) for test in week]
                yield from _week(shown, start)
                start += WEEK_MS

    @cached_property
    def shape(self) -> float:
        """See ``Telling``: of the weeks that settings are tuned on."""
        return shape_of_tests(self._archive.tuning(), self._k)

    @cached_property
    def means(self) -> Means:
        """See ``Telling``: of the same weeks."""
        logs = [np.log(test.mean) for test in self._archive.tuning() if test.clicks.sum() > 0]
        return Means(float(np.exp(np.mean(logs))), float(np.std(logs)))

    @property
    def truths(self) -> list[tuple[Floats, Told]]:
        """Of each test that is reported on: K true click rates of everyone, what may be told."""
        return [(test.rates(self._k), self.told(test.id)) for test in self._reported]

    def told(self, placement: str) -> Told:
        """See ``Telling``: the mean of the test's true rates."""
        test = self._tests[placement]
        return Told(float(test.rates(self._k).mean()), self._length(test))

    @cached_property
    def _tests(self) -> dict[str, Trial]:
        return {test.id: test for test in (*self._history, *self._reported)}

    def _shown(self, test: Trial, *, reported: bool) -> _Shown:
        number = crc32(test.id.encode())
        rng, tastes = (np.random.default_rng([self._seed, use, number]) for use in (3, 6))
        order = rng.permutation(len(test.headlines))
        arms = tuple(
            Arm(f"v{place}", test.headlines[row], _tags(test.images[row]))
            for place, row in enumerate(order)
        )
        rates = self._audience.rates(test.rates(self._k)[order], tastes)
        spot = Spot(test.id, arms, reported=reported)
        shares = self._audience.shares
        return _Shown(spot, np.minimum(rates, 1.0), shares, self._length(test), rng)

    def _length(self, test: Trial) -> int:
        length = int(test.impressions.sum())
        return length if self._horizon is None else min(length, self._horizon)


class _Shown(NamedTuple):
    """A test as it runs."""

    spot: Spot
    rates: Floats
    """Personas x K."""
    shares: Floats
    length: int
    """Impressions."""
    rng: np.random.Generator
    """Makes its visitors, batch by batch."""

    def batch(self, at: Whole) -> Batch:
        """The next impressions, which come at ``at``."""
        n = len(at)
        who, luck, draw, late = np.maximum(self.rng.random((n, 4)), _LEAST).T
        persona = np.searchsorted(np.cumsum(self.shares)[:-1], who, side="right")
        return Batch(
            spot=self.spot,
            at=at,
            persona=persona,
            visitor=np.full(n, -1),
            context=((),) * n,
            truth=self.rates[persona],
            luck=luck,
            draw=draw,
            delay=_delays(late),
        )


def _week(shown: Sequence[_Shown], start: int) -> Iterator[Batch]:
    """The batches of tests that start together, in turns, each spread evenly over its run."""
    turns = sorted(
        ((number + place / len(shown)) / count, place, number)
        for place, test in enumerate(shown)
        for count in [-(-test.length // BATCH)]
        for number in range(count)
    )
    begins = [start + int(RUN_MS * share) for share, _, _ in turns]
    ends = [*begins[1:], start + RUN_MS]
    for (_, place, number), begin, end in zip(turns, begins, ends, strict=True):
        test = shown[place]
        n = min(BATCH, test.length - number * BATCH)
        span = min(end - begin, SPAN_MS)
        yield test.batch(begin + np.arange(n) * span // n)


def _delays(uniform: Floats) -> Whole:
    """An exponential time cut at LAST_DELAY_MS, in whole ms from 1 on."""
    reached = -np.expm1(-LAST_DELAY_MS / MEAN_DELAY_MS)
    late = -MEAN_DELAY_MS * np.log1p(-uniform * reached)
    whole: Whole = np.ceil(late).astype(np.int64)
    return whole


def _some(rng: np.random.Generator, tests: Sequence[Trial], count: int) -> list[Trial]:
    """``count`` of the tests, or all if there are fewer, in their order."""
    picked = rng.permutation(len(tests))[:count]
    return [tests[place] for place in sorted(picked)]


def _tags(image: str) -> tuple[str, ...]:
    return (f"image:{image}",) if image else ()


def _words(plan: Plan, reported: int, history: int) -> str:
    weeks = f"up to {LAST_TUNED}" if plan.tune else f"from {LAST_TUNED + 1} on"
    length = (
        "as many impressions as they had"
        if plan.horizon is None
        else (f"{plan.horizon:,} impressions each")
    )
    before = (
        f", after {history} of weeks up to {LAST_TUNED} that are not counted" if history else ""
    )
    use = "to tune settings on" if plan.tune else f"settings tuned on weeks up to {LAST_TUNED}"
    return f"{reported} real headline tests of weeks {weeks}{before}, {length}; {use}"
