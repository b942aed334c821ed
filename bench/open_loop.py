"""A load generator that does not wait: requests fall due at a rate, answered or not.

``load`` sends the next request when the last is answered, so it never asks for more than the server
can do. Visitors are not so kind. Here a request falls due on schedule, takes the next connection
that is free, and its time is counted from when it fell due; one that finds none within PATIENCE is
given up, as a visitor's browser would.
"""

from __future__ import annotations

import selectors
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import msgspec

from bench.load import Link
from bench.measures import BenchError, percentile

PATIENCE: Final = 1.0
"""How long a request waits for a free connection, in seconds."""
_SILENCE_SECONDS: Final = 15.0
"""How long nothing may be answered before the measurement is given up."""
_TICK: Final = 0.001
"""How long to wait for answers before looking for what has fallen due, in seconds."""


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the requests that fell due."""

    due: int
    answered: dict[str, int]
    """By status."""
    given_up: int
    seconds: float
    p50_ms: float
    p99_ms: float
    """Times of the answered, from when they fell due."""

    @property
    def succeeded(self) -> int:
        """How many were answered with 2xx."""
        return sum(n for status, n in self.answered.items() if status.startswith("2"))


def offer(
    port: int,
    request: Callable[[], bytes],
    *,
    per_second: float,
    seconds: float,
    connections: int,
    note: Callable[[bytes], None],
    watch: Callable[[float], None],
) -> Offered:
    """Let requests fall due for so many seconds.

    ``note`` is given every answer, and ``watch``, often, the seconds since the beginning.

    Raises:
        BenchError: if nothing is answered for long.
    """
    run = _Run(port, request, connections, note)
    try:
        return run.go(per_second, seconds, watch)
    finally:
        run.close()


class _Run:
    """One measurement under way."""

    def __init__(
        self,
        port: int,
        request: Callable[[], bytes],
        connections: int,
        note: Callable[[bytes], None],
    ) -> None:
        self._request = request
        self._note = note
        self._due: deque[float] = deque()
        self._answered: Counter[str] = Counter()
        self._given_up = 0
        self._times = array("d")
        self._links = [Link(port) for _ in range(connections)]
        self._free = list(self._links)
        self._selector = selectors.DefaultSelector()
        for link in self._links:
            self._selector.register(link.sock, selectors.EVENT_READ, link)

    def go(self, per_second: float, seconds: float, watch: Callable[[float], None]) -> Offered:
        clock = time.perf_counter
        started = heard = clock()
        issued = 0
        while (now := clock()) < started + seconds:
            while issued < (now - started) * per_second:
                self._due.append(started + issued / per_second)
                issued += 1
            self._send(now)
            if self._receive():
                heard = now
            elif now - heard > _SILENCE_SECONDS:
                raise BenchError(f"nothing was answered for {_SILENCE_SECONDS:g} seconds")
            watch(now - started)
        return self._outcome(issued, seconds)

    def close(self) -> None:
        self._selector.close()
        for link in self._links:
            link.sock.close()

    def _send(self, now: float) -> None:
        while self._due and now - self._due[0] > PATIENCE:
            self._due.popleft()
            self._given_up += 1
        while self._due and self._free:
            link = self._free.pop()
            link.send(self._request())
            link.sent = self._due.popleft()

    def _receive(self) -> bool:
        ready = self._selector.select(_TICK)
        for key, _ in ready:
            link: Link = key.data
            answer = link.receive()
            if answer is None:
                continue
            self._times.append(time.perf_counter() - link.sent)
            self._answered[answer[9:12].decode("ascii", "replace")] += 1
            self._note(answer)
            self._free.append(link)
        return bool(ready)

    def _outcome(self, issued: int, seconds: float) -> Offered:
        ordered = sorted(self._times)
        if not ordered:
            raise BenchError("nothing was answered")
        return Offered(
            due=issued,
            answered=dict(self._answered),
            given_up=self._given_up,
            seconds=seconds,
            p50_ms=percentile(ordered, 0.5) * 1e3,
            p99_ms=percentile(ordered, 0.99) * 1e3,
        )
