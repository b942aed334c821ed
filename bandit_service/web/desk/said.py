"""What a page says of the change that led to it, and the way back.

A change leads on to a page with a word for what was done in its address, and the page finds the
sentence here: no text of an address is ever shown. The way back is a button that sends the opposite
change; there is one wherever the catalog's rules allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

from bandit_service.catalog.model import Placement, Status

SENTENCES: Final = {
    "created": "The placement is there. Give it variants next.",
    "edited": "The placement was changed.",
    "placement_retired": "The placement was retired: it is not served any more.",
    "restored": "The placement is back. Bring back the variants that it should show.",
    "added": "{} was added as a draft. Publish it when it is ready.",
    "saved": "{} was saved.",
    "version": "{} was saved as a new version, which learns for itself.",
    "same": "Nothing was different, so nothing changed.",
    "live": "{} is live: visitors see it from now on.",
    "paused": "{} is paused: nobody is shown it any more. What was learned of it stays.",
    "retired": "{} is retired. What was learned of it stays.",
}
"""By the word in the address; ``{}`` is the variant."""
_BACK: Final[Mapping[str, Status]] = {"live": "paused", "paused": "live", "retired": "paused"}


class Said(NamedTuple):
    """A sentence, and the change that takes it back."""

    words: str
    variant: str | None = None
    back: Status | None = None


def address_of(path: str, done: str, *, of: str = "", was: str = "") -> str:
    """The page that says so."""
    pairs = {"done": done, "of": of, "was": was}
    return f"{path}?{urlencode({k: v for k, v in pairs.items() if v})}"


def said(query: Mapping[str, str], placement: Placement) -> Said | None:
    """What the page of this address says; None for nothing."""
    sentence = SENTENCES.get(query.get("done", ""))
    if sentence is None:
        return None
    variant = placement.variant(query.get("of", ""))
    if "{}" not in sentence:
        return Said(sentence)
    if variant is None:
        return None
    was = query.get("was", "")
    back = was if was in ("live", "paused") else _BACK.get(query["done"])
    undoable = query["done"] in _BACK and variant.status == query["done"] and back != variant.status
    words = sentence.format(variant.id)
    return Said(words, variant.id, back if undoable else None)  # type: ignore[arg-type]
