"""A few placements whose truth changes at a known time, or does not.

    drift:still     nothing changes: what readiness for change costs
    drift:flip      at a time of its own, each placement's preferences reverse: to every persona the
                    best variant becomes the worst, the second best the second worst
    drift:break     at that time, the best variant on average suddenly earns nothing
    drift:fade      log rates wander slowly, pulled back to their middle: variants change places,
                    but are as far apart at the end as at the start
    drift:season    which variant is best depends on the hour and on the weekend, and the context
                    says both
    drift:novelty   variants join later; they start with a bonus that wears off within days

The kinds are one site: the same placements, variants, visitors and luck, so that a policy's price
for being ready (``still``) and what it gains (the others) are of the same size. ``changes`` says
when, ``broken`` which variant breaks; ``claims`` reads both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Spot, Whole
from simulations.bandits.worlds.entry import Entry, Setup, one_of
from simulations.bandits.worlds.traffic import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Delays,
    made,
    picked,
    visits,
)

PERSONAS = ("romantic", "comedy", "action")
_SHARES: Floats = np.array([0.5, 0.3, 0.2])
_ARMS = 4
_JOIN = 2
"""Variants that join each placement in ``novelty``."""
_LOWEST, _HIGHEST = 0.03, 0.08
"""Click rates of placements lie evenly between these."""
_SPREAD = 0.3
"""Standard deviation of a variant's log rate, for everyone together."""
_PERSONA_SPREAD = 0.2
"""The same, for one persona besides."""
_MOST_LIKELY = 0.6
_DAYS = 28
_SLICE_MS = 2 * HOUR_MS
_CHANGES = (0.4, 0.6)
"""Shares of the time between which placements change."""
_WANDER = 0.4
"""Standard deviation of where a log rate of ``fade`` may be found, around its middle."""
_MEMORY_DAYS = 7.0
"""In that time a wandering rate forgets all but 1/e of where it was."""
_DAILY = 0.5
"""How far the hour moves a log rate up and down in ``season``."""
_WEEKLY = 0.3
"""Standard deviation of what the weekend adds to it."""
_BONUS = 0.8
"""What is new earns exp(0.8), or 2.2 times, of what it will earn."""
_WEARS_OFF_DAYS = 1.5
"""In that time the bonus falls to 1/e, in logarithms."""
_BANDS = ("night", "morning", "afternoon", "evening")
_DELAYS = Delays(window_ms=10 * MINUTE_MS)


class _Spot(NamedTuple):
    """A placement and everything that may happen to it."""

    id: str
    log_rates: Floats
    """Personas x variants, those that join included."""
    changes_ms: int
    walk: Floats
    """Days + 1 x variants: how far a log rate has wandered."""
    peaks: Floats
    """Hour of the day at which each variant is at its best."""
    weekend: Floats
    """What the weekend adds for each variant."""
    joins_ms: Whole
    """When each variant joins; the first ``_ARMS`` are there from the start."""


def _still(spot: _Spot, persona: Whole, at: Whole) -> Floats:  # noqa: ARG001 (as its siblings)
    return spot.log_rates[persona]


def _flip(spot: _Spot, persona: Whole, at: Whole) -> Floats:
    kept, ordered = spot.log_rates[:, :_ARMS], np.sort(spot.log_rates[:, :_ARMS], axis=1)
    ranks = np.argsort(np.argsort(kept, axis=1), axis=1)
    reversed_rates = spot.log_rates.copy()
    reversed_rates[:, :_ARMS] = np.take_along_axis(ordered, _ARMS - 1 - ranks, axis=1)
    after = (at >= spot.changes_ms)[:, None]
    return np.where(after, reversed_rates[persona], spot.log_rates[persona])


def _break(spot: _Spot, persona: Whole, at: Whole) -> Floats:
    after = (at >= spot.changes_ms)[:, None]
    breaks = np.arange(spot.log_rates.shape[1]) == _best(spot)
    return np.where(after & breaks, -np.inf, spot.log_rates[persona])


def _fade(spot: _Spot, persona: Whole, at: Whole) -> Floats:
    day = (at - START_MS) / DAY_MS
    before = day.astype(np.int64)
    part = (day - before)[:, None]
    walked = (1.0 - part) * spot.walk[before] + part * spot.walk[before + 1]
    moved: Floats = spot.log_rates[persona] + walked
    return moved


def _season(spot: _Spot, persona: Whole, at: Whole) -> Floats:
    turns = (_hours(at)[:, None] - spot.peaks) / 24.0
    weekly = np.where(_is_weekend(at)[:, None], spot.weekend, 0.0)
    moved: Floats = spot.log_rates[persona] + _DAILY * np.cos(2 * np.pi * turns) + weekly
    return moved


def _novelty(spot: _Spot, persona: Whole, at: Whole) -> Floats:
    age = (at[:, None] - spot.joins_ms) / (_WEARS_OFF_DAYS * DAY_MS)
    joined = np.arange(len(spot.joins_ms)) >= _ARMS
    bonus = np.where(joined, _BONUS * np.exp(-np.maximum(age, 0.0)), 0.0)
    moved: Floats = spot.log_rates[persona] + bonus
    return moved


class _Kind(NamedTuple):
    """What happens, as log rates (n x variants) of personas at times."""

    words: str
    log_rates: Callable[[_Spot, Whole, Whole], Floats]
    joined: int = 0


KINDS: Mapping[str, _Kind] = {
    "still": _Kind("nothing changes", _still),
    "flip": _Kind("preferences reverse halfway, of each placement at its own time", _flip),
    "break": _Kind("the best variant suddenly earns nothing", _break),
    "fade": _Kind("preferences wander slowly", _fade),
    "season": _Kind("the best variant depends on the hour and the weekend", _season),
    "novelty": _Kind("variants join, with a bonus that wears off", _novelty, joined=_JOIN),
}
"""Every kind of change by its name."""
_FORM = f"drift:{'|'.join(KINDS)}"


class Drift:
    """The world; its placements are made once, its visitors anew whenever it is gone through."""

    personas = PERSONAS
    window_ms = _DELAYS.window_ms

    def __init__(
        self, name: str, kind: str, *, placements: int, impressions: int, seed: int
    ) -> None:
        """``kind`` is one of ``KINDS``; ``name`` is as the command line calls it."""
        self.name = name
        self.keys = ("band", "weekend") if kind == "season" else ()
        self._kind = KINDS[kind]
        self.words = f"{placements} placements; {self._kind.words}"
        self._seed = seed
        rng = np.random.default_rng([seed, 1])
        self._spots = [_made(rng, number) for number in range(placements)]
        slices = _DAYS * DAY_MS // _SLICE_MS
        self._expected = np.full((slices, placements), impressions / (slices * placements))
        changing = kind in ("flip", "break")
        self.changes: Mapping[str, int] = (
            {spot.id: spot.changes_ms for spot in self._spots} if changing else {}
        )
        """When the truth of a placement changes at once, in ms since the Unix epoch."""
        self.broken: Mapping[str, str] = (
            {spot.id: _arm(_best(spot)).id for spot in self._spots} if kind == "break" else {}
        )
        """The variant of each placement that then earns nothing."""

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        rng = np.random.default_rng([self._seed, 2])
        spots: dict[Spot, Spot] = {}
        for place, at in visits(rng, self._expected, slice_ms=_SLICE_MS):
            mine = self._spots[place]
            live = self._live(mine, int(at[0]))
            persona = picked(rng, _SHARES, len(at))
            truth = np.minimum(np.exp(self._kind.log_rates(mine, persona, at)), _MOST_LIKELY)
            spot = Spot(mine.id, tuple(_arm(index) for index in live))
            yield made(
                rng,
                spots.setdefault(spot, spot),  # one that did not change stays the same
                at,
                truth[:, : len(live)],
                persona=persona,
                delays=_DELAYS,
                context=self._context(at),
            )

    def _live(self, spot: _Spot, now_ms: int) -> range:
        joined = int((spot.joins_ms[_ARMS : _ARMS + self._kind.joined] <= now_ms).sum())
        return range(_ARMS + joined)

    def _context(self, at: Whole) -> Sequence[tuple[str, ...]] | None:
        if not self.keys:
            return None
        bands, weekend = _hours(at) // 6, _is_weekend(at)
        pairs = zip(bands.astype(int).tolist(), weekend.tolist(), strict=True)
        return [(_BANDS[band], "yes" if free else "no") for band, free in pairs]


def _made(rng: np.random.Generator, number: int) -> _Spot:
    arms = _ARMS + _JOIN
    level = np.log(rng.uniform(_LOWEST, _HIGHEST))
    effects = rng.normal(0.0, _SPREAD, arms) + rng.normal(
        0.0, _PERSONA_SPREAD, (len(PERSONAS), arms)
    )
    joins = START_MS + np.sort(rng.uniform(0.2, 0.7, _JOIN)) * _DAYS * DAY_MS
    return _Spot(
        id=f"spot-{number + 1}",
        log_rates=level + effects,
        changes_ms=START_MS + int(rng.uniform(*_CHANGES) * _DAYS * DAY_MS),
        walk=_walk(rng, arms),
        peaks=rng.uniform(0.0, 24.0, arms),
        weekend=rng.normal(0.0, _WEEKLY, arms),
        joins_ms=np.concatenate([np.full(_ARMS, START_MS), joins.astype(np.int64)]),
    )


def _walk(rng: np.random.Generator, arms: int) -> Floats:
    """A random walk pulled back to 0 that is as wide at every time.

    An Ornstein-Uhlenbeck process at whole days. Source: G. E. Uhlenbeck, L. S. Ornstein, "On the
    theory of the Brownian motion", Physical Review 36 (1930), 823-841.
    """
    kept = np.exp(-1.0 / _MEMORY_DAYS)
    steps = rng.normal(0.0, _WANDER, (_DAYS + 1, arms))
    walk = steps.copy()
    for day in range(1, _DAYS + 1):
        walk[day] = kept * walk[day - 1] + np.sqrt(1.0 - kept**2) * steps[day]
    return walk


def _best(spot: _Spot) -> int:
    """The best of the first variants, over everyone."""
    return int(np.argmax(_SHARES @ np.exp(spot.log_rates[:, :_ARMS])))


def _arm(index: int) -> Arm:
    return Arm(f"v{index + 1}", headline=f"Variant {index + 1}")


def _hours(at: Whole) -> Floats:
    """Hour of the day, UTC."""
    hours: Floats = (at - START_MS) % DAY_MS / HOUR_MS
    return hours


def _is_weekend(at: Whole) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    weekend: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (at - START_MS) // DAY_MS % 7 >= 5
    return weekend


def _make(name: str, parameters: Sequence[str], setup: Setup) -> Drift:
    kind = one_of(name, parameters, KINDS, lacking="does not say what changes", form=_FORM)
    placements, impressions = (3, 12_000) if setup.quick else (12, 360_000)
    return Drift(name, kind, placements=placements, impressions=impressions, seed=setup.seed)


ENTRY: Final = Entry(_FORM, "the same few placements with and without changes of truth", _make)
