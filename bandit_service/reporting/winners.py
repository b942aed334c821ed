"""Whether one of the live variants is clearly the best, for everybody or for a persona.

All variants are taken over the same visits (``tables.field``), each as if it had been shown in all
of them. The leader is the one whose lower bound is highest. It has won when its lead over every
other is above 0: the lower bound of the difference, made of its own lower bound and the other's
upper bound.

*How often it is wrong.* To name a variant that is not the best, either the upper bound of the best
one has failed, or the lower bound of the one that is named. The first is one bound of one variant
and gets half of the 5 %, the second is any of K - 1 and each gets its share of the other half. So a
verdict on a placement and a group is wrong with probability 5 % at most, ever, however many
variants there are; each group's verdict stands for itself.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from bandit_service.reporting.columns import weighted as weighted_sums
from bandit_service.reporting.estimates import apart, weighted
from bandit_service.reporting.sequences import ALPHA, Bounds, Floats
from bandit_service.reporting.tables import Scale, Table


class Winner(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that is clearly the best of those that are live."""

    persona: str | None
    """For whom; None: over everybody."""
    arm: str
    rate: float
    """What it would earn per unit, had it always been shown."""
    rival: str
    """The one that comes nearest."""
    rival_rate: float
    lead: float
    """By how much it is ahead of that, at the least: the lower bound, above 0."""


class Race(NamedTuple):
    """How variants stand to each other."""

    leader: int
    rival: int
    """The one whose distance to the leader is least sure."""
    lead: float
    """The lower bound of that distance; above 0: the leader has won."""
    rates: Floats
    """K"""


def winners(field: Table) -> list[Winner]:
    """Those that have won, the one over everybody first; none where fewer than two are live."""
    if len(field.arms) < 2:
        return []
    groups: list[tuple[str | None, Floats]] = [(None, field.of_everybody())]
    groups += [(name, field.rows[:, number]) for number, name in enumerate(field.personas)]
    found = []
    for persona, rows in groups:
        standing = race(weighted_sums(rows), field.scale)
        if standing.lead > 0.0:
            found.append(
                Winner(
                    persona=persona,
                    arm=field.arms[standing.leader],
                    rate=float(standing.rates[standing.leader]),
                    rival=field.arms[standing.rival],
                    rival_rate=float(standing.rates[standing.rival]),
                    lead=standing.lead,
                )
            )
    return found


def race(sums: Floats, scale: Scale) -> Race:
    """Hold each of K variants against the leader; at least two.

    Args:
        sums: K x 8, over the same visits.
        scale: between what rewards lie.
    """
    others = len(sums) - 1
    low = weighted(sums, scale, ALPHA / others)
    high = weighted(sums, scale, ALPHA)
    leader = int(np.argmax(low.bounds.low))
    mixed = high._replace(bounds=Bounds(low.bounds.low, high.bounds.high))
    lead = apart(mixed.take([leader]), mixed).low
    lead = np.where(np.isnan(lead), -np.inf, lead)
    lead[leader] = np.inf
    rival = int(np.argmin(lead))
    return Race(leader, rival, float(lead[rival]), mixed.rate)
