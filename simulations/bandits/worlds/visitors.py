"""Returning people on pages of several slots, whose outcomes come late or never.

A page has ``_SLOTS`` placements that one visitor sees at the same moment. At a moment ``_TOGETHER``
visitors open the same page, so that a batch is one slot of that page for each of them, and the
batches of its other slots follow at the same time.

A visitor has a persona, tastes of their own for what variants show (tags), and is more or less
ready to click at all; none of it ever changes. The best variant is that of the very visitor, so
only who learns people, not personas, could capture all of the headroom. What is reported as persona
starts as ``unknown`` and becomes, after some pages that differ from visitor to visitor, what the
site took them for; it is mistaken in ``MISTAKEN`` of all visitors. Some declare themselves, and are
known from their first page on.

Rewards become known after minutes to days: log-normal, with a median of ``_MEDIAN_MINUTES`` and cut
before the window of two days ends. That there was none is known at its end. ``LOST`` of all
outcomes are never told.

Left out: that a variant earns less from who has often seen it. The truth of an impression is known
before anyone chooses (see ``base``), so it cannot depend on what was chosen before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Spot, Whole
from simulations.bandits.worlds.entry import Entry, Setup, none_of
from simulations.bandits.worlds.traffic import (
    DAY_MS,
    MINUTE_MS,
    START_MS,
    Delays,
    made,
    picked,
    zipf,
)

TRUE_PERSONAS = ("romantic", "comedy", "action", "thriller")
_SHARES: Floats = np.array([0.35, 0.3, 0.2, 0.15])
MISTAKEN = 0.08
"""Share of visitors whom the site takes for another persona."""
_DECLARED = 0.3
"""Share of visitors who are known from their first page on."""
_PAGES_UNTIL_KNOWN = 4.0
"""Pages that the others open before the site knows what they are, on average."""
LOST = 0.1
"""Share of outcomes that nobody is ever told."""
_MEDIAN_MINUTES = 5.0
_DELAYS = Delays(window_ms=2 * DAY_MS, median_ms=_MEDIAN_MINUTES * MINUTE_MS, spread=2.0, lost=LOST)
_DAYS = 28
_SLOTS = 3
_TOGETHER = 20
_PAGES = 8
"""Kinds of pages, each with placements of its own."""
_ACTIVITY = 0.5
"""How unequal visitors are: the number of pages falls as 1 / rank to this power."""
_TAGS = (
    "couple",
    "portrait",
    "group",
    "city",
    "night",
    "laughing",
    "chase",
    "animal",
    "quote",
    "you",
)
_TAGS_EACH = 2
_ARMS = (3, 6)
"""Least and most variants of a placement."""
_LOWEST, _HIGHEST = 0.01, 0.08
_PERSONA_SPREAD = 0.25
"""Standard deviation of what a tag does to a persona's log rate."""
_OWN_SPREAD = 0.25
"""The same, for one visitor besides."""
_ARM_SPREAD = 0.2
"""The same, of a variant alone."""
_MOOD_SPREAD = 0.5
"""How much visitors differ in how ready they are to click; in logarithms, 1 on average."""
_MOST_LIKELY = 0.6


class _Slot(NamedTuple):
    """A placement and what it earns."""

    spot: Spot
    shows: Floats
    """Variants x tags: 1 where a variant shows a tag."""
    log_rates: Floats
    """Of the variants, from who has no taste at all."""


class _People(NamedTuple):
    """Everyone who may come; arrays by visitor."""

    shares: Floats
    """Of all pages."""
    taken_for: Whole
    """The persona that the site takes each for, in the end: an index into what is reported."""
    known_after: Whole
    """Pages that each opens before."""
    tastes: Floats
    """Visitors x tags."""
    moods: Floats
    """What is added to every log rate."""


class Visitors:
    """The world; its people are made once, their visits anew whenever it is gone through."""

    personas = ("unknown", *TRUE_PERSONAS)
    keys: tuple[str, ...] = ()
    window_ms = _DELAYS.window_ms

    def __init__(self, name: str, *, people: int, moments: int, seed: int) -> None:
        """``moments`` at which pages are opened; ``name`` is as the command line calls it."""
        self.name = name
        self.words = (
            f"{people:,} people who return, pages of {_SLOTS} slots, personas that become known, "
            f"outcomes after minutes to days, {LOST:.0%} of them lost"
        )
        self._seed = seed
        self._moments = moments
        rng = np.random.default_rng([seed, 1])
        self._slots = [_slot(rng, number) for number in range(_PAGES * _SLOTS)]
        self._people = _people(rng, people)

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        rng = np.random.default_rng([self._seed, 2])
        opened = np.zeros(len(self._people.shares), np.int64)
        times = START_MS + np.sort(rng.integers(0, _DAYS * DAY_MS, self._moments))
        for now in times.tolist():
            who = self._who(rng)
            persona = self._reported(who, opened[who])
            opened[who] += 1
            page = int(rng.integers(_PAGES))
            for slot in self._slots[page * _SLOTS : (page + 1) * _SLOTS]:
                yield made(
                    rng,
                    slot.spot,
                    np.full(_TOGETHER, now, np.int64),
                    self._truth(slot, who),
                    persona=persona,
                    delays=_DELAYS,
                    visitor=who,
                )

    def _who(self, rng: np.random.Generator) -> Whole:
        """Different visitors, in the order of their numbers; the active ones come more often.

        Drawn one after the other by their shares of who is left. Source: P. S. Efraimidis, P. G.
        Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters 97
        (2006), 181-185.
        """
        keys = rng.exponential(size=len(self._people.shares)) / self._people.shares
        return np.sort(np.argpartition(keys, _TOGETHER)[:_TOGETHER])

    def _reported(self, who: Whole, opened: Whole) -> Whole:
        known = opened >= self._people.known_after[who]
        return np.where(known, self._people.taken_for[who], 0)

    def _truth(self, slot: _Slot, who: Whole) -> Floats:
        people = self._people
        log_rates = slot.log_rates + people.tastes[who] @ slot.shows.T
        return np.minimum(np.exp(log_rates + people.moods[who][:, None]), _MOST_LIKELY)


def _people(rng: np.random.Generator, n: int) -> _People:
    persona = picked(rng, _SHARES, n)
    others = (persona + rng.integers(1, len(TRUE_PERSONAS), n)) % len(TRUE_PERSONAS)
    mistaken = rng.random(n) < MISTAKEN
    later = rng.geometric(1.0 / _PAGES_UNTIL_KNOWN, n)
    likes = rng.normal(0.0, _PERSONA_SPREAD, (len(TRUE_PERSONAS), len(_TAGS)))
    return _People(
        shares=zipf(n, _ACTIVITY),
        taken_for=1 + np.where(mistaken, others, persona),
        known_after=np.where(rng.random(n) < _DECLARED, 0, later),
        tastes=likes[persona] + rng.normal(0.0, _OWN_SPREAD, (n, len(_TAGS))),
        moods=rng.normal(-(_MOOD_SPREAD**2) / 2.0, _MOOD_SPREAD, n),
    )


def _slot(rng: np.random.Generator, number: int) -> _Slot:
    arms = int(rng.integers(_ARMS[0], _ARMS[1] + 1))
    shows = np.zeros((arms, len(_TAGS)))
    for row in shows:
        row[rng.choice(len(_TAGS), _TAGS_EACH, replace=False)] = 1.0
    level = rng.uniform(np.log(_LOWEST), np.log(_HIGHEST))
    variants = tuple(_arm(index, row) for index, row in enumerate(shows))
    return _Slot(
        spot=Spot(f"page-{number // _SLOTS + 1}-slot-{number % _SLOTS + 1}", variants),
        shows=shows,
        log_rates=level + rng.normal(0.0, _ARM_SPREAD, arms),
    )


def _arm(index: int, shows: Floats) -> Arm:
    tags = tuple(tag for tag, shown in zip(_TAGS, shows, strict=True) if shown)
    return Arm(f"v{index + 1}", headline=f"{index + 1}: {' '.join(tags)}", tags=tags)


def _make(name: str, parameters: Sequence[str], setup: Setup) -> Visitors:
    none_of(name, parameters, "visitors")
    people, moments = (400, 200) if setup.quick else (4_000, 3_000)
    return Visitors(name, people=people, moments=moments, seed=setup.seed)


ENTRY: Final = Entry(
    "visitors", "people who return, several slots a page, outcomes late or lost", _make
)
