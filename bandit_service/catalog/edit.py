"""From what an editor sends to the next revision of a placement.

Pure functions; ``now`` is in ms since the Unix epoch. Each returns the *same* object when nothing
would change, so that a repeated PUT makes no new revision and no entry in the log. Two rules
protect what was learned:

- an edit of the content of a version that visitors may have seen makes a new version, a new arm;
- nothing of that kind is ever removed: what disappears from a list is retired, and a version's
  number is never given to other content.

A version that has never been live is edited in place. That nobody has seen it is known from the
record alone: ``Placement.aired`` is when it could first have been shown, by status and schedule.
``undo`` takes back more than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from bandit_service.catalog.checks import (
    check_personas,
    check_placement,
    check_plain,
    require_id,
)
from bandit_service.catalog.model import (
    Finish,
    Kind,
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.catalog.moments import LONG_AGO, moment_of, ms_of, normal
from bandit_service.catalog.schedule_checks import check_winner
from bandit_service.errors import InvalidCatalog, NotFound

SKEW_MS: Final = 60_000
"""How much the clocks of machines may differ, in ms: so long before its first moment a version
counts as shown already."""


def put_placement(
    old: Placement | None, placement_id: str, spec: PlacementSpec, *, now: int
) -> Placement:
    """The placement after ``spec`` was put in its place.

    Raises:
        InvalidCatalog: if the result breaks a rule of the catalog.
        InvalidInput: if the body names another id than the path.
    """
    require_id(spec.id, placement_id, "id")
    base = old or Placement(id=placement_id, revision=0, kind=spec.kind, aired={})
    variants = base.variants if spec.variants is None else _merge(base, spec.variants, now)
    new = msgspec.structs.replace(
        base,
        kind=spec.kind,
        name=spec.name,
        tags=tuple(spec.tags),
        retired=False,
        canonical=spec.canonical,
        finish=_finish(base.finish, spec.finish),
        variants=variants,
    )
    return _with_winner(old, next_revision(old, new, now))


def put_variant(
    old: Placement | None, placement_id: str, variant_id: str, spec: VariantSpec, *, now: int
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
    named = msgspec.structs.replace(spec, id=variant_id)
    return put_variants(old, placement_id, old.kind, [named], now=now)


def put_variants(
    old: Placement | None,
    placement_id: str,
    kind: Kind,
    specs: Sequence[VariantSpec],
    *,
    now: int,
) -> Placement:
    """The placement, made if there was none, after some variants were added or edited.

    Variants that ``specs`` do not name stay as they are, and so does all else of the placement.

    Raises:
        InvalidCatalog: if the result breaks a rule of the catalog.
    """
    base = old or Placement(id=placement_id, revision=0, kind=kind, aired={})
    edited = {variant.id: variant for variant in _edited(base, specs, now)}
    kept = [edited.pop(variant.id, variant) for variant in base.variants]
    variants = (*kept, *edited.values())
    return next_revision(old, msgspec.structs.replace(base, variants=variants, retired=False), now)


def put_finish(old: Placement, finish: Finish | None, *, now: int) -> Placement:
    """The placement with another finish; None: it goes on.

    Raises:
        InvalidCatalog: if the finish breaks a rule of the catalog.
    """
    new = msgspec.structs.replace(old, finish=_finish(old.finish, finish))
    return _with_winner(old, next_revision(old, new, now))


def retire_variant(old: Placement, variant_id: str, *, now: int) -> Placement:
    """The placement without one of its variants; what was learned of it stays.

    Raises:
        NotFound: if the placement has no such variant.
    """
    if old.variant(variant_id) is None:
        raise no_variant(old, variant_id)
    variants = tuple(retired(v) if v.id == variant_id else v for v in old.variants)
    return next_revision(old, msgspec.structs.replace(old, variants=variants), now)


def retire_placement(old: Placement, *, now: int) -> Placement:
    """The placement taken out of use, every variant retired; a later PUT revives it."""
    variants = tuple(retired(v) for v in old.variants)
    return next_revision(old, msgspec.structs.replace(old, variants=variants, retired=True), now)


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


def is_unseen(placement: Placement, variant: Variant, now: int) -> bool:
    """Whether the record alone says that nobody can have seen the present version of a variant."""
    if placement.aired is None:
        return variant.status == "draft"
    aired = placement.aired.get(variant.id)
    return aired is None or ms_of(aired) > now + SKEW_MS


def retired(variant: Variant) -> Variant:
    """The variant out of use."""
    return msgspec.structs.replace(variant, status="retired")


def no_variant(placement: Placement, variant_id: str) -> NotFound:
    """The error for a variant that a placement does not have."""
    return NotFound(
        f"placement {placement.id!r} has no variant {variant_id[:80]!r}",
        field="variant",
        hint=f"its variants are listed by GET /v1/placements/{placement.id}",
    )


def next_revision(
    old: Placement | None,
    new: Placement,
    now: int,
    *,
    aired: Mapping[str, datetime] = MappingProxyType({}),
) -> Placement:
    """``new`` as the revision after ``old``, or ``old`` itself if nothing changed.

    ``aired`` is what is known of versions that are not those of ``old``.

    Raises:
        InvalidCatalog: if it breaks a rule of the catalog.
    """
    present = {variant.id: variant.version for variant in new.variants}
    numbers = {name: n for name, n in new.numbers.items() if n > present.get(name, 0)}
    new = msgspec.structs.replace(new, numbers=numbers, edited=None)
    if old is not None and _same(
        msgspec.structs.replace(new, revision=old.revision, edited=old.edited, aired=old.aired),
        old,
    ):
        return old
    return check_placement(
        msgspec.structs.replace(
            new,
            revision=1 if old is None else old.revision + 1,
            aired=dict(_airings(old, new, now)) | dict(aired),
        )
    )


def _with_winner(old: Placement | None, new: Placement) -> Placement:
    """``new``, if a winner that it newly names is live.

    A placement that is made whole, as an import makes it, may be one whose winner was paused since.
    """
    changed = old is not None and old.finish != new.finish
    return check_winner(new) if changed else new


def _airings(old: Placement | None, new: Placement, now: int) -> Iterator[tuple[str, datetime]]:
    """From when on visitors may have seen each variant, of those that were or are live."""
    for variant in new.variants:
        before = None if old is None else old.variant(variant.id)
        same = before is not None and before.version == variant.version
        if old is not None and before is not None and same and not is_unseen(old, before, now):
            yield variant.id, (old.aired or {}).get(variant.id, LONG_AGO)
        elif variant.status == "live":
            first = now if variant.live_from is None else max(now, ms_of(variant.live_from))
            yield variant.id, moment_of(first)


def _merge(base: Placement, specs: Sequence[VariantSpec], now: int) -> tuple[Variant, ...]:
    listed = _edited(base, specs, now)
    named = {variant.id for variant in listed}
    return (*listed, *(retired(v) for v in base.variants if v.id not in named))


def _edited(base: Placement, specs: Sequence[VariantSpec], now: int) -> list[Variant]:
    return [next_variant(base, require_id(s.id, None, "variants.id"), s, now) for s in specs]


def next_variant(base: Placement, variant_id: str, spec: VariantSpec, now: int) -> Variant:
    """What becomes of a variant by an edit.

    Raises:
        InvalidCatalog: if a field of ``spec`` cannot be used, or what visitors may have seen would
            become a draft again.
    """
    field = f"variants.{variant_id}"
    old, taken = base.variant(variant_id), base.numbers.get(variant_id, 0)
    new = Variant(
        id=variant_id,
        version=taken + 1 if old is None else old.version,
        headline=check_plain(spec.headline, f"{field}.headline"),
        image_url=spec.image_url,
        alt=check_plain(spec.alt, f"{field}.alt"),
        target_url=spec.target_url,
        tags=tuple(spec.tags),
        attributes=dict(spec.attributes),
        status=spec.status,
        min_share=spec.min_share,
        max_share=spec.max_share,
        live_from=normal(spec.live_from, f"{field}.live_from"),
        live_until=normal(spec.live_until, f"{field}.live_until"),
    )
    if old is None or is_unseen(base, old, now):
        return new
    if new.status == "draft" != old.status:
        raise InvalidCatalog(
            f"variant {variant_id!r} is {old.status} and cannot become a draft again",
            field=f"{field}.status",
            hint="pause or retire it; visitors may have seen it",
        )
    if new.content != old.content:
        return msgspec.structs.replace(new, version=max(old.version, taken) + 1)
    return new


def _finish(old: Finish | None, new: Finish | None) -> Finish | None:
    """The finish that is asked for; what was found already stays if the same is asked again."""
    if new is None:
        return None
    asked = msgspec.structs.replace(
        new, at=normal(new.at, "finish.at"), since=normal(new.since, "finish.since")
    )
    if old is not None and old.since is not None and asked.winner is None:
        as_asked = msgspec.structs.replace(old, winner=None, since=None)
        if as_asked == asked:
            return old
    return asked


def _same(new: Placement | Personas, old: Placement | Personas) -> bool:
    """Whether nothing changed. To Python alone, an attribute of 1 is one of 1.0 and of true."""
    return new == old and _scalars(new) == _scalars(old)


def _scalars(value: Placement | Personas) -> list[str]:
    if isinstance(value, Placement):
        return [repr(sorted(variant.attributes.items())) for variant in value.variants]
    return [repr(rule.any) for persona in value.personas for rule in persona.rules]
