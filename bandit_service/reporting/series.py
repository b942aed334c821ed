"""What was shown and earned over time, by variant: a bounded number of stretches of equal length.

A unit belongs to the stretch in which it was opened, by the log's clock, whenever it is settled. Of
the newest stretch every variant is kept; of those before it the ones that were shown most, and all
others as one (``OTHERS``): a chart of a hundred lines says no more, and takes no less room. What
comes late for a stretch that is let go is not in any.
"""

from __future__ import annotations

from array import array
from typing import Final

import msgspec
import numpy as np

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
HOURS: Final = 48
DAYS: Final = 90
"""How many stretches are kept."""
MOST: Final = 15
"""Variants of a stretch that stay apart once it is over."""
OTHERS: Final = -1
"""Number of what does not."""

_ARM, _SHOWN, _SETTLED, _EARNED, _STRIDE = range(5)


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """One stretch as it is stored: k variants."""

    start: int
    """When it began, in stretches since the Unix epoch."""
    sums: bytes
    """k x 4 little-endian float64: variant's number, units shown, units settled, their rewards."""

    def rows(self) -> list[tuple[int, int, int, float]]:
        """Variant's number, units shown, units settled and their rewards, of each variant."""
        return [
            (int(arm), int(shown), int(settled), earned)
            for arm, shown, settled, earned in np.frombuffer(self.sums, "<f8")
            .reshape(-1, 4)
            .tolist()
        ]


class Series:
    """Stretches of ``stretch_ms``, the newest ``keep`` of them."""

    def __init__(self, stretch_ms: int, keep: int) -> None:
        """Nothing yet."""
        self._stretch_ms = stretch_ms
        self._keep = keep
        self._stretches: dict[int, array[float]] = {}
        self._newest = -1
        self._places: dict[int, int] = {}
        """Where each variant's sums stand in those of the newest stretch."""

    def show(self, at: int, arm: int, units: int = 1) -> None:
        """Count units that were opened at a time (ms), or take back as many."""
        start = at // self._stretch_ms
        sums = self._stretches.get(start)
        if sums is None and (sums := self._begun(start)) is None:
            return
        sums[self._place(start, sums, arm) + _SHOWN] += units

    def settle(self, at: int, arm: int, reward: float) -> None:
        """Count what became of a unit that was opened at a time (ms)."""
        start = at // self._stretch_ms
        sums = self._stretches.get(start)
        if sums is None and (sums := self._begun(start)) is None:
            return
        place = self._place(start, sums, arm)
        sums[place + _SETTLED] += 1.0
        sums[place + _EARNED] += reward

    def dump(self) -> list[Stretch]:
        """The stretches as plain data, oldest first."""
        return [
            Stretch(start, np.array(self._stretches[start], "<f8").tobytes())
            for start in sorted(self._stretches)
        ]

    def restore(self, stretches: list[Stretch]) -> None:
        """Continue from what ``dump`` gave."""
        self._stretches = {
            kept.start: array("d", np.frombuffer(kept.sums, "<f8").tolist()) for kept in stretches
        }
        self._newest = max(self._stretches, default=-1)
        self._places = _places(self._stretches.get(self._newest, array("d")))

    def shown(self) -> list[tuple[int, int]]:
        """(start in ms, units shown) of each stretch, oldest first."""
        return [
            (start * self._stretch_ms, round(sum(self._stretches[start][_SHOWN::_STRIDE])))
            for start in sorted(self._stretches)
        ]

    def _begun(self, start: int) -> array[float] | None:
        """A stretch of which nothing is known yet; None if it is let go."""
        if start <= self._newest - self._keep:
            return None
        found = self._stretches[start] = array("d")
        if start > self._newest:
            self._close(start)
        return found

    def _close(self, newest: int) -> None:
        """Begin a new stretch: shorten the one before it, and let go of the oldest."""
        if self._newest in self._stretches:
            self._stretches[self._newest] = _shortened(self._stretches[self._newest])
        self._newest = newest
        self._places = {}
        for start in [start for start in self._stretches if start <= newest - self._keep]:
            del self._stretches[start]

    def _place(self, start: int, sums: array[float], arm: int) -> int:
        """Where a variant's sums stand in those of its stretch."""
        over = start != self._newest
        places = _places(sums) if over else self._places
        place = places.get(arm)
        if place is not None:
            return place
        if over and arm != OTHERS and len(places) >= MOST:
            return self._place(start, sums, OTHERS)
        sums.extend((float(arm), 0.0, 0.0, 0.0))
        place = places[arm] = len(sums) - _STRIDE
        return place


def _places(sums: array[float]) -> dict[int, int]:
    return {int(sums[place]): place for place in range(0, len(sums), _STRIDE)}


def _shortened(sums: array[float]) -> array[float]:
    """The variants shown most, in their order, and the rest as one."""
    places = range(0, len(sums), _STRIDE)
    if len(places) <= MOST:
        return sums
    most = set(sorted(places, key=lambda place: -sums[place + _SHOWN])[:MOST])
    rest = [place for place in places if place not in most]
    kept = array("d")
    for place in sorted(most):
        kept.extend(sums[place : place + _STRIDE])
    kept.append(float(OTHERS))
    kept.extend(sum(sums[place + n] for place in rest) for n in (_SHOWN, _SETTLED, _EARNED))
    return kept
