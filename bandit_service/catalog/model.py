"""Placements, variants and personas: immutable records; ``limits`` says of which size and shape.

Two families of records. A *spec* (``VariantSpec``, ``PlacementSpec``) is what an editor writes:
unknown fields are refused by name. A stored record (``Variant``, ``Placement``) adds what the
catalog decides: the version of a variant and the revision of a placement.

A variant's *content* (headline, image, alternative text, target) never changes under one version
that visitors may have seen; an arm of the bandit is ``variant@version``. Tags, attributes, status,
schedule and shares may change without making a new arm: they describe the creative or its traffic,
not what visitors see.

What may be shown is a function of a placement and the time, and of nothing else: ``live``. So a
schedule and a finish take effect in every process at their moment, without anybody changing
anything, and a decision's candidates can be derived again from its revision and its time.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from bandit_service.catalog.limits import (
    ATTRIBUTES,
    MAX_PERSONAS,
    MAX_RULE_VALUES,
    MAX_RULES,
    MAX_VARIANTS,
    MAX_WEIGHT,
    NAMED,
    TAGS,
    Attribute,
    AttributeName,
    Count,
    Id,
    Moment,
    Number,
    Plain,
    PositiveShare,
    Share,
    Tag,
    Text,
    TraitName,
    Url,
    Weight,
    said,
)
from bandit_service.catalog.moments import LONG_AGO, ms_of

Kind = Literal["thumbnail", "headline", "card"]
Status = Literal["draft", "live", "paused", "retired"]
Scalar = str | bool | int | float
TraitValue = str | bool | int | float | list[str | bool | int | float] | None
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment that the service noted itself, in UTC."""


class Creative(msgspec.Struct, frozen=True, kw_only=True):
    """What a creative is, whoever describes it: an editor, or a request that brings its own."""

    id: Id | None = None
    headline: Text | None = None
    image_url: Url | None = None
    alt: Text | None = None
    target_url: Url | None = None
    tags: Annotated[list[Tag], TAGS] = []
    attributes: Annotated[dict[AttributeName, Attribute], ATTRIBUTES] = {}
    status: Status = "draft"
    min_share: Share = 0.0
    max_share: PositiveShare = 1.0


class VariantSpec(Creative, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A creative as an editor describes it, and when it may be shown."""

    headline: Plain | None = None
    alt: Plain | None = None
    live_from: Moment | None = None
    """Shown from this moment on, while live; None: at once."""
    live_until: Moment | None = None
    """No longer shown from this moment on; None: never ends."""


class Finish(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How a placement ends: from then on its winner alone is shown, and decisions are logged still.

        winner                       by hand: from now on
        winner, at                   from that moment on
        at                           from then on, the one that is ahead by then
        when_clear                   once one variant is clearly the best
        when_clear, at (and winner)  the same, and at that moment at the latest (with that one)

    Where the winner has to be found, the service notes it here: ``winner`` and ``since``. While
    the winner is not live itself (paused, or its time is over) the other variants are shown.
    """

    winner: Id | None = None
    at: Moment | None = None
    when_clear: bool = False
    since: Moment | None = None
    """Since when a winner that had to be found is the only one shown."""

    @property
    def begins(self) -> datetime | None:
        """From when on the winner alone is shown; None: that is not known yet."""
        if self.winner is None:
            return None
        return self.since or self.at or LONG_AGO

    def over(self, now: int) -> bool:
        """Whether the placement is finished at ``now``, in ms since the Unix epoch."""
        begins = self.begins
        return begins is not None and ms_of(begins) <= now


class PlacementSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A placement as an editor describes it.

    ``variants`` left out keeps the present ones; given, it is the whole list: variants that it
    does not name are retired. ``canonical`` is the variant that crawlers and prefetchers get.
    ``finish`` says how the placement ends; None: it goes on.
    """

    id: Id | None = None
    kind: Kind
    name: Text = ""
    tags: Annotated[list[Tag], TAGS] = []
    canonical: Id | None = None
    finish: Finish | None = None
    variants: Annotated[list[Annotated[VariantSpec, NAMED]], said(maxItems=MAX_VARIANTS)] | None = (
        None
    )


class Variant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of one creative: an arm."""

    id: Id
    version: Count
    headline: Text | None = None
    image_url: Url | None = None
    alt: Text | None = None
    target_url: Url | None = None
    tags: Annotated[tuple[Tag, ...], TAGS] = ()
    attributes: Annotated[dict[AttributeName, Attribute], ATTRIBUTES] = {}
    status: Status = "draft"
    min_share: Share = 0.0
    """Least share of the placement's traffic while live, in [0, 1]."""
    max_share: PositiveShare = 1.0
    """Largest share of the placement's traffic, in (0, 1]."""
    live_from: Moment | None = None
    live_until: Moment | None = None

    def live(self, now: int) -> bool:
        """Whether it may be shown at ``now``, in ms since the Unix epoch."""
        if self.status != "live":
            return False
        begun = self.live_from is None or ms_of(self.live_from) <= now
        return begun and (self.live_until is None or now < ms_of(self.live_until))

    @property
    def arm(self) -> str:
        """The arm's name: ``variant@version``, unique within its placement."""
        return f"{self.id}@{self.version}"

    @property
    def content(self) -> tuple[str | None, str | None, str | None, str | None]:
        """What visitors see or reach; a change of it is a new version."""
        return (self.headline, self.image_url, self.alt, self.target_url)


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """When a revision was made, and by whom."""

    at: Instant
    by: str
    """Id of the key, or the name of the part of the service that made it."""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """One spot for one piece of content. ``revision`` grows by one with every change."""

    id: Id
    revision: Count
    kind: Kind
    name: Text = ""
    tags: Annotated[tuple[Tag, ...], TAGS] = ()
    retired: bool = False
    canonical: Id | None = None
    """Id of the variant for whoever is no visitor; None: the first live one."""
    finish: Finish | None = None
    variants: tuple[Variant, ...] = ()
    aired: dict[Id, Instant] | None = None
    """From when on visitors may have seen the present version of a variant, by its id; one that is
    not named has never been live. None in records of before
    this was kept."""
    numbers: dict[Id, Count] = {}
    """The highest version that an id ever had, where its present one is not that: a number that
    visitors may have met is never given to other content."""
    edited: Edited | None = None
    """Who made this revision; None in records of before this was kept."""

    def live(self, now: int) -> tuple[Variant, ...]:
        """The variants that may be shown at ``now``, in ms since the Unix epoch."""
        if self.retired:
            return ()
        live = tuple(variant for variant in self.variants if variant.live(now))
        if self.finish is None or not self.finish.over(now):
            return live
        return tuple(v for v in live if v.id == self.finish.winner) or live

    def finished(self, now: int) -> bool:
        """Whether its winner alone is shown at ``now``, in ms since the Unix epoch."""
        if self.retired or self.finish is None or not self.finish.over(now):
            return False
        return any(v.id == self.finish.winner and v.live(now) for v in self.variants)

    def turns(self) -> list[int]:
        """The moments (ms since the Unix epoch) at which ``live`` may change by itself, sorted."""
        moments = [self.finish.begins] if self.finish is not None else []
        for variant in self.variants:
            if variant.status == "live":
                moments += (variant.live_from, variant.live_until)
        return sorted({ms_of(moment) for moment in moments if moment is not None})

    def period(self, now: int) -> int:
        """Which stretch of time between ``turns`` a moment lies in; within one, ``live`` stays."""
        return bisect_right(self.turns(), now)

    def variant(self, variant_id: str) -> Variant | None:
        """The current version of a variant, or None."""
        return next((v for v in self.variants if v.id == variant_id), None)


class Rule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Evidence for a persona: fires when a visitor's trait matches.

    Exactly one condition: ``any`` (a listed value is in the trait), ``tagged`` (the trait names
    placements, and one of them carries a listed tag), or ``at_least`` / ``at_most`` (a number).
    """

    trait: TraitName
    weight: Weight = 1.0
    any: Annotated[tuple[Attribute, ...], said(maxItems=MAX_RULE_VALUES)] | None = None
    tagged: Annotated[tuple[Tag, ...], said(maxItems=MAX_RULE_VALUES)] | None = None
    at_least: Number | None = None
    at_most: Number | None = None


class Persona(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A broad audience and the rules that recognise it."""

    id: Id
    name: Text = ""
    description: Text = ""
    rules: Annotated[tuple[Rule, ...], said(maxItems=MAX_RULES)] = ()


class PersonasSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The personas of a site as an editor describes them."""

    personas: Annotated[tuple[Persona, ...], said(maxItems=MAX_PERSONAS)]
    threshold: Share = 0.5
    """Least confidence, in [0, 1], at which a persona is believed; below it: ``unknown``."""
    prior_weight: Annotated[float, said(minimum=0, maximum=MAX_WEIGHT)] = 1.0
    """Weight of the belief that a visitor fits no persona; see ``personas.resolve``."""


class Personas(msgspec.Struct, frozen=True, kw_only=True):
    """The personas of a site; ``revision`` grows by one with every change."""

    revision: Count = 0
    threshold: Share = 0.5
    prior_weight: Annotated[float, said(minimum=0, maximum=MAX_WEIGHT)] = 1.0
    personas: Annotated[tuple[Persona, ...], said(maxItems=MAX_PERSONAS)] = ()
