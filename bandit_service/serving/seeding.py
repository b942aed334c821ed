"""The catalog of an empty site, with pictures that are there to be looked at."""

from __future__ import annotations

from msgspec.structs import replace

from bandit_service.catalog.document import CatalogDocument
from bandit_service.catalog.model import VariantSpec
from bandit_service.media.store import MediaStore


def pictured(document: CatalogDocument, media: MediaStore, address: str) -> CatalogDocument:
    """The catalog with stand-ins, below ``address``, for pictures that lie nowhere.

    Raises:
        MediaError: if they cannot be kept.
    """
    from bandit_service.media.stand_ins import is_nowhere, stand_in  # noqa: PLC0415 - has pillow

    def seen(variant: VariantSpec) -> VariantSpec:
        if not is_nowhere(variant.image_url):
            return variant
        kept = media.add(stand_in(variant.alt or "A picture"))
        return replace(variant, image_url=f"{address.rstrip('/')}/media/{kept.name}")

    placements = (
        replace(placement, variants=[seen(variant) for variant in placement.variants or ()])
        for placement in document.placements
    )
    return replace(document, placements=tuple(placements))
