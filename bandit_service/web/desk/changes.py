"""Changes of the catalog on behalf of whoever is signed in, as every form and button makes them.

Each goes through ``serving.editing``, with the entity tag of what the form was made from, so nobody
overwrites what they have not seen. This process looks for the change before it answers; the others
find it by themselves within moments.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from bandit_service.catalog.model import Placement, PlacementSpec
from bandit_service.errors import Conflict, StorageError
from bandit_service.services import Services
from bandit_service.serving.editing import ANY, CatalogEditor, Condition
from bandit_service.web.desk.page import me


def editor_of(services: Services) -> CatalogEditor:
    """Changes by the key that is signed in."""
    return services.editor(me().key.site, by=me().key.id)


class AsRead(Condition, frozen=True):
    """What a form was made from; refuses in words for people, not for programs."""

    def check(self, present: msgspec.Struct | None) -> None:
        """Raise Conflict unless the condition holds."""
        try:
            super().check(present)
        except Conflict as exc:
            raise Conflict(
                "somebody else changed this since you opened the page, so nothing was changed",
                hint="look at how it stands now, and do it again if it is still what you want",
            ) from exc


def as_read(tag: str) -> Condition:
    """It must be as it was when it was read; an empty tag: it must not exist yet."""
    return AsRead(match=tag) if tag else AsRead(none_match=ANY)


def changed(services: Services) -> None:
    """Let this process see a change that was made; if this look fails, its next one will do."""
    with suppress(StorageError):
        services.refresh()


def placement_spec_of(placement: Placement) -> PlacementSpec:
    """A placement as an editor would write it, its variants left as they are."""
    fields = {name: getattr(placement, name) for name in PlacementSpec.__struct_fields__}
    return PlacementSpec(**{**fields, "tags": list(placement.tags), "variants": None})


def tags_in_use(placements: Iterable[Placement], *, most: int) -> tuple[list[str], list[str]]:
    """The tags of variants and those of placements, the most used first."""
    of_variants: dict[str, int] = {}
    of_placements: dict[str, int] = {}
    for placement in placements:
        for tag in placement.tags:
            of_placements[tag] = of_placements.get(tag, 0) + 1
        for variant in placement.variants:
            for tag in variant.tags:
                of_variants[tag] = of_variants.get(tag, 0) + 1
    return _ranked(of_variants)[:most], _ranked(of_placements)[:most]


def _ranked(counts: dict[str, int]) -> list[str]:
    return sorted(counts, key=lambda tag: (-counts[tag], tag))
