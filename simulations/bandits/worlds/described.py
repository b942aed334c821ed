"""A world from a file, so that anyone can simulate their own traffic: placements, variants, rates.

``config/worlds/example.toml`` shows every key; JSON with the same keys is read too. What a visitor
of a persona does with a variant is its rate, which stays as it is; a placement has impressions on
the days on which a variant of it is live. Keys that are not known, and values that cannot be, are
refused by name.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta

from bandit_service.catalog.limits import CATALOG_ID, MAX_PERSONAS, MAX_TAGS
from bandit_service.errors import InvalidInput
from simulations.bandits.base import Arm, Batch, Floats, Spot
from simulations.bandits.worlds.entry import Entry, Setup
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

MAX_IMPRESSIONS: Final = 10_000_000
MAX_DAYS: Final = 366
MAX_PLACEMENTS: Final = 1_000
MAX_VARIANTS: Final = 100
"""Most variants of one placement; the service takes as many with a request."""
MAX_MINUTES: Final = 30 * 1_440
"""Longest window, in minutes: the service waits no longer."""
_QUICK: Final = 12_000
"""Most impressions of a quick run."""
_FORM = "file:PATH"
_HINT: Final = "config/worlds/example.toml shows every key"

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Id = Annotated[str, Meta(pattern=f"^({CATALOG_ID.pattern})$")]
Tags = Annotated[tuple[str, ...], Meta(max_length=MAX_TAGS)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class PersonaPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of visitor."""

    id: Id
    share: Positive
    """How common; shares need not add up to 1."""


class VariantPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant and what it earns."""

    id: Id
    rate: Share | None = None
    """Rewards per impression, of every persona that ``rates`` does not name."""
    rates: dict[str, Share] = {}
    headline: str = ""
    tags: Tags = ()
    from_day: Annotated[int, Meta(ge=0)] = 0
    """The day on which it goes live; the world starts with day 0."""
    until_day: Annotated[int, Meta(ge=1)] = MAX_DAYS
    """The day on which it is live no more."""

    def live(self, day: int) -> bool:
        """Whether it may be shown on that day."""
        return self.from_day <= day < self.until_day

    def by_persona(self, personas: Sequence[str]) -> list[float | None]:
        """The rate of each; None where the file says none."""
        return [self.rates.get(persona, self.rate) for persona in personas]


class PlacementPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A placement, its share of the traffic, its variants."""

    id: Id
    variants: Annotated[tuple[VariantPart, ...], Meta(min_length=1, max_length=MAX_VARIANTS)]
    traffic: Positive = 1.0
    """Impressions a day while it has a live variant, relative to other placements."""
    tags: Tags = ()
    reported: bool = True

    def live(self, day: int) -> list[VariantPart]:
        """The variants that may be shown on that day."""
        return [variant for variant in self.variants if variant.live(day)]


class Description(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    placements: Annotated[tuple[PlacementPart, ...], Meta(min_length=1, max_length=MAX_PLACEMENTS)]
    impressions: Annotated[int, Meta(ge=1, le=MAX_IMPRESSIONS)]
    """Expected, of all placements together."""
    days: Annotated[int, Meta(ge=1, le=MAX_DAYS)]
    personas: Annotated[tuple[PersonaPart, ...], Meta(min_length=1, max_length=MAX_PERSONAS)] = (
        PersonaPart(id="everyone", share=1.0),
    )
    words: str = ""
    window_minutes: Annotated[float, Meta(gt=0.0, le=MAX_MINUTES)] = 10.0
    """How long after an impression a reward still counts."""
    delay_minutes: Annotated[float, Meta(ge=0.0, le=MAX_MINUTES)] = 0.5
    """Within which half of the rewards are known."""
    lost: Share = 0.0
    """Share of outcomes that nobody is ever told."""


class Described:
    """The world of a description."""

    keys: tuple[str, ...] = ()

    def __init__(self, name: str, description: Description, *, impressions: int, seed: int) -> None:
        """``impressions`` expected, instead of those that the file says; ``name`` as called."""
        self.name = name
        self.words = description.words or f"{len(description.placements)} placements of {name}"
        self.personas = tuple(persona.id for persona in description.personas)
        self._seed = seed
        self._placements = description.placements
        shares = np.array([persona.share for persona in description.personas])
        self._shares: Floats = shares / shares.sum()
        self._delays = Delays(
            window_ms=math.ceil(description.window_minutes * MINUTE_MS),
            median_ms=description.delay_minutes * MINUTE_MS,
            lost=description.lost,
        )
        self._expected = _traffic(description, impressions)

    @property
    def window_ms(self) -> int:
        """When an impression without a reward is known to have none, in ms after it."""
        return self._delays.window_ms

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""
        rng = np.random.default_rng([self._seed, 2])
        spots: dict[Spot, Spot] = {}
        for place, at in visits(rng, self._expected, slice_ms=HOUR_MS):
            placement = self._placements[place]
            live = placement.live((int(at[0]) - START_MS) // DAY_MS)
            persona = picked(rng, self._shares, len(at))
            rates = np.array([one.by_persona(self.personas) for one in live], np.float64).T
            arms = tuple(Arm(one.id, one.headline, one.tags) for one in live)
            spot = Spot(placement.id, arms, placement.tags, placement.reported)
            yield made(
                rng,
                spots.setdefault(spot, spot),  # one that did not change stays the same
                at,
                rates[persona],
                persona=persona,
                delays=self._delays,
            )


def _traffic(description: Description, impressions: int) -> Floats:
    """Hours x placements, expected impressions."""
    days = range(description.days)
    live = [[bool(one.live(day)) for one in description.placements] for day in days]
    weights = np.array(live) * np.array([one.traffic for one in description.placements])
    expected: Floats = np.repeat(impressions / 24.0 * weights / weights.sum(), 24, axis=0)
    return expected


def read(path: Path) -> Description:
    """The description that a file holds.

    Raises:
        InvalidInput: if it cannot be read, or naming the field that is missing, unknown or wrong.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise InvalidInput(f"{path} cannot be read: {why}", field="worlds", hint=_HINT) from exc
    try:
        tree = msgspec.json.decode(data) if path.suffix == ".json" else _toml(data)
        description = msgspec.convert(tree, Description)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # TOML's are ValueErrors
        raise InvalidInput(f"{path}: {exc}", field="worlds", hint=_HINT) from exc
    for field, why in _wrong(description):
        raise InvalidInput(f"{path}: {field} {why}", field=field, hint=_HINT)
    return description


def _toml(data: bytes) -> object:
    return tomllib.loads(data.decode("utf-8"))


def _wrong(description: Description) -> Iterator[tuple[str, str]]:
    """What no single field can show: its name, and what is wrong with it."""
    yield from _twice("personas", [one.id for one in description.personas])
    yield from _twice("placements", [one.id for one in description.placements])
    for number, persona in enumerate(description.personas):
        yield from _infinite(f"personas[{number}].share", persona.share)
    personas = [one.id for one in description.personas]
    for number, placement in enumerate(description.placements):
        field = f"placements[{number}]"
        yield from _infinite(f"{field}.traffic", placement.traffic)
        yield from _twice(f"{field}.variants", [one.id for one in placement.variants])
        for place, variant in enumerate(placement.variants):
            yield from _wrong_variant(f"{field}.variants[{place}]", variant, personas)
        if not any(placement.live(day) for day in range(description.days)):
            yield f"{field}.variants", f"are live on none of the {description.days} days"
    if not any(placement.reported for placement in description.placements):
        yield "placements", "are all `reported = false`, so that nothing would count"


def _wrong_variant(
    field: str, variant: VariantPart, personas: Sequence[str]
) -> Iterator[tuple[str, str]]:
    if variant.from_day >= variant.until_day:
        yield f"{field}.until_day", f"is not after from_day, which is {variant.from_day}"
    for persona in variant.rates:
        if persona not in personas:
            yield f"{field}.rates", f"names {persona!r}, who is none of the personas"
    for persona, rate in zip(personas, variant.by_persona(personas), strict=True):
        if rate is None:
            yield f"{field}.rate", f"is missing, and `rates` does not name {persona!r}"
        else:
            yield from _infinite(f"{field}.rates.{persona}", rate)


def _twice(field: str, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, one in enumerate(ids):
        if one in ids[:place]:
            yield f"{field}[{place}].id", f"is {one!r}, which there is already"


def _infinite(field: str, value: float) -> Iterator[tuple[str, str]]:
    """TOML can write what no comparison refuses."""
    if not math.isfinite(value):
        yield field, f"is {value}, not a number to count with"


def _make(name: str, parameters: Sequence[str], setup: Setup) -> Described:
    path = ":".join(parameters)
    if not path:
        raise InvalidInput(
            f"{name!r} names no file", field="worlds", hint=f"write it as {_FORM}; {_HINT}"
        )
    description = read(Path(path))
    most = _QUICK if setup.quick else MAX_IMPRESSIONS
    return Described(
        name, description, impressions=min(description.impressions, most), seed=setup.seed
    )


ENTRY: Final = Entry(_FORM, "your own placements, personas and rates, from TOML or JSON", _make)
