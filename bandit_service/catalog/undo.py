"""Taking back what an editor did: a placement as it was at an earlier revision, a variant removed.

Pure functions. What visitors saw cannot be taken back, so it stays on record: a variant that was
made since and was shown is retired, not removed, and one that was a draft then and was shown since
is paused. What was learned comes back too: a version that was edited away is the same arm again.

*Who knows that nothing was shown?* The record knows it of a version that has never been live. Of
one that has, the log is asked (``served``), as far as it can be read in a moment; where it cannot,
the answer is yes. The log may not have heard of a view yet: a machine that is cut off tells of it
later. Nothing rests on its silence, therefore, but what editors see: the number of a version that
was ever live is never given to other content (``Placement.numbers``), so a view that is told of
later still speaks of the arm that it was of.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec

from bandit_service.catalog.edit import is_unseen, next_revision, no_variant, retired
from bandit_service.catalog.model import Placement, Variant
from bandit_service.catalog.moments import LONG_AGO, ms_of
from bandit_service.errors import Conflict

Served = Callable[[str], bool]
"""Whether visitors were shown a variant of this id, in any version, or nobody can tell."""


class _Back(NamedTuple):
    """A variant of an earlier revision as it comes back."""

    variant: Variant
    aired: datetime | None = None
    """When its version was first live, where that is not the present version."""


def reverted(old: Placement, then: Placement, *, served: Served, now: int) -> Placement:
    """The placement as it was when ``then`` was its revision, as far as nobody saw what came since.

    ``served`` speaks of all the time since then; ``now`` is in ms since the Unix epoch.

    Raises:
        InvalidCatalog: if that breaks a rule of the catalog by now.
    """
    known = {variant.id for variant in then.variants}
    since = [variant for variant in old.variants if variant.id not in known]
    kept = [retired(variant) for variant in since if not _removable(old, variant, served, now)]
    back = [_as_then(old, then, variant, served, now) for variant in then.variants]
    variants = (*(found.variant for found in back), *kept)
    aired = {found.variant.id: found.aired for found in back if found.aired is not None}
    new = msgspec.structs.replace(then, variants=variants, numbers=_spent(old, now))
    return next_revision(old, new, now, aired=aired)


def without(old: Placement, variant_id: str, *, served: Served, now: int) -> Placement:
    """The placement as if a variant had never been in it.

    ``served`` speaks of the time since its version was first live. One that has had an earlier
    version is not removed: that one was live.

    Raises:
        NotFound: if the placement has no such variant.
        Conflict: if visitors were shown it, or may have been.
        InvalidCatalog: if the placement needs it.
    """
    variant = old.variant(variant_id)
    if variant is None:
        raise no_variant(old, variant_id)
    unseen = is_unseen(old, variant, now) or not served(variant_id)
    if not (unseen and _is_first(old, variant)):
        raise Conflict(
            f"variant {variant_id!r} has been shown to visitors, or may have been",
            field="variant",
            hint="retire it: what was learned of it stays",
        )
    variants = tuple(v for v in old.variants if v.id != variant_id)
    new = msgspec.structs.replace(old, variants=variants, numbers=_spent(old, now))
    return next_revision(old, new, now)


def _as_then(old: Placement, then: Placement, variant: Variant, served: Served, now: int) -> _Back:
    """A variant of an earlier revision, under a number that its content may have."""
    back = _numbered(old, then, variant, now)
    present = old.variant(variant.id)
    if variant.status != "draft" or present is None or present.status == "draft":
        return back
    if is_unseen(old, present, now) or not served(variant.id):
        return back
    return back._replace(variant=msgspec.structs.replace(back.variant, status="paused"))


def _numbered(old: Placement, then: Placement, variant: Variant, now: int) -> _Back:
    present = old.variant(variant.id)
    highest = old.numbers.get(variant.id, 0)
    if present is not None and present.content == variant.content:
        return _Back(msgspec.structs.replace(variant, version=present.version))
    if aired := _aired_by(then, variant):
        return _Back(variant, aired)
    if present is None:
        version = highest + 1
    elif is_unseen(old, present, now):
        version = present.version
    else:
        version = max(highest, present.version) + 1
    return _Back(msgspec.structs.replace(variant, version=version))


def _aired_by(then: Placement, variant: Variant) -> datetime | None:
    """When a version was first live; None if it had not been by the time of a revision.

    Its content is settled from then on: it can be that arm again.
    """
    if then.aired is None:
        return None if variant.status == "draft" else LONG_AGO
    aired = then.aired.get(variant.id)
    if aired is None or then.edited is None or ms_of(aired) > ms_of(then.edited.at):
        return None
    return aired


def _removable(old: Placement, variant: Variant, served: Served, now: int) -> bool:
    """Whether nobody saw a variant that was made since, in any version."""
    return (_is_first(old, variant) and is_unseen(old, variant, now)) or not served(variant.id)


def _is_first(old: Placement, variant: Variant) -> bool:
    return variant.version == 1 and variant.id not in old.numbers


def _spent(old: Placement, now: int) -> dict[str, int]:
    """By id, the highest number that no other content may have."""
    numbers = dict(old.numbers)
    for variant in old.variants:
        spent = variant.version - is_unseen(old, variant, now)
        numbers[variant.id] = max(spent, numbers.get(variant.id, 0))
    return numbers
