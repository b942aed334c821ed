"""The history of a placement: what each revision changed, read from the revisions that are kept.

Two revisions are held at a time, so that a long history of a large placement takes no more memory
than a short one; how many changes one question answers is bounded.
"""

from __future__ import annotations

from typing import Final

from bandit_service.catalog.changes import Change, change
from bandit_service.errors import InvalidInput
from bandit_service.serving.editing import no_placement, placement_at
from bandit_service.storage.ports import SiteStore

MAX_CHANGES: Final = 100
"""Changes that one question answers at most: each takes two exchanges with the store."""


def history(
    store: SiteStore, placement_id: str, *, before: int | None = None, limit: int = MAX_CHANGES
) -> list[Change]:
    """What changed at a placement, the newest first.

    Args:
        store: the site.
        placement_id: the placement.
        before: only what came before this revision: the last one of what was read, to read on.
        limit: how many changes, MAX_CHANGES at most.

    Raises:
        InvalidInput: if ``limit`` is out of bounds.
        NotFound: if there is no such placement.
        StorageError: if the store does not answer.
    """
    if not 1 <= limit <= MAX_CHANGES:
        raise InvalidInput(
            f"limit is {limit}", field="limit", hint=f"ask for 1 to {MAX_CHANGES} changes"
        )
    present = placement_at(store, placement_id)
    if present is None:
        raise no_placement(placement_id)
    newest = present.revision if before is None else min(before - 1, present.revision)
    after = placement_at(store, placement_id, newest)
    found: list[Change] = []
    while after is not None and len(found) < limit:
        earlier = placement_at(store, placement_id, after.revision - 1)
        found.append(change(earlier, after))
        after = earlier
    return found
