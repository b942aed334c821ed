"""Whether each persona earns its keep: the lift of choosing for it apart, over all placements.

    lift = sum over placements of visits x lift  /  sum over placements of visits

with the cross-fitted lifts of ``persona_lift``, weighted by the persona's visits. Where a placement
has nothing to choose, or the persona gets everybody's variant, it adds visits and no lift. The
interval is the normal mixture of ``sequences.radius``, so it holds at all times at once, and, made
for 5 % over the number of personas, for all of them together.

Such a sum is far from normal where it rests on a variant that hardly earned anything. Evidence is
variance^3 / third moment^2: how many rewards a single rate would rest on that is as far from normal
as the sum. The interval is as wide as that asks for, and held back below ENOUGH. A persona that
gets everybody's variant wherever there is a choice makes no difference so far, and has no interval:
how much another variant would earn was never asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bandit_service.reporting import words
from bandit_service.reporting.estimates import Difference, Estimate
from bandit_service.reporting.experiment import experiments, together
from bandit_service.reporting.persona_lift import Lift
from bandit_service.reporting.sequences import ALPHA, radius
from bandit_service.reporting.summary import PersonaSummary, Summary, sums_of
from bandit_service.reporting.tables import Scale
from bandit_service.reporting.words import Relative, Worth

ENOUGH: Final = 4.0
"""Rewards' worth of evidence from which an interval is shown."""

SAME: Final = 100.0
"""Rewards of a persona from which it is said that everybody's variants suit it."""


class PersonaWorth(msgspec.Struct, frozen=True, kw_only=True):
    """A persona over all placements, and what choosing for it apart earns."""

    persona: str
    worth: Worth
    says: str
    """The verdict in a sentence."""
    shown: int
    rewarded: int
    last_seen: int
    """When its newest unit was opened, in ms since the Unix epoch."""
    policy: Estimate
    holdout: Estimate
    gain: Difference
    """Policy less holdout: what choosing at all earns with it."""
    placements: int
    """In which there was something to choose for it."""
    apart: int
    """Of those, in which another variant suits it than suits everybody."""
    lift: float | None
    """Reward per visit that choosing for it apart earns beyond choosing for everybody."""
    low: float | None
    high: float | None
    relative: Relative | None
    """The lift as a part of what the persona earns; None where that is not above 0."""
    visits: float
    """Visits that the lift is of."""
    evidence: float
    """How many rewards would tell as much."""


class PersonaReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every persona that came, the most frequent first."""

    as_of: int | None
    """How late it was in the log when this was counted, in ms since the Unix epoch."""
    personas: list[PersonaWorth]


class LiftSum(NamedTuple):
    """The lifts of a persona, added up."""

    lift: float
    variance: float
    rate: float
    visits: float
    evidence: float
    placements: int
    apart: int

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """Where the lift lies; None before enough is known of it."""
        if self.evidence < ENOUGH or not self.apart:
            return None
        half = float(radius(np.array(self.variance), np.array(self.evidence), alpha))
        return self.lift - half, self.lift + half


def personas_report(as_of: int | None, summaries: Mapping[str, Summary]) -> PersonaReport:
    """The report over all placements' summaries."""
    met: dict[str, list[tuple[PersonaSummary, Scale]]] = {}
    for summary in summaries.values():
        for persona in summary.personas:
            met.setdefault(persona.persona, []).append((persona, summary.scale))
    found = [_worth(name, several, ALPHA / len(met)) for name, several in met.items()]
    return PersonaReport(as_of=as_of, personas=sorted(found, key=lambda one: -one.shown))


def _worth(
    name: str, several: Sequence[tuple[PersonaSummary, Scale]], alpha: float
) -> PersonaWorth:
    (numbers,) = experiments([together([sums_of(*one) for one in several])])
    total = added([one.lift for one, _ in several if one.lift is not None])
    low, high = total.interval(alpha) or (None, None)
    lift = None if low is None else total.lift
    worth = _verdict(low, high, same=total.apart == 0 and total.evidence >= SAME)
    relative = _relative(lift, low, high, total.rate)
    return PersonaWorth(
        persona=name,
        worth=worth,
        says=words.persona_worth(name, worth, relative),
        shown=sum(one.shown for one, _ in several),
        rewarded=sum(one.rewarded for one, _ in several),
        last_seen=max(one.seen for one, _ in several),
        policy=numbers.policy,
        holdout=numbers.holdout,
        gain=numbers.gain,
        placements=total.placements,
        apart=total.apart,
        lift=lift,
        low=low,
        high=high,
        relative=relative,
        visits=total.visits,
        evidence=total.evidence,
    )


def added(lifts: Sequence[Lift]) -> LiftSum:
    """The lifts of several placements, weighted by visits."""
    visits = sum(one.visits for one in lifts)
    if not visits:
        return LiftSum(0.0, 0.0, 0.0, 0.0, 0.0, len(lifts), 0)
    shares = [one.visits / visits for one in lifts]
    pairs = list(zip(shares, lifts, strict=True))
    variance = sum(share**2 * one.variance for share, one in pairs)
    rate = sum(share * one.rate for share, one in pairs)
    third = sum(share**3 * one.third for share, one in pairs)
    worth = sum(share * one.worth for share, one in pairs)
    return LiftSum(
        lift=sum(share * one.lift for share, one in pairs),
        variance=variance,
        rate=rate,
        visits=visits,
        evidence=variance**3 / third**2 if third else visits * worth,
        placements=len(lifts),
        apart=sum(one.apart for one in lifts),
    )


def _verdict(low: float | None, high: float | None, *, same: bool) -> Worth:
    """``same``: whether everybody's variants suit the persona best, as far as is known."""
    if low is None or high is None:
        return "no_difference" if same else "too_few"
    return "earns" if low > 0.0 else "costs" if high < 0.0 else "no_difference"


def _relative(
    lift: float | None, low: float | None, high: float | None, rate: float
) -> Relative | None:
    if lift is None or low is None or high is None or not rate > 0.0:
        return None
    return Relative(value=lift / rate, low=low / rate, high=high / rate)
