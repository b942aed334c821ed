"""A seeded audience whose taste is known: who visits, what they declare, and what they click.

Truth: the log-odds that a visitor of a persona clicks a variant are those of ``BASE_RATE``, plus
``CONTENT_WEIGHT`` times the persona's affinity for each tag of the placement (what the title is),
plus its affinity for each tag of the variant (what the creative shows), plus an effect of the
variant alone, drawn once from the seed. Nothing else enters: not the device, the hour or earlier
visits. So the best variant of every persona can be named, and an oracle's click rate computed.

Click rates lie between about 2 and 14 %. Real thumbnails earn nearer 1 %, and their best variant
leads by less; these are high so that a minute of visits suffices to see learning.

What a visitor sends differs from what it is. ``SILENT`` visitors declare nothing, ``MISTAKEN``
ones declare the genres of another persona, and some mix two. The oracle knows each true persona,
so a service that sees traits alone stays below it.

Every answer is a function of the seed and a number: visit 17 is the same visit in every run, on
every machine and in whichever thread asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from random import Random
from types import MappingProxyType

import msgspec

BASE_RATE = 0.05
"""Click probability of a variant towards which a persona is indifferent."""
CONTENT_WEIGHT = 0.2
"""How much a title's own tags move a click, relative to the tags of its creative."""
VARIANT_SPREAD = 0.08
"""Standard deviation of the effect of a variant alone, in log-odds."""
SILENT = 0.2
"""Share of visitors who declare nothing about their taste."""
MISTAKEN = 0.08
"""Share of the declaring visitors who declare the genres of another persona."""
MIXED = 0.15
"""Share of the declaring visitors who add one genre of another persona."""
POPULATION = 20_000
"""Visitors there are; the lower a visitor's number, the more often it returns."""

COUNTRIES = MappingProxyType({"PT": 0, "DE": 1, "FI": 2, "IN": 5, "JP": 9, "BR": -3, "US": -6})
"""Hours from UTC at which each country of the audience lives."""
DEVICES = ("mobile", "desktop", "tv", "tablet")
CHANNELS = ("direct", "search", "email", "social")


class Variant(msgspec.Struct, frozen=True):
    """What the audience reacts to in a variant of the catalog; other keys are ignored."""

    id: str
    status: str
    tags: tuple[str, ...] = ()


class Placement(msgspec.Struct, frozen=True):
    """A title of the catalog, with its content tags and its variants."""

    id: str
    tags: tuple[str, ...]
    variants: tuple[Variant, ...]

    @property
    def live(self) -> tuple[Variant, ...]:
        """The variants that a visitor may be shown."""
        return tuple(variant for variant in self.variants if variant.status == "live")


class Taste(msgspec.Struct, frozen=True):
    """A true persona: its share of visitors, genres it declares, log-odds it adds per tag."""

    share: float
    genres: tuple[str, ...]
    affinities: Mapping[str, float]


class Visitor(msgspec.Struct, frozen=True):
    """Someone who visits: the persona is the truth, the traits are what a site would know."""

    id: str
    persona: str
    traits: Mapping[str, object]


class Visit(msgspec.Struct, frozen=True):
    """A visitor in front of a placement; ``threshold`` in [0, 1) decides the click in advance."""

    visitor: Visitor
    placement: str
    context: Mapping[str, object]
    threshold: float


TASTES: Mapping[str, Taste] = MappingProxyType(
    {
        "romantic": Taste(
            share=0.22,
            genres=("romance", "drama"),
            affinities={
                "romance": 0.5, "drama": 0.3, "action": -0.3,
                "couple": 0.55, "warm": 0.3, "joke": -0.15, "explosion": -0.6, "chase": -0.4,
                "dark": -0.3, "mystery": -0.2, "question": -0.15,
            },
        ),
        "comedy": Taste(
            share=0.26,
            genres=("comedy", "sitcom"),
            affinities={
                "comedy": 0.5, "thriller": -0.3,
                "laughing": 0.55, "joke": 0.5, "group": 0.15, "explosion": -0.25, "chase": -0.3,
                "dark": -0.5, "mystery": -0.3, "couple": -0.3, "landscape": -0.4,
            },
        ),
        "action": Taste(
            share=0.22,
            genres=("action", "adventure"),
            affinities={
                "action": 0.5, "adventure": 0.3, "romance": -0.3,
                "explosion": 0.6, "chase": 0.5, "couple": -0.5, "warm": -0.2, "laughing": -0.2,
                "joke": -0.25, "question": -0.2, "child": -0.4, "landscape": -0.1,
            },
        ),
        "thriller": Taste(
            share=0.17,
            genres=("thriller", "crime"),
            affinities={
                "thriller": 0.5, "crime": 0.4, "animation": -0.3,
                "dark": 0.35, "mystery": 0.45, "question": 0.35, "close-up": 0.3, "laughing": -0.5,
                "joke": -0.5, "couple": -0.4, "warm": -0.2, "child": -0.5, "animal": -0.2,
            },
        ),
        "family": Taste(
            share=0.13,
            genres=("family", "animation"),
            affinities={
                "family": 0.5, "animation": 0.4, "thriller": -0.4, "crime": -0.2,
                "child": 0.5, "animal": 0.5, "group": 0.2, "landscape": 0.1, "explosion": -0.4,
                "dark": -0.5, "couple": -0.35, "chase": -0.2, "question": -0.1,
            },
        ),
    }
)  # fmt: skip
"""The demo's true personas; the strengths are invented."""


def load_placements(catalog: Path) -> tuple[Placement, ...]:
    """Read the placements of a catalog file.

    Raises:
        OSError: the file cannot be read.
        msgspec.ValidationError: a placement lacks what the audience needs.
    """
    found = msgspec.toml.decode(catalog.read_bytes(), type=dict[str, object])
    return msgspec.convert(found.get("placements", []), type=tuple[Placement, ...])


def click_probability(taste: Taste, placement: Placement, variant: Variant, *, seed: int) -> float:
    """The true probability that a visitor of this taste clicks this variant when it is seen."""
    content = sum(taste.affinities.get(tag, 0.0) for tag in placement.tags)
    creative = sum(taste.affinities.get(tag, 0.0) for tag in variant.tags)
    alone = Random(f"{seed}/variant/{placement.id}/{variant.id}").gauss(0.0, VARIANT_SPREAD)
    odds = math.log(BASE_RATE / (1.0 - BASE_RATE)) + CONTENT_WEIGHT * content + creative + alone
    return 1.0 / (1.0 + math.exp(-odds))


class Audience:
    """Visitors, visits and the truth behind them, for the live variants of some placements."""

    def __init__(
        self,
        placements: Sequence[Placement],
        *,
        seed: int,
        tastes: Mapping[str, Taste] = TASTES,
        population: int = POPULATION,
    ) -> None:
        self.placements = tuple(placement for placement in placements if placement.live)
        self.tastes = tastes
        self.seed = seed
        self.population = population
        self.visitor = lru_cache(maxsize=population)(self._visitor)
        self._truth = {
            (persona, placement.id): {
                variant.id: click_probability(taste, placement, variant, seed=seed)
                for variant in placement.live
            }
            for persona, taste in tastes.items()
            for placement in self.placements
        }

    def truth(self, persona: str, placement: str) -> Mapping[str, float]:
        """Click probability of each live variant; KeyError for a name the audience lacks."""
        return self._truth[persona, placement]

    def best_variant(self, persona: str, placement: str) -> str:
        """The variant that an oracle shows to this persona."""
        rates = self.truth(persona, placement)
        return max(rates, key=rates.__getitem__)

    def uniform_rate(self, persona: str) -> float:
        """Expected click rate when every live variant is shown equally often."""
        return self._mean_over_placements(persona, lambda rates: sum(rates) / len(rates))

    def best_rate(self, persona: str) -> float:
        """Expected click rate of the oracle, which no policy can beat."""
        return self._mean_over_placements(persona, max)

    def visit(self, number: int, *, at: datetime) -> Visit:
        """The visit of this number, made at this UTC time, to a placement picked evenly."""
        rng = Random(f"{self.seed}/visit/{number}")
        visitor = self.visitor(int(self.population * rng.random() ** 1.5))
        country = str(visitor.traits["country"])
        return Visit(
            visitor=visitor,
            placement=rng.choice(self.placements).id,
            context={
                "device": rng.choices(DEVICES, (5, 3, 2, 1))[0],
                "country": country,
                "hour": (at.hour + COUNTRIES[country]) % 24,
                "channel": rng.choices(CHANNELS, (4, 3, 2, 1))[0],
            },
            threshold=rng.random(),
        )

    def clicks(self, visit: Visit, variant: str) -> bool:
        """Whether this visit ends in a click if this variant is shown; KeyError if unknown."""
        return visit.threshold < self.truth(visit.visitor.persona, visit.placement)[variant]

    def _visitor(self, number: int) -> Visitor:
        rng = Random(f"{self.seed}/visitor/{number}")
        weights = [taste.share for taste in self.tastes.values()]
        persona = rng.choices(tuple(self.tastes), weights)[0]
        traits: dict[str, object] = {"country": rng.choice(tuple(COUNTRIES))}
        if rng.random() >= SILENT:
            traits |= self._declared(rng, persona)
        return Visitor(id=f"visitor-{number}", persona=persona, traits=traits)

    def _declared(self, rng: Random, persona: str) -> dict[str, object]:
        """Genres as the visitor gives them, favourites and children as they are."""
        stranger = rng.choice([name for name in self.tastes if name != persona])
        named = stranger if rng.random() < MISTAKEN else persona
        own = self.tastes[named].genres
        genres = list(rng.sample(own, rng.randint(1, len(own))))
        if rng.random() < MIXED:
            genres.append(rng.choice(self.tastes[stranger].genres))
        traits: dict[str, object] = {"genres": genres}
        if rng.random() < 0.5:
            traits["favourites"] = self._favourites(rng, persona)
        if rng.random() < (0.85 if persona == "family" else 0.1):
            traits["children"] = rng.randint(1, 3)
        return traits

    def _favourites(self, rng: Random, persona: str) -> list[str]:
        """One or two placements, those of the persona's own kind far the likeliest."""
        liked = self.tastes[persona].affinities
        weights = [
            math.exp(6.0 * sum(liked.get(tag, 0.0) for tag in placement.tags))
            for placement in self.placements
        ]
        names = [placement.id for placement in self.placements]
        return sorted(set(rng.choices(names, weights, k=2)))

    def _mean_over_placements(
        self, persona: str, rate: Callable[[Collection[float]], float]
    ) -> float:
        rates = [rate(self.truth(persona, place.id).values()) for place in self.placements]
        return sum(rates) / len(rates)
