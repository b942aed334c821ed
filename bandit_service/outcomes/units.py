"""What a join remembers: open units with their views, events that came too early, and counters."""

from __future__ import annotations

import math
from collections import deque

import msgspec

from bandit_service.events.entries import Decision, Event


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
    defaults_shown: int = 0
    """Views whose answer came too late, so that the page kept its own content."""
    prefetched_views: int = 0
    void_events: int = 0
    """Events of views that are void; they teach nothing."""


class Unit(msgspec.Struct, gc=False):
    """An open unit, or one that has closed and is remembered. Closed ones drop their decision."""

    decision: Decision | None
    arm: str
    latest: str
    """The decision id of the newest view; its end is the unit's end."""
    views: int = 1
    silent: int = 0
    """How many of the views are void, or flagged ``IF_SEEN``: they do not count by themselves."""
    void: int = 0
    """How many of the views are void."""
    seen: bool = False
    rewards: int = 0
    value: float = 0.0
    event_ids: list[str] = []


class View(msgspec.Struct, gc=False):
    """One decision id, waiting for its window to end."""

    unit: Unit
    arrived: int
    silent: bool = False
    """Whether it does not count by itself."""
    void: bool = False
    """Whether what follows from it teaches nothing."""


class Aging(dict[str, View]):
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
    silent: list[str] = []
    """Decision ids of the views that do not count by themselves."""
    void: list[str] = []
    """Decision ids of the views that are void."""
