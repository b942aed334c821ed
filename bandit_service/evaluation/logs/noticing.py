"""The join, with a place for everything odd that it meets.

``outcomes.join`` counts; here its counters are compared before and after each entry, so that each
count has its place. What it counts as late is told apart by the ids of the last decisions, which
are remembered: an event outside its decision's window, one of a decision that never was, and one
that came in time and counts for nothing because an earlier one had closed the unit, or its view was
switched. The last is nothing wrong. So is a decision found that the log has again after it closed,
which would otherwise be a row twice.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final, NamedTuple

from bandit_service.archive.reading import Joined
from bandit_service.evaluation.batch import hash_of
from bandit_service.evaluation.logs.base import Blame, Taken, Violation
from bandit_service.events.entries import Decision, Entry, Event, Position, Tick, came
from bandit_service.events.identity import claimed_time
from bandit_service.outcomes.join import Outcome
from bandit_service.outcomes.units import JoinCounts
from bandit_service.policy.settings import SiteSettings

REMEMBERED: Final = 100_000
"""Ids that are remembered."""


class Recent:
    """The last so many ids."""

    def __init__(self, count: int = REMEMBERED) -> None:
        self._ids: dict[int, int] = {}
        self._order: deque[int] = deque()
        self._count = count
        self.forgot = False
        """Whether some had to be forgotten."""

    def add(self, number: int, ms: int = 0) -> bool:
        """Remember an id and when it came; False if it is one of the last."""
        if number in self._ids:
            return False
        self._ids[number] = ms
        self._order.append(number)
        if len(self._ids) > self._count:
            del self._ids[self._order.popleft()]
            self.forgot = True
        return True

    def came(self, number: int) -> int | None:
        """When an id came; None if it is none of the last."""
        return self._ids.get(number)


class _Early(NamedTuple):
    """An event that waits for its decision."""

    decision: str
    place: str
    ms: int
    """When it came, by the log's clock."""


class Opened(NamedTuple):
    """A decision that opened a unit."""

    place: str
    key: int


class Noticing:
    """Takes the entries of a log in order; gives what they close and says what is wrong."""

    def __init__(self, settings: SiteSettings, blame: Blame) -> None:
        """At the start of a log."""
        self.joined = Joined(settings)
        self.left_out: Counter[str] = Counter()
        """Entries that were not taken in, by kind of violation."""
        self._blame = blame
        self._window = settings.rewards.window_ms
        self._clock = 0
        self._recent = Recent()
        self._early: deque[_Early] = deque()
        self._awaited: Counter[str] = Counter()
        """How many of these events wait for each decision."""
        self._opened: dict[str, Opened] = {}
        """The open decisions, by id."""

    def opened(self, outcome: Outcome) -> Opened:
        """How the unit of an outcome was opened. May be asked once."""
        return self._opened.pop(outcome.decision.id)

    def apply(self, place: str, position: Position, entry: Entry) -> Taken:
        """Take in the next entry; what it did."""
        self._clock = max(self._clock, came(position, entry).ms)
        self._give_up()
        if isinstance(entry, Decision):
            return self._decision(place, position, entry)
        if isinstance(entry, Event):
            return self._event(place, position, entry)
        return Taken(position, entry, None, self.joined.apply(position, entry))

    def leave_out(self, kind: str, place: str, message: str) -> None:
        """Say what is wrong with an entry that is not taken in."""
        self.left_out[kind] += 1
        self._blame(Violation(kind, place, message))

    def _give_up(self) -> None:
        """Judge the events that have waited too long for their decision."""
        while self._early and self._early[0].ms < self._clock - self._window:
            given_up = self._early.popleft()
            self._awaited[given_up.decision] -= 1
            self._late(given_up)

    def _pass_time(self, position: Position, entry: Entry) -> Taken:
        """What an entry does that is left out."""
        position, tick = came(position, entry), Tick(at=self._clock)
        return Taken(position, tick, None, self.joined.apply(position, tick))

    def _decision(self, place: str, position: Position, decision: Decision) -> Taken:
        wrong = _wrong_with(decision)
        if wrong is not None:
            self.leave_out(*wrong[:1], place, wrong[1])
            return self._pass_time(position, decision)
        key = hash_of(decision.id)
        if not self._recent.add(key, self._clock):
            self.leave_out("decision_twice", place, f"decision {decision.id} came before")
            return self._pass_time(position, decision)
        counts = self.joined.join.counts
        other, twice, events = _other(counts), counts.duplicate_decisions, counts.duplicate_events
        closed = self.joined.apply(position, decision)
        opened = False
        if counts.duplicate_decisions > twice:  # still open, and yet too long ago for ``Recent``
            self._blame(Violation("decision_twice", place, f"decision {decision.id} came before"))
        elif _other(counts) == other:
            opened = True
            self._opened[decision.id] = Opened(place, key)
        if self._awaited.pop(decision.id, 0):
            self._meet(decision, counts.duplicate_events - events)
        return Taken(position, decision, key if opened else None, closed)

    def _meet(self, decision: Decision, twice: int) -> None:
        """Forget the events that waited for a decision, of which so many were there twice."""
        met = [early for early in self._early if early.decision == decision.id]
        self._early = deque(early for early in self._early if early.decision != decision.id)
        for early in met[len(met) - twice :]:
            self._blame(_twice(early.place, early.decision))

    def _event(self, place: str, position: Position, event: Event) -> Taken:
        join, counts = self.joined.join, self.joined.join.counts
        late, twice, waiting = counts.late_events, counts.duplicate_events, join.early_events
        closed = self.joined.apply(position, event)
        waits = join.awaits_decision_of(event)
        given_up = waiting + waits - join.early_events
        if waits:
            self._early.append(_Early(event.decision, place, self._clock))
            self._awaited[event.decision] += 1
        elif counts.duplicate_events > twice:
            self._blame(_twice(place, event.decision))
        elif counts.late_events - late > given_up:
            self._late(_Early(event.decision, place, self._clock))
        return Taken(position, event, None, closed)

    def _late(self, event: _Early) -> None:
        """Say what is wrong with an event that the join counts as late, if anything is."""
        decided = self._recent.came(hash_of(event.decision))
        if decided is not None and event.ms <= decided + self._window:
            return
        if decided is not None:
            kind, message = "event_late", f"the window of decision {event.decision} had ended"
        elif self._recent.forgot and claimed_time(event.decision) is not None:
            kind, message = "event_late", f"decision {event.decision} is too long ago to count"
        else:
            kind = "event_without_decision"
            message = f"decision {event.decision} is not in the log before it"
        self._blame(Violation(kind, event.place, message))


def _other(counts: JoinCounts) -> int:
    """How many decisions opened no unit."""
    return counts.repeated_views + counts.switched_views


def _wrong_with(decision: Decision) -> tuple[str, str] | None:
    """The kind of what is wrong with a decision by itself, and what it is."""
    count = len(decision.arms)
    if not count:
        return "entry_unreadable", "a decision without candidates"
    if len(decision.probabilities) != count:
        given = len(decision.probabilities)
        return "entry_unreadable", f"{given} probabilities for {count} candidates"
    if decision.at < 0:
        return "entry_unreadable", f"decided at {decision.at} ms, before 1970"
    if not 0 <= decision.chosen < count:
        return "chosen_unknown", f"candidate {decision.chosen} was shown, of 0 to {count - 1}"
    return None


def _twice(place: str, decision: str) -> Violation:
    return Violation("event_twice", place, f"an event of decision {decision} came before")
