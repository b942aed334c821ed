"""A growing site: hundreds of placements, most of them small, and variants that come and go.

Traffic falls with rank as Zipf's law says, click rates lie between about 0.3 and 10 %. Half of the
placements are there from the start, the others begin later. A placement starts with 2 to 6
variants; some get more, and all but the first two may be taken away again.

Truth: the logarithm of a click rate is that of the placement, plus what the placement's genre is to
the persona (which moves all variants alike), plus the effects of the variant's tags, plus an effect
of the variant alone. Tags and the variant alone have each an effect on everyone and a smaller one
on each persona. Tags mean the same on every placement, so that what is learned on one helps on the
next; within a placement they explain about half of the variance of log rates.

``catalogue`` counts everything, ``catalogue:new`` what placements earn that start in the second
half (by when tags can be known), ``catalogue:cold`` the first ``COLD`` impressions of a placement
after it starts or a variant joins it. All three are the same visitors with the same luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Spot
from simulations.bandits.worlds.entry import Entry, Setup, none_of
from simulations.bandits.worlds.traffic import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Delays,
    made,
    picked,
    visits,
    zipf,
)

COLD = 200
"""Impressions of a placement that count as its cold start, and that of a variant that joins it."""
PERSONAS = ("romantic", "comedy", "action", "thriller")
_SHARES: Floats = np.array([0.35, 0.3, 0.2, 0.15])
_GENRES = ("romance", "drama", "comedy", "crime", "adventure", "documentary")
_TAGS = (
    "couple", "portrait", "group", "city", "landscape", "night", "warm", "dark",
    "laughing", "crying", "chase", "explosion", "weapon", "animal", "child", "food",
    "question", "number", "quote", "name", "promise", "secret", "today", "you",
)  # fmt: skip
_TAGS_EACH = 3
_TAG_SPREAD = 0.20
"""Standard deviation, in logarithms of the rate, of what a variant's tags do to everyone together;
the variant alone has the same."""
_PERSONA_SPREAD = 0.14
"""The same, of what they do to one persona besides."""
_GENRE_SPREAD = 0.25
_LOWEST, _HIGHEST = 0.003, 0.10
"""Click rates of placements lie evenly, in logarithms, between these."""
_MOST_LIKELY = 0.5
"""No variant earns more per impression."""
_SLICE_MS = 12 * HOUR_MS
_SLICES = 28 * DAY_MS // _SLICE_MS
_FROM_THE_START = 0.5
"""Share of the placements."""
_EXPONENT = 0.9
_STARTS_WITH = (2, 2, 3, 4, 5, 6)
_JOIN = 1.2
"""Variants that join a placement later, on average."""
_LEAVE = 0.25
"""Share of the variants, but for the first two, that are taken away at some time."""
_DELAYS = Delays(window_ms=10 * MINUTE_MS)
_FORM = "catalogue[:new|:cold]"
_REPORTS = {
    "": "",
    "new": "; counted: placements that start in the second half",
    "cold": f"; counted: the first {COLD} impressions after a placement starts or a variant joins",
}


class _Offer(NamedTuple):
    """A variant of a placement, while it is live."""

    arm: Arm
    since_ms: int
    until_ms: int
    rates: Floats
    """By persona."""


class _Title(NamedTuple):
    """A placement, from its start to the end of the world."""

    id: str
    tags: tuple[str, ...]
    first: int
    """The slice it starts with."""
    offers: tuple[_Offer, ...]

    def live(self, at_ms: int) -> tuple[_Offer, ...]:
        return tuple(offer for offer in self.offers if offer.since_ms <= at_ms < offer.until_ms)


class Catalogue:
    """The world; its titles are made once, its visitors anew whenever it is gone through."""

    personas = PERSONAS
    keys: tuple[str, ...] = ()
    window_ms = _DELAYS.window_ms

    def __init__(
        self, name: str, *, titles: int, impressions: int, report: str = "", seed: int
    ) -> None:
        """``report`` is one of ``_REPORTS``; ``name`` is as the command line calls it."""
        self.name = name
        self.words = (
            f"{titles} placements of unequal traffic, variants that come and go, tags that mean "
            f"the same everywhere{_REPORTS[report]}"
        )
        self._seed = seed
        self._report = report
        rng = np.random.default_rng([seed, 1])
        effects = _Effects(rng)
        self._titles = [effects.title(rng, number) for number in range(titles)]
        self._expected = _traffic(rng, self._titles, impressions)

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        rng = np.random.default_rng([self._seed, 2])
        ages = [_Age() for _ in self._titles]
        spots: dict[Spot, Spot] = {}
        for place, at in visits(rng, self._expected, slice_ms=_SLICE_MS):
            title = self._titles[place]
            offers = title.live(int(at[0]))
            spot = Spot(
                title.id,
                tuple(offer.arm for offer in offers),
                title.tags,
                reported=self._reported(title, cold=ages[place].cold(offers, len(at))),
            )
            persona = picked(rng, _SHARES, len(at))
            truth = np.array([offer.rates for offer in offers]).T[persona]
            spot = spots.setdefault(spot, spot)  # one that did not change stays the same
            yield made(rng, spot, at, truth, persona=persona, delays=_DELAYS)

    def _reported(self, title: _Title, *, cold: bool) -> bool:
        if self._report == "new":
            return title.first >= _SLICES // 2
        return cold or self._report != "cold"


class _Age:
    """How many impressions a placement had since it started or a variant joined it."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._shown = 0

    def cold(self, offers: tuple[_Offer, ...], n: int) -> bool:
        """Whether a batch of ``n`` impressions belongs to a cold start; counts them."""
        live = {offer.arm.id for offer in offers}
        if not live <= self._known:
            self._known |= live
            self._shown = 0
        self._shown += n
        return self._shown - n < COLD


class _Effects:
    """What tags do to log rates, on every placement alike."""

    def __init__(self, rng: np.random.Generator) -> None:
        personas, each = len(PERSONAS), np.sqrt(_TAGS_EACH)
        everyone = rng.normal(0.0, _TAG_SPREAD / each, len(_TAGS))
        besides = rng.normal(0.0, _PERSONA_SPREAD / each, (personas, len(_TAGS)))
        self._tags: Floats = everyone + besides
        self._genres: Floats = rng.normal(0.0, _GENRE_SPREAD, (personas, len(_GENRES)))

    def title(self, rng: np.random.Generator, number: int) -> _Title:
        """A placement with all the variants that it will ever have."""
        begins = rng.random() >= _FROM_THE_START
        first = int(rng.integers(1, _SLICES * 9 // 10)) if begins else 0
        genre = int(rng.integers(len(_GENRES)))
        level = rng.uniform(np.log(_LOWEST), np.log(_HIGHEST)) + self._genres[:, genre]
        since, until = START_MS + first * _SLICE_MS, START_MS + _SLICES * _SLICE_MS
        at_first = int(rng.choice(_STARTS_WITH))
        joins = sorted(rng.integers(since, until, rng.poisson(_JOIN)))
        offers = [
            self._offer(rng, level, index, int(start), until)
            for index, start in enumerate([since] * at_first + joins)
        ]
        return _Title(f"title-{number + 1}", (_GENRES[genre],), first, tuple(offers))

    def _offer(
        self, rng: np.random.Generator, level: Floats, index: int, since: int, until: int
    ) -> _Offer:
        tags = np.sort(rng.choice(len(_TAGS), _TAGS_EACH, replace=False))
        alone = rng.normal(0.0, _TAG_SPREAD) + rng.normal(0.0, _PERSONA_SPREAD, len(PERSONAS))
        rates = np.minimum(np.exp(level + self._tags[:, tags].sum(axis=1) + alone), _MOST_LIKELY)
        leaves, when = rng.random() < _LEAVE and index > 1, int(rng.integers(since, until))
        words = tuple(_TAGS[tag] for tag in tags)
        arm = Arm(f"v{index + 1}", headline=f"{index + 1}: {' '.join(words)}", tags=words)
        return _Offer(arm, since, when if leaves else until, rates)


def _traffic(rng: np.random.Generator, titles: list[_Title], impressions: int) -> Floats:
    """S x P expected impressions: none before a placement starts."""
    shares = rng.permutation(zipf(len(titles), _EXPONENT))
    started = np.arange(_SLICES)[:, None] >= np.array([title.first for title in titles])
    weights = started * shares
    expected: Floats = impressions * weights / weights.sum()
    return expected


def _make(name: str, parameters: Sequence[str], setup: Setup) -> Catalogue:
    report = parameters[0] if parameters and parameters[0] in _REPORTS else ""
    none_of(name, parameters[bool(report) :], _FORM)
    titles, impressions = (30, 12_000) if setup.quick else (300, 300_000)
    return Catalogue(name, titles=titles, impressions=impressions, report=report, seed=setup.seed)


ENTRY: Final = Entry(
    _FORM, "hundreds of placements, most of them small; variants come and go; tags help", _make
)
