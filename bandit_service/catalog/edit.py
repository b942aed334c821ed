"""From what an editor sends to the next revision of a placement.

Pure functions. Each returns the *same* object when nothing would change, so that a repeated PUT
makes no new revision and no entry in the log. Two rules protect what was learned:

- an edit of the content of a variant that has left ``draft`` makes a new version, a new arm;
- nothing is ever removed: what disappears from a list is retired, so its versions are never reused.
"""

from __future__ import annotations

import msgspec

from bandit_service.catalog.checks import check_personas, check_placement, require_id
from bandit_service.catalog.model import (
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.errors import InvalidCatalog, NotFound


def put_placement(old: Placement | None, placement_id: str, spec: PlacementSpec) -> Placement:
    """The placement after ``spec`` was put in its place.

    Raises:
        InvalidCatalog: if the result breaks a rule of the catalog.
        InvalidInput: if the body names another id than the path.
    """
    require_id(spec.id, placement_id, "id")
    known = old.variants if old is not None else ()
    variants = known if spec.variants is None else _merge(known, spec.variants)
    return _next(
        old,
        Placement(
            id=placement_id,
            revision=0,
            kind=spec.kind,
            name=spec.name,
            tags=tuple(spec.tags),
            canonical=spec.canonical,
            variants=variants,
        ),
    )


def put_variant(
    old: Placement | None, placement_id: str, variant_id: str, spec: VariantSpec
) -> Placement:
    """The placement after one of its variants was added or edited.

    Raises:
        NotFound: if the placement does not exist.
        InvalidCatalog: if the result breaks a rule of the catalog.
    """
    if old is None:
        raise NotFound(
            f"placement {placement_id!r} does not exist",
            field="placement",
            hint=f"create it first: PUT /v1/placements/{placement_id}",
        )
    require_id(spec.id, variant_id, "id")
    edited = _variant(old.variant(variant_id), variant_id, spec)
    if old.variant(variant_id) is None:
        variants = (*old.variants, edited)
    else:
        variants = tuple(edited if v.id == variant_id else v for v in old.variants)
    return _next(old, msgspec.structs.replace(old, variants=variants, retired=False))


def retire_variant(old: Placement, variant_id: str) -> Placement:
    """The placement without one of its variants; what was learned of it stays.

    Raises:
        NotFound: if the placement has no such variant.
    """
    if old.variant(variant_id) is None:
        raise NotFound(
            f"placement {old.id!r} has no variant {variant_id!r}",
            field="variant",
            hint=f"its variants are listed by GET /v1/placements/{old.id}",
        )
    variants = tuple(_retire(v) if v.id == variant_id else v for v in old.variants)
    return _next(old, msgspec.structs.replace(old, variants=variants))


def retire_placement(old: Placement) -> Placement:
    """The placement taken out of use, every variant retired; a later PUT revives it."""
    variants = tuple(_retire(v) for v in old.variants)
    return _next(old, msgspec.structs.replace(old, variants=variants, retired=True))


def put_personas(old: Personas, spec: PersonasSpec) -> Personas:
    """The personas after ``spec`` was put in their place.

    Raises:
        InvalidCatalog: if a persona or rule cannot be used.
    """
    new = Personas(
        revision=old.revision,
        threshold=spec.threshold,
        prior_weight=spec.prior_weight,
        personas=spec.personas,
    )
    if _same(new, old):
        return old
    return check_personas(msgspec.structs.replace(new, revision=old.revision + 1))


def _merge(known: tuple[Variant, ...], specs: list[VariantSpec]) -> tuple[Variant, ...]:
    by_id = {variant.id: variant for variant in known}
    listed = []
    for spec in specs:
        variant_id = require_id(spec.id, None, "variants.id")
        listed.append(_variant(by_id.get(variant_id), variant_id, spec))
    named = {variant.id for variant in listed}
    return (*listed, *(_retire(v) for v in known if v.id not in named))


def _variant(old: Variant | None, variant_id: str, spec: VariantSpec) -> Variant:
    new = Variant(
        id=variant_id,
        version=1 if old is None else old.version,
        headline=spec.headline,
        image_url=spec.image_url,
        alt=spec.alt,
        target_url=spec.target_url,
        tags=tuple(spec.tags),
        attributes=dict(spec.attributes),
        status=spec.status,
        min_share=spec.min_share,
        max_share=spec.max_share,
    )
    if old is None or old.status == "draft":
        return new
    if new.status == "draft":
        raise InvalidCatalog(
            f"variant {variant_id!r} is {old.status} and cannot become a draft again",
            field=f"variants.{variant_id}.status",
            hint="pause or retire it; visitors may have seen it",
        )
    if new.content != old.content:
        return msgspec.structs.replace(new, version=old.version + 1)
    return new


def _retire(variant: Variant) -> Variant:
    return msgspec.structs.replace(variant, status="retired")


def _next(old: Placement | None, new: Placement) -> Placement:
    if old is None:
        return check_placement(msgspec.structs.replace(new, revision=1))
    same_revision = msgspec.structs.replace(new, revision=old.revision)
    if _same(same_revision, old):
        return old
    return check_placement(msgspec.structs.replace(new, revision=old.revision + 1))


def _same(new: Placement | Personas, old: Placement | Personas) -> bool:
    """Whether nothing changed. To Python alone, an attribute of 1 is one of 1.0 and of true."""
    return new == old and _scalars(new) == _scalars(old)


def _scalars(value: Placement | Personas) -> list[str]:
    if isinstance(value, Placement):
        return [repr(sorted(variant.attributes.items())) for variant in value.variants]
    return [repr(rule.any) for persona in value.personas for rule in persona.rules]
