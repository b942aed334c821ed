"""The rules of schedules and finishes, each refused by name with its remedy."""

from __future__ import annotations

from typing import Final

import msgspec

from bandit_service.catalog.model import Finish, Placement, Variant
from bandit_service.errors import InvalidCatalog

NEVER_MS: Final = -1
"""Before every moment of a schedule, in ms since the Unix epoch."""


def check_schedule(variant: Variant, field: str) -> None:
    """Raise InvalidCatalog, below ``field``, unless the variant's time begins before it ends."""
    begin, end = variant.live_from, variant.live_until
    if begin is not None and end is not None and begin >= end:
        raise InvalidCatalog(
            f"live_until {end.isoformat()} is not after live_from {begin.isoformat()}",
            field=f"{field}.live_until",
            hint="give a later moment, or leave it out",
        )


def check_winner(placement: Placement) -> Placement:
    """Return ``placement`` if a winner that it names can be shown.

    It is asked of a finish when it is made: what happens to the winner later is another matter.

    Raises:
        InvalidCatalog: if the winner is not live.
    """
    finish = placement.finish
    winner = None if finish is None else placement.variant(finish.winner or "")
    if winner is not None and winner.status != "live":
        raise InvalidCatalog(
            f"the winner {winner.id!r} is {winner.status}",
            field="finish.winner",
            hint="make it live, or name another one",
        )
    return placement


def check_finish(finish: Finish, ids: list[str]) -> None:
    """Raise InvalidCatalog unless a finish can be meant of a placement with variants ``ids``."""
    if finish.winner is None and finish.at is None and not finish.when_clear:
        raise InvalidCatalog(
            "finish says neither when nor with which winner",
            field="finish",
            hint="give winner, at or when_clear; or leave finish out, and the placement goes on",
        )
    if finish.winner is None and finish.since is not None:
        raise InvalidCatalog(
            "finish has been over since a moment, but names no winner",
            field="finish.since",
            hint="leave since out: the service notes it when it finds a winner",
        )
    if finish.when_clear and finish.winner is not None and not (finish.at or finish.since):
        raise InvalidCatalog(
            "finish names a winner, and waits for one to become clear",
            field="finish.winner",
            hint="leave one of the two out, or give at: then it ends there with that winner",
        )
    if finish.winner is not None and finish.winner not in ids:
        raise InvalidCatalog(
            f"winner {finish.winner[:80]!r} is no variant of this placement",
            field="finish.winner",
            hint="name one of its variants",
        )


def most_reserved(placement: Placement) -> float:
    """The largest sum of min_share of what is live together, at any time."""
    live = [v for v in placement.variants if v.status == "live" and v.min_share]
    reserving = msgspec.structs.replace(placement, variants=tuple(live), finish=None)
    moments = (NEVER_MS, *reserving.turns())
    return max(sum(v.min_share for v in reserving.live(now)) for now in moments)
