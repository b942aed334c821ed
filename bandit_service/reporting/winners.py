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
from bandit_service.reporting.estimates import weighted
from bandit_service.reporting.sequences import ALPHA, Bounds, Floats, difference
from bandit_service.reporting.stored import Whole
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
    """How variants stand to each other, in each of several races; all of one shape."""

    leader: Whole
    rival: Whole
    """The one whose distance to the leader is least sure."""
    lead: Floats
    """The lower bound of that distance; above 0: the leader has won."""
    rates: Floats
    """... x K"""


def winners(field: Table) -> list[Winner]:
    """Those that have won, the one over everybody first; none where fewer than two are live."""
    if len(field.arms) < 2:
        return []
    groups = [None, *field.personas]
    by_group = np.concatenate([field.of_everybody()[:, None], field.rows], axis=1)
    standing = race(weighted_sums(by_group.swapaxes(0, 1)), field.scale)
    return [
        Winner(
            persona=persona,
            arm=field.arms[leader],
            rate=rates[leader],
            rival=field.arms[rival],
            rival_rate=rates[rival],
            lead=lead,
        )
        for persona, leader, rival, lead, rates in zip(
            groups, *(column.tolist() for column in standing), strict=True
        )
        if lead > 0.0
    ]


def race(sums: Floats, scale: Scale) -> Race:
    """Hold each of K variants against the leader; at least two.

    Args:
        sums: ... x K x 8, over the same visits.
        scale: between what rewards lie.
    """
    low = weighted(sums, scale, ALPHA / (sums.shape[-2] - 1)).bounds.low
    found = weighted(sums, scale, ALPHA)
    leader = np.argmax(low, axis=-1)
    index = leader[..., None]
    rate, first = (np.take_along_axis(values, index, -1) for values in (found.rate, low))
    lead = difference(rate, Bounds(first, rate), found.rate, found.bounds).low
    lead = np.where(np.isnan(lead), -np.inf, lead)
    np.put_along_axis(lead, index, np.inf, -1)
    rival = np.argmin(lead, axis=-1)
    return Race(leader, rival, np.take_along_axis(lead, rival[..., None], -1)[..., 0], found.rate)
