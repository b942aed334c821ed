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
- ``censored`` at its end, if none of its views counts: where decisions count when seen (all of a
  site's, or those flagged ``IF_SEEN``) and nothing showed that it was, or where its views are void.

A view is *void* if nobody can have seen the variant, or only some of those who did are known: the
page says that the answer came too late, so that it kept its own content (``DEFAULT_SHOWN``), or a
mail proxy fetched it ahead of time (``PREFETCHED``). What follows from a void view teaches nothing.
Every view that was answered too late is void, also where the variant happened to be what the page
shows anyhow: whether an answer is late does not depend on what was drawn, so leaving out all of
them keeps the logged propensities true, and keeping some would not. For the same reason clicks on
what was prefetched are left out with the views that were not clicked.

Whether a variant can be shown at all (its picture loads, and in time; it has something for the
place) does depend on what was drawn. Such a view is not void: it was seen when its place was, and
earns nothing. Left out, it would leave a heavy picture to be judged by those alone who got it.

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

from collections import Counter, deque
from typing import Final, Literal, NamedTuple

from bandit_service.events.entries import (
    DEFAULT_SHOWN,
    IF_SEEN,
    PREFETCHED,
    Decision,
    Entry,
    Event,
    Position,
    came,
)
from bandit_service.events.identity import claimed_time
from bandit_service.outcomes.rewards import RewardSettings, RewardSum
from bandit_service.outcomes.units import Aging, Early, JoinCounts, JoinState, Unit, View

OutcomeKind = Literal["rewarded", "defaulted", "censored"]

MAX_EARLY: Final = 10_000
"""Events that wait for their decision at a time; more than that are counted as late at once."""
MAX_EVENT_IDS: Final = 1_000
"""Idempotency ids remembered for one unit; a unit with more events is a robot's."""

LATEST_MS: Final = 60_000
"""How long after it was made a decision may reach the log, in ms, and still find its unit: a view
at the very end of a slot is logged when the slot is over, and a slow store makes that later."""


class Outcome(NamedTuple):
    """How a unit closed. ``reward`` is the default where nothing came, 0 where censored.

    ``views`` are those that are not void.
    """

    decision: Decision
    kind: OutcomeKind
    reward: float
    views: int
    closed: Position


class Join:
    """The fold. One instance reads one log from its start, or from a restored state."""

    def __init__(self, rewards: RewardSettings) -> None:
        """A join at the start of a log."""
        self._rewards = rewards
        self._window = rewards.window_ms
        self._memory = rewards.window_ms
        self._views = Aging()
        self._remembered = Aging()
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
            silent=[key for key, view in self._views.items() if view.silent],
            void=[key for key, view in self._views.items() if view.void],
        )

    def restore(self, state: JoinState) -> None:
        """Continue from what ``dump`` gave."""
        self._views, self._remembered = Aging(), Aging()
        for views, kept in ((self._views, state.views), (self._remembered, state.remembered)):
            for key, n, at in kept:
                views.add(key, View(state.units[n], at))
        for key in state.silent:
            self._views[key].silent = True
        for key in state.void:
            self._views[key].void = True
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
        view = View(unit, self._clock)
        self._views.add(decision.id, view)
        if PREFETCHED in decision.flags:
            self.counts.prefetched_views += 1
            self._void(view)
        elif IF_SEEN in decision.flags:
            self._silence(view)

    def _void(self, view: View) -> None:
        """Let nothing that follows from a view teach anything."""
        self._silence(view)
        view.void = True
        view.unit.void += 1

    def _silence(self, view: View) -> None:
        """Let a view count no more by itself."""
        view.unit.silent += not view.silent
        view.silent = True

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
        if view is not None and self._known(view.unit, event):
            self.counts.duplicate_events += 1
            return []
        if view is None or view.unit.decision is None:
            self.counts.late_events += 1
            return []
        return self._tell(view, view.unit.decision, position, event)

    def _known(self, unit: Unit, event: Event) -> bool:
        """Whether this event has come before; remembers it."""
        if event.id is None:
            return False
        name = f"{event.decision} {event.id}"
        if name in unit.event_ids:
            return True
        if len(unit.event_ids) < MAX_EVENT_IDS:
            unit.event_ids.append(name)
        return False

    def _tell(
        self, view: View, decision: Decision, position: Position, event: Event
    ) -> list[Outcome]:
        """What an event makes of a view whose unit is open."""
        unit = view.unit
        if view.void:
            self.counts.void_events += 1
            return []
        if event.type == DEFAULT_SHOWN:
            self.counts.defaults_shown += 1
            self._void(view)
            return []
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
        views = unit.views - unit.void
        if unit.rewards:
            self.counts.rewarded += 1
            reward = self._rewards.clipped(unit.value)
            return Outcome(decision, "rewarded", reward, views, position)
        if not self._counts(unit):
            self.counts.censored += 1
            return Outcome(decision, "censored", 0.0, views, position)
        self.counts.defaulted += 1
        return Outcome(decision, "defaulted", self._rewards.default_reward, views, position)

    def _counts(self, unit: Unit) -> bool:
        """Whether a unit without rewards is one that was shown and earned nothing."""
        from_answers = self._rewards.counts == "answered"
        return unit.seen or (from_answers and unit.views > unit.silent)
