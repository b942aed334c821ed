"""A whole catalog as one document: what ``catalog import`` reads and ``catalog export`` writes.

TOML for people (``config/catalog.toml``), JSON for programs; both have the same fields. Reading
checks everything before anything is changed, and an error names the placement and the field.
"""

from __future__ import annotations

import tomllib

import msgspec

from bandit_service.catalog.model import (
    Persona,
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.errors import InvalidCatalog


class CatalogDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Personas and placements together; what is left out stays as it is."""

    personas: tuple[Persona, ...] | None = None
    threshold: float = 0.5
    prior_weight: float = 1.0
    placements: tuple[PlacementSpec, ...] = ()

    def personas_spec(self) -> PersonasSpec | None:
        """The personas as an edit, or None if the document does not speak of them."""
        if self.personas is None:
            return None
        return PersonasSpec(
            personas=self.personas, threshold=self.threshold, prior_weight=self.prior_weight
        )


def read_document(data: bytes, *, name: str) -> CatalogDocument:
    """Decode TOML or, when ``name`` ends in ``.json``, JSON.

    Raises:
        InvalidCatalog: if the text cannot be parsed or has a wrong or unknown field.
    """
    try:
        if name.endswith(".json"):
            return msgspec.json.decode(data, type=CatalogDocument)
        return msgspec.convert(tomllib.loads(data.decode("utf-8")), CatalogDocument)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # TOML's are ValueErrors
        raise InvalidCatalog(
            f"{name}: {exc}", hint="config/catalog.toml shows every field that may be used"
        ) from exc


def write_document(personas: Personas, placements: list[Placement]) -> bytes:
    """The catalog as indented JSON that ``read_document`` reads back."""
    document = CatalogDocument(
        personas=personas.personas,
        threshold=personas.threshold,
        prior_weight=personas.prior_weight,
        placements=tuple(_as_spec(p) for p in placements if not p.retired),
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def spec_of(variant: Variant) -> VariantSpec:
    """The variant as an editor would describe it: to change a field of it, and put it back."""
    return VariantSpec(
        id=variant.id,
        headline=variant.headline,
        image_url=variant.image_url,
        alt=variant.alt,
        target_url=variant.target_url,
        tags=list(variant.tags),
        attributes=variant.attributes,
        status=variant.status,
        min_share=variant.min_share,
        max_share=variant.max_share,
        live_from=variant.live_from,
        live_until=variant.live_until,
    )


def _as_spec(placement: Placement) -> PlacementSpec:
    return PlacementSpec(
        id=placement.id,
        kind=placement.kind,
        name=placement.name,
        tags=list(placement.tags),
        canonical=placement.canonical,
        finish=placement.finish,
        variants=[spec_of(variant) for variant in placement.variants],
    )
