"""How busy a process is, and what it puts off while it has more to do than time.

A worker answers one request at a time; the share of the last second that it spent in requests says
how near it is to its limit, whatever it waited for. Every new snapshot makes it work out all its
probabilities anew. So above BUSY a worker keeps the snapshot that it has, whose probabilities are
warm, and takes up a newer one only every HELD_SECONDS: decisions are a few seconds staler and each
costs less. Nothing about them is approximate: they name the snapshot that chose, their
propensities are those of the draw, and they can be derived again like any other.

Refusing decisions was rejected: a website that gets an error shows something too, and nobody
learns from it. Edits of the catalog and revoked keys are never put off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from bandit_service.serving.view import SiteView
from bandit_service.storage.ports import Pulse

BUSY: Final = 0.8
"""Share of its time in requests above which a worker puts off new snapshots."""
HELD_SECONDS: Final = 5.0
"""How long a newer snapshot is put off at most."""
SPAN_SECONDS: Final = 1.0
"""Over how long the share is taken, at least."""

Observer = Callable[[float, int], None]
"""Told the share, and how many looks found a snapshot and put it off."""


class Pressure:
    """The load of one process. ``spend`` is called by its one request thread."""

    def __init__(self) -> None:
        self.share = 0.0
        """Share of the last second spent in requests, from 0 to 1."""
        self._spent = 0.0
        self._marks: deque[tuple[float, float]] = deque()
        self._swapped: dict[str, float] = {}
        self._observe: Observer = _ignore

    def report_to(self, observe: Observer) -> None:
        """Tell ``observe`` of every look from now on."""
        self._observe = observe

    def spend(self, seconds: float) -> None:
        """A request took so long."""
        self._spent += seconds

    def look(self, now: float) -> None:
        """Work out the share anew; ``now`` is in seconds, of a clock that never goes back."""
        marks = self._marks
        marks.append((now, self._spent))
        while len(marks) > 2 and marks[1][0] <= now - SPAN_SECONDS:
            marks.popleft()
        then, before = marks[0]
        if now > then:
            self.share = min(1.0, (self._spent - before) / (now - then))
        self._observe(self.share, 0)

    def refresh(self, view: SiteView, pulse: Pulse, now: float) -> None:
        """Bring a view up to date, its snapshot only if there is time for it.

        Raises:
            StorageError: if the store does not answer.
        """
        before = view.chooser
        swapped = self._swapped.get(view.site)
        held = self.share > BUSY and swapped is not None and now - swapped < HELD_SECONDS
        view.refresh(pulse, swap=not held)
        if view.chooser is not before:
            self._swapped[view.site] = now
        elif held and before is not None and pulse.head is not None:
            self._observe(self.share, int(pulse.head.name != before.name))


def _ignore(_share: float, _held: int) -> None:
    """Nobody wants to know."""
