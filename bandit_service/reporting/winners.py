"""Whether one of the live variants is clearly the best, for everybody or for a persona.

All variants are taken over the same visits (``tables.field``), each as if it had been shown in all
of them. The leader is the one whose lower bound is highest. It has won when its lead over every
other is above 0: the lower bound of the difference, made of its own lower bound and the other's
upper bound.

*How often it is wrong.* To name a variant that is not the best, either the upper bound of the best
one has to fall short, or the lower bound of the one that is named to reach too far. The first is
one bound of one variant and gets half of the 5 %, the second is any of K - 1 and each gets its
share of the other half. Were bounds merely held against each other, a verdict on a placement and a
group would be wrong with probability 5 % at most, ever, however many variants there are. The bound
of the difference (``sequences.difference``) is closer than that, as two bounds hardly fall short at
once; that 5 % is kept all the same is measured, not proved (``simulations.watching``). Each group's
verdict stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from bandit_service.reporting.columns import weighted as weighted_sums
from bandit_service.reporting.estimates import Estimates, weighted
from bandit_service.reporting.sequences import ALPHA, Bounds, Floats, difference
from bandit_service.reporting.stored import Whole
from bandit_service.reporting.tables import Table


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


class Field(NamedTuple):
    """The live variants of a placement, over the same visits; of everybody, then by persona."""

    arms: Sequence[str]
    """K"""
    groups: Sequence[str | None]
    """1 + G: None for everybody, then personas."""
    found: Estimates
    """(1 + G) x K"""
    least: Floats
    """(1 + G) x K: lower bounds, made for each of K variants to be the one that is named."""


def field_of(table: Table) -> Field:
    """What is known of the variants of a table, which are over the same visits."""
    sums = np.concatenate([table.of_everybody()[:, None], table.rows], axis=1).swapaxes(0, 1)
    of = weighted_sums(sums)
    return Field(
        table.arms,
        [None, *table.personas],
        weighted(of, table.scale),
        weighted(of, table.scale, ALPHA / max(len(table.arms) - 1, 1)).bounds.low,
    )


def winners(field: Field) -> list[Winner]:
    """Those that have won, the one over everybody first; none where fewer than two are live."""
    if len(field.arms) < 2:
        return []
    standing = race(field.found, field.least)
    columns = (column.tolist() for column in (*standing, field.found.rate))
    return [
        Winner(
            persona=persona,
            arm=field.arms[leader],
            rate=rates[leader],
            rival=field.arms[rival],
            rival_rate=rates[rival],
            lead=lead,
        )
        for persona, leader, rival, lead, rates in zip(field.groups, *columns, strict=True)
        if lead > 0.0
    ]


def leader(field: Field) -> str | None:
    """The one whose lower bound over everybody is highest; None before that one earned anything."""
    least = field.least[0]
    if not np.isfinite(least).any():
        return None
    best = int(np.argmax(least))
    return field.arms[best] if field.found.rate[0, best] else None


def race(found: Estimates, least: Floats) -> Race:
    """Hold each of K variants against the leader; at least two.

    Args:
        found: ... x K, over the same visits.
        least: ... x K: lower bounds of the variants, as ``Field`` has them.
    """
    leader = np.argmax(least, axis=-1)
    index = leader[..., None]
    rate, low = (np.take_along_axis(values, index, -1) for values in (found.rate, least))
    lead = difference(rate, Bounds(low, rate), found.rate, found.bounds).low
    lead = np.where(np.isnan(lead), -np.inf, lead)
    np.put_along_axis(lead, index, np.inf, -1)
    rival = np.argmin(lead, axis=-1)
    return Race(leader, rival, np.take_along_axis(lead, rival[..., None], -1)[..., 0])
