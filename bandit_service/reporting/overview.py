"""Every placement of a site in a line: its traffic, what choosing earns, and how it stands.

*State.* In this order, the first that applies:

    sent        it is in no catalog: its variants come with the requests
    retired     it was taken out of use
    empty       nothing in it is live
    unused      it was never shown
    idle        it was shown, and not in the last IDLE_MS of the log
    finished    one variant is live, and others rest
    single      one variant is live, and there is no other to compare it with
    winner      a live variant is clearly the best, for everybody or a persona (``winners``)
    even        none is, though EVIDENCE rewards' worth is known of every live variant: one that
                earned a third more or less than the others would have shown by now
    learning    none is yet

*Attention.* What an editor can do something about comes first: a placement that shows nothing, one
that earns less than even choice would, one that visitors no longer meet, one that has a winner and
can be finished, one that needs other creatives. Among those of a kind, the one with more traffic.

Time is the log's: "the last 24 hours" end with the newest entry that was counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from bandit_service.catalog.model import Placement
from bandit_service.reporting import words
from bandit_service.reporting.estimates import Difference, Estimate
from bandit_service.reporting.experiment import Experiment, Sums, experiments, together
from bandit_service.reporting.series import DAY_MS
from bandit_service.reporting.stored import Day, StoredSite
from bandit_service.reporting.summary import Summary, sums_of
from bandit_service.reporting.winners import Winner
from bandit_service.reporting.words import State

IDLE_MS: Final = DAY_MS
"""How long a placement goes unseen before it is said so, in ms."""
EVIDENCE: Final = 100.0
"""Rewards' worth of what is known of every variant, to say that none stands out."""
_URGENCY: Final[Mapping[State, float]] = {
    "empty": 35.0,
    "idle": 70.0,
    "winner": 50.0,
    "even": 40.0,
    "unused": 30.0,
    "learning": 20.0,
    "sent": 15.0,
    "single": 10.0,
    "finished": 5.0,
    "retired": 0.0,
}
_ASKED_FOR: Final = 90.0
"""Urgency of a placement in which nothing is live, if visitors met it within IDLE_MS."""
_LOSING: Final = 80.0
"""Urgency of a placement that earns less than even choice, whatever its state."""
_TRAFFIC: Final = 4.0
"""By how much traffic moves a placement among those of its kind."""


class PlacementLine(msgspec.Struct, frozen=True, kw_only=True):
    """A placement in the overview."""

    placement: str
    state: State
    says: str
    """The state in a sentence."""
    attention: float
    """What to sort by: 0 to 100, the most urgent first."""
    shown: int
    """Units: a visitor's views within a slot count once."""
    rewarded: int
    """Units that earned more than 0."""
    shown_24h: int
    last_seen: int | None
    """When the newest unit was opened, in ms since the Unix epoch."""
    policy: Estimate
    holdout: Estimate
    gain: Difference
    """The policy less the holdout."""
    winners: list[Winner]


class DayLine(msgspec.Struct, frozen=True, kw_only=True):
    """A day of the whole site."""

    day: int
    """When it began, in ms since the Unix epoch (UTC)."""
    shown: int
    policy_n: int
    policy_rate: float | None
    holdout_n: int
    holdout_rate: float | None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Every placement, the one that needs attention most first; and the site as a whole."""

    as_of: int | None
    """How late it was in the log when this was counted, in ms since the Unix epoch."""
    policy: Estimate
    holdout: Estimate
    gain: Difference
    days: list[DayLine]
    """The newest 90 at most, oldest first."""
    placements: list[PlacementLine]


class Standing(NamedTuple):
    """How a placement stands."""

    state: State
    winners: list[Winner]
    """Who has won, if that is its state."""


class _Known(NamedTuple):
    """A placement, and what was counted of it."""

    name: str
    placement: Placement | None
    summary: Summary | None

    @property
    def sums(self) -> Sums:
        if self.summary is None:
            return together([])
        return sums_of(self.summary, self.summary.scale)


def overview(
    site: StoredSite | None, summaries: Mapping[str, Summary], catalog: Mapping[str, Placement]
) -> Overview:
    """The overview of a site.

    Args:
        site: what was counted of it as a whole; None if nothing was.
        summaries: by placement.
        catalog: the placements as they are now.
    """
    names = [*catalog, *(name for name in summaries if name and name not in catalog)]
    known = [_Known(name, catalog.get(name), summaries.get(name)) for name in names]
    whole = together([sums_of(summary, summary.scale) for summary in summaries.values()])
    total, *each = experiments([whole, *(one.sums for one in known)])
    now = 0 if site is None else site.clock
    most = max((one.summary.shown for one in known if one.summary is not None), default=0)
    lines = [_line(one, numbers, now, most) for one, numbers in zip(known, each, strict=True)]
    return Overview(
        as_of=None if site is None else site.clock,
        policy=total.policy,
        holdout=total.holdout,
        gain=total.gain,
        days=days_of(site),
        placements=sorted(lines, key=lambda line: (-line.attention, line.placement)),
    )


def days_of(site: StoredSite | None) -> list[DayLine]:
    """The days of a site, oldest first."""
    return [] if site is None else [_day(number, day) for number, day in site.days.items()]


def standing(placement: Placement | None, summary: Summary | None, now: int) -> Standing:
    """How a placement stands. ``now`` is the log's clock, in ms."""
    if placement is None:
        return Standing("sent", [])
    live = {variant.arm for variant in placement.live(now)}
    if placement.retired or not live:
        return Standing("retired" if placement.retired else "empty", [])
    if summary is None or not summary.shown:
        return Standing("unused", [])
    if summary.last <= now - IDLE_MS:
        return Standing("idle", [])
    if len(live) == 1:
        rest = any(variant.status in ("paused", "retired") for variant in placement.variants)
        return Standing("finished" if rest or placement.finished(now) else "single", [])
    return raced(live, summary)


def raced(live: set[str], summary: Summary) -> Standing:
    """How the variants that are live stand to each other."""
    if live != set(summary.live):
        return Standing("learning", [])  # it was edited a moment ago
    if summary.winners:
        return Standing("winner", summary.winners)
    return Standing("even" if summary.evidence >= EVIDENCE else "learning", [])


def _line(known: _Known, numbers: Experiment, now: int, most: int) -> PlacementLine:
    summary = known.summary
    state, winners = standing(known.placement, summary, now)
    last_seen = None if summary is None or not summary.last else summary.last
    says = words.state(state, winners=winners, last_seen=last_seen)
    urgency = _URGENCY[state]
    if state == "empty" and last_seen is not None and last_seen > now - IDLE_MS:
        urgency = _ASKED_FOR
    shown = 0 if summary is None else summary.shown
    if numbers.gain.verdict == "lower" and state not in ("retired", "finished"):
        urgency, says = max(urgency, _LOSING), words.losing(says)
    return PlacementLine(
        placement=known.name,
        state=state,
        says=says,
        attention=urgency + (_TRAFFIC * shown / most if most else 0.0),
        shown=shown,
        rewarded=0 if summary is None else summary.rewarded,
        shown_24h=0 if summary is None else _since(summary, now - DAY_MS),
        last_seen=last_seen,
        policy=numbers.policy,
        holdout=numbers.holdout,
        gain=numbers.gain,
        winners=winners,
    )


def _since(summary: Summary, ms: int) -> int:
    """Units opened in the hours that began after a time."""
    return sum(shown for start, shown in summary.hours if start > ms)


def _day(number: int, day: Day) -> DayLine:
    return DayLine(
        day=number * DAY_MS,
        shown=day.shown,
        policy_n=day.policy_n,
        policy_rate=day.policy_r / day.policy_n if day.policy_n else None,
        holdout_n=day.holdout_n,
        holdout_rate=day.holdout_r / day.holdout_n if day.holdout_n else None,
    )
