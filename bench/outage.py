"""``outage``: deciding while Redis hangs, beside deciding while it is well.

Rounds alternate. For a round of outage Redis is stopped (SIGSTOP) as the load begins, so what it
costs to notice is in the figures; afterwards it goes on, and the next round waits until everything
that was kept on disk is in the log. The generator is the one of ``decide``, over fewer connections:
a latency under full load would say how long the queue is.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Final

import msgspec

from bench.load import Load, run_load
from bench.measures import BenchError, Row, Scale, Spread, Table
from bench.servers import WORKERS, Service, service
from bench.traffic import bodies, http_post

CONNECTIONS: Final = 4
TARGET: Final = 2.0
"""Largest ratio of the 99th percentiles that we hold ourselves to."""
_REQUESTS: Final = 5_000
_DRAIN_SECONDS: Final = 60.0


class Outages(msgspec.Struct, frozen=True, kw_only=True):
    """The rounds, one of each kind by turns."""

    well: list[Load]
    away: list[Load]

    @property
    def ratio(self) -> Spread:
        """The 99th percentile while Redis hangs over the usual one."""
        return Spread.of_ratios(
            [one.p99_ms for one in self.away], [one.p99_ms for one in self.well]
        )


def measure(scale: Scale) -> Table:
    """Compare round by round."""
    found = Outages(well=[], away=[])
    with service(learn=False) as ours:
        posts = [http_post("/v1/decide", body, ours.key) for body in bodies(_REQUESTS)]
        for _ in range(scale.rounds):
            found.well.append(_round(ours, posts, scale.seconds))
            with _hanging(ours.redis):
                found.away.append(_round(ours, posts, scale.seconds))
            _await_log(ours, sum(load.replies for load in (*found.well, *found.away)))
    return Table(
        title=f"outage: POST /v1/decide, {CONNECTIONS} connections, {WORKERS} web processes",
        columns=("requests/s", "p50 ms", "p99 ms", "p99 ratio"),
        rows=(
            Row("Redis well", _cells(found.well, "1")),
            Row("Redis hangs", _cells(found.away, found.ratio.shown())),
        ),
        notes=(
            f"target: a ratio of at most {TARGET:g}; median (least to largest round)",
            "every decision made while Redis hung was in the log before the next round began",
        ),
        values=found,
    )


def _round(ours: Service, posts: list[bytes], seconds: float) -> Load:
    return run_load(ours.server.port, cycle(posts), connections=CONNECTIONS, seconds=seconds)


@contextmanager
def _hanging(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _await_log(ours: Service, decisions: int) -> None:
    """Wait until the log has at least so many entries."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    while ours.store.length() < decisions:
        if time.monotonic() > deadline:
            raise BenchError(f"the spool was not emptied within {_DRAIN_SECONDS:g} seconds")
        time.sleep(0.1)


def _cells(rounds: list[Load], ratio: str) -> tuple[str, ...]:
    return (
        Spread.of(each.per_second for each in rounds).shown(0),
        Spread.of(each.p50_ms for each in rounds).shown(),
        Spread.of(each.p99_ms for each in rounds).shown(),
        ratio,
    )
