"""Placements, variants and personas: immutable records; ``limits`` says of which size and shape.

Two families of records. A *spec* (``VariantSpec``, ``PlacementSpec``) is what an editor writes:
unknown fields are refused by name. A stored record (``Variant``, ``Placement``) adds what the
catalog decides: the version of a variant and the revision of a placement.

A variant's *content* (headline, image, alternative text, target) never changes under one version;
an arm of the bandit is ``variant@version``. Tags, attributes, status and shares may change without
making a new arm: they describe the creative or its traffic, not what visitors see.
"""

from __future__ import annotations

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
    Number,
    PositiveShare,
    Share,
    Tag,
    Text,
    TraitName,
    Url,
    Weight,
    said,
)

Kind = Literal["thumbnail", "headline", "card"]
Status = Literal["draft", "live", "paused", "retired"]
Scalar = str | bool | int | float
TraitValue = str | bool | int | float | list[str | bool | int | float] | None


class VariantSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A creative as an editor describes it."""

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


class PlacementSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A placement as an editor describes it.

    ``variants`` left out keeps the present ones; given, it is the whole list: variants that it
    does not name are retired. ``canonical`` is the variant that crawlers and prefetchers get.
    """

    id: Id | None = None
    kind: Kind
    name: Text = ""
    tags: Annotated[list[Tag], TAGS] = []
    canonical: Id | None = None
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

    @property
    def arm(self) -> str:
        """The arm's name: ``variant@version``, unique within its placement."""
        return f"{self.id}@{self.version}"

    @property
    def content(self) -> tuple[str | None, str | None, str | None, str | None]:
        """What visitors see or reach; a change of it is a new version."""
        return (self.headline, self.image_url, self.alt, self.target_url)


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
    variants: tuple[Variant, ...] = ()

    def live(self) -> tuple[Variant, ...]:
        """The variants that may be shown now."""
        return () if self.retired else tuple(v for v in self.variants if v.status == "live")

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
