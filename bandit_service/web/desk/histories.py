"""The changes of a placement as sentences, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bandit_service.catalog.changes import CREATED, REMOVED, Change, Difference
from bandit_service.catalog.moments import ms_of
from bandit_service.services import Services
from bandit_service.serving.revisions import history

SHOWN: Final = 12
"""Changes that a page shows."""
_SAID: Final = 8
"""Sentences of one change that are said; the others are counted."""
_PARTS: Final = {
    "cli": "the command line",
    "seed": "the first start",
    "finish": "the service itself",
}
_STATUSES: Final = {
    "live": "published {}",
    "paused": "paused {}",
    "retired": "retired {}",
    "draft": "made {} a draft",
}
_FIELDS: Final = {
    "headline": "the headline of {}",
    "image_url": "the picture of {}",
    "alt": "the text of the picture of {}",
    "target_url": "the link of {}",
    "tags": "the tags of {}",
    "attributes": "the facts of {}",
    "min_share": "the least share of {}",
    "max_share": "the largest share of {}",
    "live_from": "the schedule of {}",
    "live_until": "the schedule of {}",
    "kind": "the kind",
    "name": "the name",
    "canonical": "the variant for search engines",
    "finish": "how it ends",
}


class Past(NamedTuple):
    """One change."""

    revision: int
    at: int | None
    """When, in ms; None: from before that was kept."""
    by: str
    words: Sequence[str]


def past_of(services: Services, site: str, placement: str) -> list[Past]:
    """The last changes of a placement."""
    labels = {
        record.id: record.label or f"key {record.id}" for record in services.keys.records().values()
    }
    found = history(services.store.site(site), placement, limit=SHOWN)
    return [_past(change, labels) for change in found]


def _past(change: Change, labels: Mapping[str, str]) -> Past:
    by = change.by or ""
    words = list(dict.fromkeys(_sentences(change.differences)))
    more = change.more + max(0, len(words) - _SAID)
    return Past(
        revision=change.revision,
        at=None if change.at is None else ms_of(change.at),
        by=labels.get(by) or _PARTS.get(by) or by or "somebody",
        words=[*words[:_SAID], *([f"and {more} more"] if more else [])] or ["changed nothing"],
    )


def _sentences(differences: Iterable[Difference]) -> list[str]:
    every = list(differences)
    new = {d.variant for d in every if d.field == CREATED and d.variant}
    return [_sentence(d) for d in every if d.field == CREATED or d.variant not in new]


def _sentence(difference: Difference) -> str:
    variant, field, after = difference.variant, difference.field, difference.after
    if variant is None:
        return _of_placement(field, after)
    if field == CREATED:
        return f"added {variant} ({after})"
    if field == REMOVED:
        return f"removed {variant}"
    if field == "status":
        return _STATUSES.get(str(after), "changed {}").format(variant)
    if field == "version":
        return f"began version {after} of {variant}"
    return f"changed {_FIELDS.get(field, field).format(variant)}"


def _of_placement(field: str, after: Any) -> str:
    if field == CREATED:
        return "made the placement"
    if field == "retired":
        return "retired the placement" if after else "brought the placement back"
    if field == "tags":
        return f"changed the tags{_listed(after)}"
    if field == "name":
        return f"named it {after}"
    return f"changed {_FIELDS.get(field, field)}"


def _listed(after: Any) -> str:
    return f" to {', '.join(map(str, after))}" if after else ""
