"""The join: decisions and events of one log, in order, become outcomes, each exactly once.

A *unit* is what is learned from once: the views that one visitor has of one placement within one
time slot, or a single decision where no visitor was named. It opens with its first decision, whose
arm and propensity are the unit's. Later views of the same arm move its end. Should a later view
have shown another arm (the draw is sticky, not frozen: probabilities and candidates may change
within a slot), it is counted as switched, and what follows from it teaches nothing: its propensity
given the first view is not the logged one. A unit closes

- ``rewarded``, as soon as a reward reaches the log where the aggregation is ``earliest``, else at
  its end with the aggregate of the rewards that came;
- ``defaulted`` at its end, if none came;
- ``censored`` at its end, if decisions count when seen and nothing showed that it was.

The end is one window after the last view, measured by the log's own clock (the positions), which
never runs backwards: which events are in time does not depend on any server's clock, nor on when
this fold runs. What arrives for a closed unit is counted as late and changes nothing. A unit is
remembered until its slot must be over and the last of its views must have reached the log, so that
a view after its closing does not open it again.

``apply`` is deterministic: the state after a log is a function of the settings and the log.
Keeping only the open units, and not every id ever seen, is what bounds the memory to the traffic
of one slot.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final, Literal, NamedTuple

import msgspec

from bandit_service.events.entries import Decision, Entry, Event, Position, came
from bandit_service.events.identity import claimed_time
from bandit_service.outcomes.rewards import RewardSettings, RewardSum

OutcomeKind = Literal["rewarded", "defaulted", "censored"]

MAX_EARLY: Final = 10_000
"""Events that wait for their decision at a time; more than that are counted as late at once."""
MAX_EVENT_IDS: Final = 1_000
"""Idempotency ids remembered for one unit; a unit with more events is a robot's."""

LATEST_MS: Final = 60_000
"""How long after it was made a decision may reach the log, in ms, and still find its unit: a view
at the very end of a slot is logged when the slot is over, and a slow store makes that later."""


class Outcome(NamedTuple):
    """How a unit closed. ``reward`` is the default where nothing came, 0 where censored."""

    decision: Decision
    kind: OutcomeKind
    reward: float
    views: int
    closed: Position


class JoinCounts(msgspec.Struct):
    """How many of each thing the join has met since the log began."""

    decisions: int = 0
    repeated_views: int = 0
    switched_views: int = 0
    duplicate_decisions: int = 0
    events: int = 0
    duplicate_events: int = 0
    late_events: int = 0
    rewarded: int = 0
    defaulted: int = 0
    censored: int = 0


class Unit(msgspec.Struct, gc=False):
    """An open unit, or one that has closed and is remembered. Closed ones drop their decision."""

    decision: Decision | None
    arm: str
    latest: str
    """The decision id of the newest view; its end is the unit's end."""
    views: int = 1
    seen: bool = False
    rewards: int = 0
    value: float = 0.0
    event_ids: list[str] = []


class View(msgspec.Struct, gc=False):
    """One decision id, waiting for its window to end."""

    unit: Unit
    arrived: int


class _Aging(dict[str, View]):
    """Views by key, in the order in which they came; only the oldest are ever taken out.

    The keys stand in a queue besides: to find the first item of a dictionary takes a look at every
    place that was emptied before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._order: deque[str] = deque()
        self.oldest: float = math.inf
        """When the oldest came, ms of the log's clock."""

    def add(self, key: str, view: View) -> None:
        """Take in a view that is not older than the others, under a key that is new."""
        if not self._order:
            self.oldest = view.arrived
        self[key] = view
        self._order.append(key)

    def take_older(self, before: int) -> list[tuple[str, View]]:
        """Remove and return the views that arrived before ``before`` (ms); oldest are first."""
        taken: list[tuple[str, View]] = []
        order = self._order
        while self.oldest < before:
            key = order.popleft()
            taken.append((key, self.pop(key)))
            self.oldest = self[order[0]].arrived if order else math.inf
        return taken


class Early(msgspec.Struct, frozen=True, gc=False):
    """An event whose decision has not come yet."""

    event: Event
    arrived: int


class JoinState(msgspec.Struct, frozen=True):
    """The state of a join as plain data; units are shared by index."""

    units: list[Unit]
    views: list[tuple[str, int, int]]
    """(decision id, index of its unit, arrival in ms of the log's clock), oldest first."""
    remembered: list[tuple[str, int, int]]
    """(unit, index of it, arrival of its first view), oldest first."""
    memory: int
    """How long units are remembered, in ms: the longest slot that was met and LATEST_MS, or a
    window."""
    counts: JoinCounts
    early: list[Early] = []
    """Oldest first."""
    clock: int = 0
    """How late it is, in ms."""


class Join:
    """The fold. One instance reads one log from its start, or from a restored state."""

    def __init__(self, rewards: RewardSettings) -> None:
        """A join at the start of a log."""
        self._rewards = rewards
        self._window = rewards.window_ms
        self._memory = rewards.window_ms
        self._views = _Aging()
        self._remembered = _Aging()
        self._early: deque[Early] = deque()
        self._awaited: Counter[str] = Counter()
        """How many early events wait for each decision."""
        self._clock = 0
        self.counts = JoinCounts()
        self.opened: Decision | None = None
        """The decision with which the last entry opened a unit, if it did."""

    def apply(self, position: Position, entry: Entry) -> list[Outcome]:
        """Take in the next entry; the outcomes that it, or the passing of time, has closed."""
        self._clock = max(self._clock, came(position, entry).ms)
        self.opened = None
        closed = self._expire(position)
        if isinstance(entry, Decision):
            self._decide(entry)
            if self._awaited:
                closed += self._meet(position, entry)
        elif isinstance(entry, Event):
            self.counts.events += 1
            closed += self._event(position, entry)
        return closed

    def overdue(self, now: int) -> bool:
        """Whether a view's window had ended by ``now`` (ms): an entry would close something."""
        return self._views.oldest + self._window < now

    @property
    def open_units(self) -> int:
        """How many units have not closed yet."""
        return sum(1 for unit in self._units() if unit.decision is not None)

    @property
    def early_events(self) -> int:
        """How many events wait for a decision that has not come."""
        return len(self._early)

    def awaits_decision_of(self, event: Event) -> bool:
        """Whether the event that was just taken in waits for its decision."""
        return bool(self._early) and self._early[-1].event is event

    def dump(self) -> JoinState:
        """The state as plain data, for a checkpoint."""
        units = list(self._units())
        index = {id(unit): n for n, unit in enumerate(units)}
        return JoinState(
            units=units,
            views=[(key, index[id(v.unit)], v.arrived) for key, v in self._views.items()],
            remembered=[(key, index[id(v.unit)], v.arrived) for key, v in self._remembered.items()],
            memory=self._memory,
            counts=self.counts,
            early=list(self._early),
            clock=self._clock,
        )

    def restore(self, state: JoinState) -> None:
        """Continue from what ``dump`` gave."""
        self._views, self._remembered = _Aging(), _Aging()
        for views, kept in ((self._views, state.views), (self._remembered, state.remembered)):
            for key, n, at in kept:
                views.add(key, View(state.units[n], at))
        self._memory = state.memory
        self.counts = state.counts
        self._clock = state.clock
        self._early = deque(state.early)
        self._awaited = Counter(early.event.decision for early in state.early)

    def _units(self) -> list[Unit]:
        every = (*self._views.values(), *self._remembered.values())
        return list({id(view.unit): view.unit for view in every}.values())

    def _decide(self, decision: Decision) -> None:
        if decision.id in self._views:
            self.counts.duplicate_decisions += 1
            return
        self.counts.decisions += 1
        name = decision.unit
        known = self._remembered.get(name)
        if known is None:
            unit = Unit(decision, decision.arm, decision.id)
            self.opened = decision
            if decision.visitor is not None:
                self._memory = max(self._memory, decision.slot_ms + LATEST_MS)
                self._remembered.add(name, View(unit, self._clock))
        elif known.unit.arm != decision.arm:
            self.counts.switched_views += 1
            return
        else:
            unit = known.unit
            unit.latest = decision.id
            unit.views += 1
            self.counts.repeated_views += 1
        self._views.add(decision.id, View(unit, self._clock))

    def _meet(self, position: Position, decision: Decision) -> list[Outcome]:
        """What the events make of a decision that came after them."""
        if not self._awaited.pop(decision.id, 0):
            return []
        met = [early.event for early in self._early if early.event.decision == decision.id]
        self._early = deque(early for early in self._early if early.event.decision != decision.id)
        return [outcome for event in met for outcome in self._event(position, event)]

    def _event(self, position: Position, event: Event) -> list[Outcome]:
        view = self._views.get(event.decision)
        if view is None and self._may_be_early(event):
            self._early.append(Early(event, self._clock))
            self._awaited[event.decision] += 1
            return []
        decision = None if view is None else view.unit.decision
        if view is None or decision is None:
            self.counts.late_events += 1
            return []
        unit = view.unit
        if event.id is not None:
            known = f"{event.decision} {event.id}"
            if known in unit.event_ids:
                self.counts.duplicate_events += 1
                return []
            if len(unit.event_ids) < MAX_EVENT_IDS:
                unit.event_ids.append(known)
        unit.seen = True
        reward = self._rewards.of(event.type, event.value)
        if reward is None:
            return []
        self._add(unit, reward)
        if self._rewards.aggregation == "earliest":
            return [self._close(unit, decision, position)]
        return []

    def _may_be_early(self, event: Event) -> bool:
        """Whether the decision of an event may still come."""
        decided = claimed_time(event.decision)
        young = decided is not None and event.received <= decided + self._window
        return young and len(self._early) < MAX_EARLY

    def _give_up(self, event: Event) -> None:
        self._awaited[event.decision] -= 1
        if not self._awaited[event.decision]:
            del self._awaited[event.decision]

    def _add(self, unit: Unit, reward: float) -> None:
        total = RewardSum()
        total.count, total.value = unit.rewards, unit.value
        total.add(reward, self._rewards.aggregation)
        unit.rewards, unit.value = total.count, total.value

    def _expire(self, position: Position) -> list[Outcome]:
        closed: list[Outcome] = []
        for decision_id, view in self._views.take_older(self._clock - self._window):
            decision = view.unit.decision
            if decision is not None and view.unit.latest == decision_id:
                closed.append(self._close(view.unit, decision, position))
        self._remembered.take_older(self._clock - self._memory)
        while self._early and self._early[0].arrived < self._clock - self._window:
            self._give_up(self._early.popleft().event)
            self.counts.late_events += 1
        return closed

    def _close(self, unit: Unit, decision: Decision, position: Position) -> Outcome:
        unit.decision = None
        unit.event_ids = []
        if unit.rewards:
            self.counts.rewarded += 1
            reward = self._rewards.clipped(unit.value)
            return Outcome(decision, "rewarded", reward, unit.views, position)
        if self._rewards.counts == "seen" and not unit.seen:
            self.counts.censored += 1
            return Outcome(decision, "censored", 0.0, unit.views, position)
        self.counts.defaulted += 1
        return Outcome(decision, "defaulted", self._rewards.default_reward, unit.views, position)
