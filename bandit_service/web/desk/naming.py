"""Names for what nobody named: made of the words that are there, never of a picture's digest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from bandit_service.catalog.model import Placement
from bandit_service.media.store import NAME


def of_creative(values: Mapping[str, str], placement: Placement) -> str:
    """An id from what the creative of a form says or shows."""
    called = PurePosixPath(_path(values["image_url"].strip()))
    stem = "" if NAME.fullmatch(called.name) else called.stem
    return slug(values["headline"].strip() or stem or values["alt"], _taken(placement))


def of_file(name: str, placement: Placement) -> str:
    """An id from what a file is called; empty if that has no letter or digit."""
    return slug(PurePosixPath(name).stem, _taken(placement), otherwise="")


def slug(words: str, taken: Iterable[str] = (), *, otherwise: str = "variant") -> str:
    """An id made of words, unlike those that are taken."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    parts = re.findall(r"[a-z0-9]+", plain)
    base = "-".join(parts)[:48].strip("-") or otherwise
    known, found, number = set(taken), base, 2
    while found in known:
        found, number = f"{base}-{number}", number + 1
    return found


def _taken(placement: Placement) -> list[str]:
    return [variant.id for variant in placement.variants]


def _path(address: str) -> str:
    """The path of an address; empty if it cannot be taken apart."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""
