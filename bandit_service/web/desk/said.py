"""What a page says of the change that led to it, and the way back.

A change leads on to a page with a word for what was done in its address, and the page finds the
sentence here: no text of an address is ever shown. The way back is a button that puts the placement
to the revision before; it is there for as long as nothing else was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

from bandit_service.catalog.model import Placement

SENTENCES: Final = {
    "created": "The placement is there. Give it variants next.",
    "edited": "The placement was changed.",
    "placement_retired": "The placement was retired: it is not served any more.",
    "restored": "The placement is back. Bring back the variants that it should show.",
    "added": "{} was added as a draft. Publish it when it is ready.",
    "saved": "{} was saved.",
    "version": "{} was saved as a new version, which learns for itself.",
    "same": "Nothing was different, so nothing changed.",
    "live": "{} is live: visitors see it from now on, or from the time that it is scheduled for.",
    "paused": "{} is paused: nobody is shown it any more. What was learned of it stays.",
    "retired": "{} is retired. What was learned of it stays.",
    "removed": "The variant was removed. Nobody had seen it.",
    "finished": "How the placement ends was changed.",
    "undone": "The placement is as it was before.",
}
"""By the word in the address; ``{}`` is the variant."""
_FINAL: Final = frozenset({"created", "same"})
"""What has no way back."""


class Said(NamedTuple):
    """A sentence, and the revision that takes it back."""

    words: str
    back: int | None = None


def address_of(path: str, done: str, *, of: str = "", was: int = 0) -> str:
    """The page that says so; ``was`` is the placement's revision before the change."""
    pairs = {"done": done, "of": of, "was": was}
    return f"{path}?{urlencode({k: v for k, v in pairs.items() if v})}"


def said(query: Mapping[str, str], placement: Placement) -> Said | None:
    """What the page of this address says; None for nothing."""
    done = query.get("done", "")
    sentence = SENTENCES.get(done)
    variant = placement.variant(query.get("of", ""))
    if sentence is None or ("{}" in sentence and variant is None):
        return None
    was = query.get("was", "")
    last = was.isascii() and was.isdigit() and placement.revision == int(was[:9]) + 1
    back = placement.revision - 1 if last and done not in _FINAL else None
    return Said(sentence.format("" if variant is None else variant.id), back or None)
