"""How a placement stands, in words that say whether somebody should look."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from bandit_service.catalog.model import Placement
from bandit_service.web.desk.numbers import PlacementNumbers

Tone = Literal["good", "wait", "bad", "still"]


class Standing(NamedTuple):
    """A state in words."""

    code: str
    words: str
    tone: Tone
    rank: int
    """Where it is among others: the smallest needs attention most."""


STATES: Final = {
    "nothing_live": "Nothing live",
    "no_traffic": "No traffic yet",
    "learning": "Learning",
    "finished": "Finished",
    "retired": "Retired",
}
"""By code, what a state is called where it can be looked for."""


def standing(placement: Placement, numbers: PlacementNumbers, *, now: int) -> Standing:
    """How a placement stands at ``now``, in ms since the Unix epoch."""
    if placement.retired:
        return Standing("retired", "Retired", "still", 9)
    if placement.finished(now) and placement.finish is not None:
        return Standing("finished", f"Finished: shows {placement.finish.winner}", "still", 8)
    live = len(placement.live(now))
    if not live:
        return Standing("nothing_live", "Nothing live: visitors get an error", "bad", 0)
    if not numbers.views:
        return Standing("no_traffic", "No traffic yet", "wait", 1)
    return Standing("learning", "Learning", "good", 5)
