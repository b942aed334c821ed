"""What changed from one revision of a placement to the next, as data that words are made of.

A *difference* names what changed (``field``), of which variant if it was one's, and how it stood
before and after. A version that nobody had seen may change its content without a new number; a
``version`` among the differences says that a new arm began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from bandit_service.catalog.limits import Count, Id
from bandit_service.catalog.model import Placement, Variant

MAX_DIFFERENCES: Final = 200
"""Differences that are listed of one change; how many more there were is counted."""
OF_PLACEMENT: Final = ("kind", "name", "tags", "canonical", "finish", "retired")
OF_VARIANT: Final = (
    *("status", "version", "headline", "image_url", "alt", "target_url", "tags", "attributes"),
    *("min_share", "max_share", "live_from", "live_until"),
)
CREATED: Final = "created"
REMOVED: Final = "removed"


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that changed. What is left out was, or is, nothing."""

    field: str
    """A field of the placement or the variant; or ``created``, or ``removed``."""
    variant: Id | None = None
    """The variant that it is a field of; none: the placement itself."""
    before: Any = None
    after: Any = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A revision: when it was made, by whom, and what it changed."""

    revision: Count
    at: datetime | None
    """None in records of before this was kept; so with ``by``."""
    by: str | None
    """Id of the key; or ``cli``, ``seed``, or ``finish``: the service itself."""
    differences: list[Difference]
    more: Count = 0
    """How many further differences there were."""


def change(before: Placement | None, after: Placement) -> Change:
    """What a revision changed; ``before`` is the one before it, None if it was the first."""
    found = list(_differences(before, after))
    edited = after.edited
    return Change(
        revision=after.revision,
        at=None if edited is None else edited.at,
        by=None if edited is None else edited.by,
        differences=found[:MAX_DIFFERENCES],
        more=max(0, len(found) - MAX_DIFFERENCES),
    )


def _differences(before: Placement | None, after: Placement) -> Iterator[Difference]:
    if before is None:
        yield Difference(field=CREATED, after=after.kind)
        before = Placement(id=after.id, revision=0, kind=after.kind)
    for name, old, new in _changed(before, after, OF_PLACEMENT):
        yield Difference(field=name, before=old, after=new)
    known = {variant.id: variant for variant in before.variants}
    for variant in after.variants:
        yield from variant_differences(known.pop(variant.id, None), variant)
    for gone in known:
        yield Difference(field=REMOVED, variant=gone)


def variant_differences(before: Variant | None, after: Variant) -> Iterator[Difference]:
    """What changed of a variant; None: it is new, and is said whole."""
    if before is None:
        yield Difference(field=CREATED, variant=after.id, after=after.status)
        before = Variant(id=after.id, version=after.version, status=after.status)
    for name, old, new in _changed(before, after, OF_VARIANT):
        yield Difference(field=name, variant=after.id, before=old, after=new)


def _changed(
    before: Placement | Variant, after: Placement | Variant, names: Iterable[str]
) -> Iterator[tuple[str, Any, Any]]:
    for name in names:
        old, new = _field(before, name), _field(after, name)
        if old != new:
            yield name, old, new


def _field(value: Placement | Variant, name: str) -> Any:
    """A field as plain data; an empty one is nothing."""
    found = getattr(value, name)
    return None if found in ((), {}, "") else found
