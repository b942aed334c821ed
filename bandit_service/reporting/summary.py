"""A placement in short: what the overview, and what is said over all placements, need of it.

A function of the placement's sums, its last hours, and what is live. It is made when the placement
changed and written beside the sums, so that 500 placements are overlooked without reading what each
of their variants did. Derived, and never resumed from: a learner that begins makes all of them
again, so that they are always as the present version makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bandit_service.reporting.columns import R2, REWARDED, SHOWN, N, R, counts, merged
from bandit_service.reporting.experiment import ArmSums, Sums
from bandit_service.reporting.persona_lift import Lift, persona_lifts
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.stored import FORMAT, StoredSums
from bandit_service.reporting.tables import Scale, field, whole
from bandit_service.reporting.winners import Field, Winner, field_of, leader, winners


class Best(msgspec.Struct, frozen=True, array_like=True):
    """The live variant that suits a persona best."""

    arm: str
    rate: float
    high: float
    """No live variant earns more with the persona: the largest of their upper bounds."""


class PersonaSummary(msgspec.Struct, frozen=True, array_like=True):
    """A persona in a placement."""

    persona: str
    shown: int
    rewarded: int
    seen: int
    """When its newest unit was opened, in ms."""
    policy: ArmSums
    holdout: ArmSums
    best: Best | None
    """None unless every live variant was shown to it."""
    lift: Lift | None
    """None where there is nothing to choose, or nothing is settled."""


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """A placement in short."""

    format: int
    shown: int
    rewarded: int
    first: int
    last: int
    """When the first and the newest unit were opened, in ms."""
    scale: Scale
    policy: ArmSums
    holdout: ArmSums
    hours: list[tuple[int, int]]
    """(start in ms, units shown), oldest first."""
    live: tuple[str, ...]
    winners: list[Winner]
    leader: str | None
    """The live variant that is best as far as is known; None before any was rewarded."""
    evidence: float
    """Rewards' worth of what is known of the live variant of which least is."""
    personas: list[PersonaSummary]


def summarised(sums: StoredSums, hours: Sequence[tuple[int, int]], live: Sequence[str]) -> Summary:
    """The summary of a placement, of which the variants ``live`` may be shown now."""
    table, compared = whole(sums), field(sums, live)
    by_persona = counts(merged(table.rows, axis=0))  # G x 2 x 6
    both, known = by_persona.sum(axis=0), field_of(compared)
    return Summary(
        format=FORMAT,
        shown=int(both[:, SHOWN].sum()),
        rewarded=int(both[:, REWARDED].sum()),
        first=sums.first,
        last=sums.last,
        scale=table.scale,
        policy=_sums(both[0]),
        holdout=_sums(both[1]),
        hours=list(hours),
        live=tuple(live),
        winners=winners(known),
        leader=leader(known),
        evidence=_evidence(known, table.scale),
        personas=_personas(sums, by_persona, known, persona_lifts(compared)),
    )


def _personas(
    sums: StoredSums, totals: Floats, known: Field, lifts: Mapping[str, Lift]
) -> list[PersonaSummary]:
    return [
        PersonaSummary(
            persona=persona,
            shown=int(total[:, SHOWN].sum()),
            rewarded=int(total[:, REWARDED].sum()),
            seen=seen,
            policy=_sums(total[0]),
            holdout=_sums(total[1]),
            best=_best(known, 1 + number),
            lift=lifts.get(persona),
        )
        for number, (persona, seen, total) in enumerate(
            zip(sums.personas, sums.seen, totals, strict=True)
        )
    ]


def _sums(totals: Floats) -> ArmSums:
    return ArmSums(int(totals[N]), float(totals[R]), float(totals[R2]))


def _best(known: Field, group: int) -> Best | None:
    rates, high = known.found.rate[group], known.found.bounds.high[group]
    if not len(rates) or not np.isfinite(high).all():
        return None
    best = int(np.argmax(rates))
    return Best(known.arms[best], float(rates[best]), float(high.max()))


def _evidence(known: Field, scale: Scale) -> float:
    if len(known.arms) < 2:
        return 0.0
    worth = known.found.effective_n[0] * np.nan_to_num(known.found.rate[0]) / scale.size
    return float(worth.min())


def sums_of(summary: Summary | PersonaSummary, scale: Scale) -> Sums:
    """What the policy and the holdout earned."""
    return Sums(summary.policy, summary.holdout, scale)
