"""The titles of the front page: those of the demo's catalog, and others that fill its rows.

A title of the catalog has a slot, whose content the service decides; its own picture and name are
what the page came with. The others stand still, as most of a real front page does.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CATALOG = Path(__file__).resolve().parents[2] / "config" / "catalog.toml"
PICTURES = "https://images.example/lantern"
"""Where the catalog says that its pictures are; the demo serves them itself, below ``/art``."""
HOME = "https://lantern.example"
"""Where the catalog says that the website is."""


class Picture(NamedTuple):
    """What a picture shows."""

    title: str
    name: str
    """The title's own, for people."""
    tags: tuple[str, ...]
    """What the artwork is made of."""


class Title(NamedTuple):
    """One title of the front page."""

    id: str
    name: str
    tags: tuple[str, ...]
    kind: str | None = None
    """thumbnail, headline or card, where the service decides what is shown of it."""


class Row(NamedTuple):
    """Titles side by side."""

    name: str
    titles: tuple[Title, ...]


_STILL = (
    Title("paper-moons", "Paper Moons", ("warm", "landscape")),
    Title("the-eleventh-key", "The Eleventh Key", ("dark", "mystery")),
    Title("low-tide-diner", "Low Tide Diner", ("laughing", "group")),
    Title("glass-orchard", "The Glass Orchard", ("couple", "landscape")),
    Title("redline", "Redline", ("chase", "explosion")),
    Title("pip-and-the-comet", "Pip and the Comet", ("child", "animal")),
    Title("north-of-noon", "North of Noon", ("landscape", "warm")),
)
"""Titles that the service knows nothing of."""


def decided(catalog: Mapping[str, Any]) -> dict[str, Title]:
    """The titles of the catalog by id."""
    return {
        place["id"]: Title(place["id"], place["name"], tuple(place["tags"]), place["kind"])
        for place in catalog["placements"]
    }


def rows(catalog: Mapping[str, Any]) -> Sequence[Row]:
    """The front page."""
    found = decided(catalog)
    thumbnails = [title for title in found.values() if title.kind == "thumbnail"]
    cards = [title for title in found.values() if title.kind == "card"]
    headlines = [title for title in found.values() if title.kind == "headline"]
    return (
        Row("Tonight on Lantern", tuple(cards)),
        Row("Everybody is talking about", (*thumbnails, _STILL[0], _STILL[4])),
        Row("In the magazine", tuple(headlines)),
        Row("Quiet discoveries", (_STILL[1], _STILL[3], _STILL[6], _STILL[2], _STILL[5])),
    )


def pictures(catalog: Mapping[str, Any]) -> dict[str, Picture]:
    """Every picture by its path below ``/art``: the variants', and each title's own."""
    found: dict[str, Picture] = {}
    for place in catalog["placements"]:
        for variant in place["variants"]:
            if address := variant.get("image_url"):
                path = address.removeprefix(f"{PICTURES}/")
                found[path] = Picture(place["id"], place["name"], tuple(variant["tags"]))
    for title in (*decided(catalog).values(), *_STILL):
        tags = () if title.kind else title.tags
        found[f"{title.id}/own.svg"] = Picture(title.id, title.name, tags)
    return found


def read_catalog() -> dict[str, Any]:
    """The demo's catalog, as it is written."""
    return tomllib.loads(CATALOG.read_text(encoding="utf-8"))


def placed(text: str, website: str) -> str:
    """The catalog's text with the addresses of a website that is really there."""
    return text.replace(PICTURES, f"{website}/art").replace(HOME, website)
