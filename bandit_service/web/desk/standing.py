"""How a placement stands, as a page shows it: a sentence, a colour, and a name to filter by.

The state and its sentence come from ``reporting``. What is said here beside it is what the catalog
alone knows: whether the placement was finished, or only one of its variants is live.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from bandit_service.catalog.model import Placement
from bandit_service.reporting.words import State

Tone = Literal["good", "wait", "bad", "still"]

STATES: Final[Mapping[State, str]] = {
    "empty": "Nothing live",
    "idle": "Traffic has stopped",
    "winner": "Clear winner",
    "even": "No difference so far",
    "unused": "No traffic yet",
    "learning": "Learning",
    "sent": "Variants come with requests",
    "single": "One variant",
    "finished": "Finished",
    "retired": "Retired",
}
"""By state, what it is called where it can be looked for; what needs somebody first."""
_TONES: Final[Mapping[State, Tone]] = {
    "empty": "bad",
    "idle": "bad",
    "winner": "good",
    "even": "wait",
    "unused": "wait",
    "learning": "good",
}
_VERSION: Final = re.compile(r"@[0-9]+(?=[\s.,;:)]|$)")


class Standing(NamedTuple):
    """A state in words."""

    code: State
    words: str
    tone: Tone


def standing(placement: Placement, state: State, says: str, *, now: int) -> Standing:
    """How a placement stands at ``now`` (ms); ``state`` and ``says`` are the report's."""
    if placement.finished(now) and placement.finish is not None:
        return Standing("finished", f"Finished: shows {placement.finish.winner}", "still")
    if state == "finished":
        return Standing("single", "One variant is live, and the others rest", "still")
    words = plain(says).rstrip(".")
    losing = says.startswith("Earns less")
    return Standing(state, words, "bad" if losing else _TONES.get(state, "still"))


def plain(says: str) -> str:
    """A sentence of a report, with variants by their names alone: ``a@2`` is ``a``."""
    return _VERSION.sub("", says)
