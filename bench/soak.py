"""``soak``: memory under twice the load that can be sustained, process by process.

First the sustainable rate is measured, by connections that wait for their answers; then requests
fall due at twice that rate, whether answered or not, from far more visitors than the caches hold.
Four in five ask for a variant, one reports what became of an earlier answer.

Workers must stay flat: all they keep is bounded, and what cannot be answered waits in queues that
have an end. Redis grows by the log that it keeps, at the rate of what was answered, and the
learner by the decisions whose window is open, a backlog included where learning cannot follow: the
three are told apart.

    python -m bench soak --seconds 600
"""

from __future__ import annotations

import re
import urllib.request
from collections import deque
from collections.abc import Iterator
from itertools import count, cycle
from random import Random
from typing import Final

import msgspec

from bench.load import body_of, run_load
from bench.measures import BenchError, Row, Scale, Table
from bench.open_loop import Offered, offer
from bench.resident import Growth, Process, processes_of, resident
from bench.servers import Service, service
from bench.traffic import bodies, http_post

OVERLOAD: Final = 2.0
"""The rate offered, over the one that can be sustained."""
CONNECTIONS: Final = 600
WINDOW_SECONDS: Final = 10.0
"""Outcome window: short, so that decisions close while we watch."""
PROFILES: Final = 400
VISITORS: Final = 200_000
_BODIES: Final = 50_000
_EVENTS_EACH: Final = 5
"""One request in so many reports events."""
_SAMPLES: Final = 120
"""How often memory is looked at."""
_CALIBRATION_SHARE: Final = 0.1
_ID: Final = re.compile(rb'"decision":"([^"]+)"')


class Soaked(msgspec.Struct, frozen=True, kw_only=True):
    """What a soak showed."""

    sustained: float
    """Requests a second that were sustained."""
    offered: Offered
    growth: dict[str, Growth]
    """By role and number."""
    logged: int
    """Entries in the log at the end."""
    behind_seconds: float
    """How far what is served was behind the log at the end."""
    figures: dict[str, float]
    """What the service says of its load."""


class _Crowd:
    """Requests, some of them about earlier answers."""

    def __init__(self, key: str) -> None:
        asked = bodies(_BODIES, profiles=PROFILES, visitors=VISITORS)
        self._key = key
        self._posts = cycle([http_post("/v1/decide", body, key) for body in asked])
        self._numbers = count(1)
        self._shown: deque[str] = deque(maxlen=1_000)
        self._random = Random(1)

    def decide(self) -> Iterator[bytes]:
        return self._posts

    def request(self) -> bytes:
        if self._shown and next(self._numbers) % _EVENTS_EACH == 0:
            return http_post("/v1/events", self._events(self._shown.popleft()), self._key)
        return next(self._posts)

    def note(self, answer: bytes) -> None:
        found = _ID.search(body_of(answer)[:80])
        if found:
            self._shown.append(found[1].decode())

    def _events(self, decision: str) -> dict[str, object]:
        kinds = ("impression", "click") if self._random.random() < 0.1 else ("impression",)
        return {"events": [{"decision": decision, "type": kind} for kind in kinds]}


class _Watch:
    """Samples of every process's memory, taken at even intervals."""

    def __init__(self, processes: list[Process], seconds: float) -> None:
        self._processes = processes
        self._every = seconds / _SAMPLES
        self._next = 0.0
        self.samples: dict[str, list[tuple[float, float]]] = {}

    def __call__(self, elapsed: float) -> None:
        if elapsed >= self._next:
            self._next += self._every
            for process in self._processes:
                name = f"{process.role} {process.pid}"
                self.samples.setdefault(name, []).append((elapsed, resident(process)))


def measure(scale: Scale) -> Table:
    """Soak a service with a learner and a Redis of its own."""
    with service(learn=True, window_seconds=WINDOW_SECONDS) as running:
        return _table(_soak(running, scale.soak_seconds))


def _soak(running: Service, seconds: float) -> Soaked:
    port = running.server.port
    crowd = _Crowd(running.key)
    calm = run_load(
        port, crowd.decide(), connections=32, seconds=min(10.0, seconds * _CALIBRATION_SHARE)
    )
    watch = _Watch(processes_of(running.server.pid), seconds)
    offered = offer(
        port,
        crowd.request,
        per_second=calm.per_second * OVERLOAD,
        seconds=seconds,
        connections=CONNECTIONS,
        note=crowd.note,
        watch=watch,
    )
    head, tail = running.store.head(), running.store.tail()
    return Soaked(
        sustained=calm.per_second,
        offered=offered,
        growth={name: Growth.of(samples) for name, samples in watch.samples.items()},
        logged=running.store.length(),
        behind_seconds=(tail.ms - head.position.ms) / 1000 if head else 0.0,
        figures=_figures(port),
    )


def _figures(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = ("bandit_busy_share", "bandit_snapshots_held_total")
    return {name: float(v) for name, _, v in (x.partition(" ") for x in lines) if name in wanted}


def _table(soaked: Soaked) -> Table:
    offered = soaked.offered
    refused = {s: n for s, n in offered.answered.items() if not s.startswith("2")}
    if not offered.succeeded:
        raise BenchError(f"nothing succeeded: {offered.answered}")
    return Table(
        title=f"soak: {OVERLOAD:g} times the sustainable rate for {offered.seconds:g} s",
        columns=("start MB", "end MB", "peak MB", "MB/minute, 2nd half"),
        rows=tuple(
            Row(
                name,
                (f"{g.start:.0f}", f"{g.end:.0f}", f"{g.peak:.0f}", f"{g.per_minute:+.2f}"),
            )
            for name, g in sorted(soaked.growth.items(), key=lambda item: item[0].lower())
        ),
        notes=(
            (
                f"sustained {soaked.sustained:,.0f} requests/s; offered "
                f"{offered.due / offered.seconds:,.0f}, answered {_rate(offered):,.0f}/s"
            ),
            (
                f"refused {refused or 'none'}; found no free connection within a second: "
                f"{offered.given_up / offered.due:.0%}"
            ),
            (
                f"from falling due to the answer: p50 {offered.p50_ms:.0f} ms, "
                f"p99 {offered.p99_ms:.0f} ms, over {CONNECTIONS} connections"
            ),
            (
                f"the log holds {soaked.logged:,} entries, which Redis keeps; what serves is "
                f"{soaked.behind_seconds:.1f} s behind it (outcome window {WINDOW_SECONDS:g} s)"
            ),
            f"the service's own figures: {soaked.figures}",
        ),
        values=soaked,
    )


def _rate(offered: Offered) -> float:
    return offered.succeeded / offered.seconds
