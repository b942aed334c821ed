"""What is remembered of one visitor and one placement: how often it was shown, and when last.

A ``Visit`` is a fold over that pair's decisions. It tells the *present* slot apart from earlier
ones, because features must not change while a choice is meant to be stable: within a slot the
visitor's own repeated views leave ``seen`` and ``last`` as they were when the slot began.

``advance`` ignores slots that are older than the one it knows and may be applied to the same
decision twice, so replaying the log after a crash changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import msgspec

_SEEN: Final = ((0, "0"), (1, "1"), (2, "2"), (3, "3-5"), (6, "6-10"), (11, "11+"))
_AGE: Final = ((0, "hour"), (3_600_000, "day"), (86_400_000, "week"), (604_800_000, "longer"))
"""Bands by their lower bounds: counts of slots, and milliseconds."""

EXPIRE_SECONDS: Final = 90 * 86_400
"""How long a visitor who does not come back is remembered."""


class Visit(msgspec.Struct, frozen=True, array_like=True):
    """The memory of one visitor and one placement. Times are ms since the Unix epoch."""

    slot: int
    """When the newest slot with a view began."""
    at: int
    """When the newest view was."""
    arm: str
    """What the newest view showed."""
    earlier: int = 0
    """How many slots before ``slot`` had a view."""
    earlier_at: int = 0
    """When the newest view before ``slot`` was; meaningless if there was none."""
    decision: str = ""
    """Id of the decision that made the newest view; empty where an older version remembered it."""


def advance(visit: Visit | None, slot: int, at: int, arm: str, decision: str = "") -> Visit:
    """The memory after a view of ``arm`` in ``slot`` at ``at``, which ``decision`` made."""
    if visit is None:
        return Visit(slot, at, arm, decision=decision)
    if slot < visit.slot or (slot == visit.slot and at < visit.at):
        return visit
    if slot == visit.slot:
        return Visit(slot, at, arm, visit.earlier, visit.earlier_at, decision)
    return Visit(slot, at, arm, visit.earlier + 1, visit.at, decision)


def seen_in(visit: Visit | None, slot: int, arm: str) -> bool:
    """Whether what the visitor was last shown here was ``arm``, in ``slot``."""
    return visit is not None and visit.slot == slot and visit.arm == arm


def features(visit: Visit | None, slot: int, now: int) -> dict[str, str]:
    """The features ``seen`` and ``last`` as bands, as they were when ``slot`` began."""
    if visit is None:
        return {"seen": "0"}
    if visit.slot == slot:
        times, last = visit.earlier, visit.earlier_at
    else:
        times, last = visit.earlier + 1, visit.at
    if times == 0:
        return {"seen": "0"}
    return {"seen": _band(_SEEN, times), "last": _band(_AGE, max(0, now - last))}


def encode_visit(visit: Visit) -> bytes:
    """The memory as it is stored."""
    return msgspec.json.encode(visit)


_decoder: Final = msgspec.json.Decoder(Visit)


def decode_visit(data: bytes | None) -> Visit | None:
    """The memory that ``encode_visit`` wrote; None for none."""
    return None if data is None else _decoder.decode(data)


def _band(bands: tuple[tuple[int, str], ...], value: int) -> str:
    return bands[bisect_right(bands, value, key=lambda band: band[0]) - 1][1]
