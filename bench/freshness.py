"""``freshness``: from a click's 202 until decisions are made by a snapshot that has learned it.

The decisions are made beforehand, each by another visitor; then their clicks are sent at a steady
rate, and each click closes its decision with a reward. Meanwhile a few connections keep asking for
decisions, as visitors would, and note which snapshot each answer names. A snapshot's name begins
with the position in the log up to which it has learned; the position of every click is read from
the log afterwards. So a click is fresh at the first answer, received after its 202, that names a
position at or past its own: nothing is compared but the log's own order and one process's clock.

That moment is taken for every asking connection by itself: web processes load a snapshot each in
its own time, and a process that is behind counts.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from itertools import cycle
from typing import Final

import msgspec

from bandit_service.events.entries import START, Event, Position, decode
from bandit_service.policy.snapshot import SnapshotName
from bandit_service.storage.ports import SiteStore, entries_of
from bench.load import body_length, body_of, check_success, exchange
from bench.measures import BenchError, Row, Scale, Table, percentile
from bench.servers import Service, service
from bench.traffic import bodies, http_post

RATE: Final = 1_000
"""Clicks a second."""
TARGET_SECONDS: Final = 2.0
_SENDERS: Final = 16
_PROBES: Final = 8
_PROBE_SECONDS: Final = 0.02
"""Time between two decisions on one asking connection: the resolution of the measurement."""
_LONGEST_SECONDS: Final = 15.0
"""How long after the last click everything must be fresh."""


class Sighting(msgspec.Struct, frozen=True):
    """An answer to a decision: when it came (s), and up to where its snapshot has learned."""

    at: float
    position: Position


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen; delays are in seconds."""

    clicks: int
    clicks_per_second: float
    snapshots: int
    median: float
    p99: float
    largest: float


def measure(scale: Scale) -> Table:
    """Start a service with its learner, click, and wait for what was learned."""
    count = round(RATE * scale.fresh_seconds)
    with service(learn=True) as ours:
        decisions = _decide(ours, count)
        run = _Run(ours, decisions)
        asyncio.run(run.all())
        positions = _positions(ours.store)
    return _table(_summary(run, positions))


class _Run:
    """Clicks and sightings of one run."""

    def __init__(self, ours: Service, decisions: list[str]) -> None:
        self._ours = ours
        self._decisions = decisions
        self._asked = cycle(
            [http_post("/v1/decide", body, ours.key) for body in bodies(1_000, seed=7)]
        )
        self._began = 0.0
        self._done = False
        self.acknowledged: dict[str, float] = {}
        """When each click's 202 came, in seconds, by decision."""
        self.sightings: list[list[Sighting]] = [[] for _ in range(_PROBES)]

    @property
    def seconds(self) -> float:
        """From the first click to the last 202."""
        return max(self.acknowledged.values()) - self._began

    async def all(self) -> None:
        """Send every click, and ask until the last is fresh everywhere.

        Raises:
            BenchError: if that takes too long, or an answer is not a 2xx.
        """
        async with asyncio.TaskGroup() as tasks:
            for sightings in self.sightings:
                tasks.create_task(self._probe(sightings))
            await asyncio.sleep(2 * _PROBE_SECONDS)
            self._began = time.perf_counter()
            async with asyncio.TaskGroup() as senders:
                for number in range(_SENDERS):
                    senders.create_task(self._send(number))
            await self._all_fresh(max(_positions(self._ours.store).values()))
            self._done = True

    async def _send(self, number: int) -> None:
        link = await _Link.open(self._ours.server.port)
        for index in range(number, len(self._decisions), _SENDERS):
            due = self._began + index / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            decision = self._decisions[index]
            body = {"events": [{"decision": decision, "type": "click"}]}
            answer = await link.ask(http_post("/v1/events", body, self._ours.key))
            self.acknowledged[decision] = time.perf_counter()
            if msgspec.json.decode(answer)["accepted"] != 1:
                raise BenchError(f"a click was refused: {answer!r}")
        link.close()

    async def _probe(self, sightings: list[Sighting]) -> None:
        link = await _Link.open(self._ours.server.port)
        while not self._done:
            answer = msgspec.json.decode(await link.ask(next(self._asked)))
            position = SnapshotName.parse(answer["snapshot"]).position
            sightings.append(Sighting(time.perf_counter(), position))
            await asyncio.sleep(_PROBE_SECONDS)
        link.close()

    async def _all_fresh(self, last: Position) -> None:
        """Wait until every asking connection has seen a snapshot at or past ``last``."""
        deadline = time.perf_counter() + _LONGEST_SECONDS
        while any(seen[-1].position < last for seen in self.sightings):
            if time.perf_counter() > deadline:
                raise BenchError(f"a click was not learned within {_LONGEST_SECONDS:g} seconds")
            await asyncio.sleep(_PROBE_SECONDS)


class _Link:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> _Link:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer, which must be a 2xx."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        body = await self._reader.readexactly(body_length(head))
        check_success(head + body)
        return body

    def close(self) -> None:
        self._writer.close()


def _decide(ours: Service, count: int) -> list[str]:
    """Make ``count`` decisions of different visitors; their ids."""
    asked = bodies(count)
    for number, body in enumerate(asked):
        body["visitor"] = f"clicker-{number}"
    posts = cycle([http_post("/v1/decide", body, ours.key) for body in asked])
    made: list[str] = []

    def note(_sent: float, _now: float, answer: bytes) -> bool:
        made.append(msgspec.json.decode(body_of(answer))["decision"])
        return len(made) < count

    exchange(ours.server.port, posts, connections=_SENDERS, note=note)
    return made


def _positions(store: SiteStore) -> dict[str, Position]:
    """Where in the log each click is, by decision."""
    log = entries_of(store, after=START, upto=store.tail())
    entries = ((position, decode(data)) for position, data in log)
    return {entry.decision: position for position, entry in entries if isinstance(entry, Event)}


def delays(
    acknowledged: dict[str, float],
    positions: dict[str, Position],
    sightings: list[Sighting],
) -> list[float]:
    """Seconds from each 202 to the first sighting that has learned the click.

    Positions seen through one connection, which one process serves, never run backwards.
    """
    learned = [seen.position for seen in sightings]
    found = []
    for decision, at in acknowledged.items():
        first = bisect_left(learned, positions[decision])
        found.append(max(0.0, sightings[first].at - at))
    return found


def _summary(run: _Run, positions: dict[str, Position]) -> Freshness:
    ordered = sorted(
        delay for seen in run.sightings for delay in delays(run.acknowledged, positions, seen)
    )
    return Freshness(
        clicks=len(run.acknowledged),
        clicks_per_second=len(run.acknowledged) / run.seconds,
        snapshots=len({seen.position for each in run.sightings for seen in each}),
        median=percentile(ordered, 0.5),
        p99=percentile(ordered, 0.99),
        largest=ordered[-1],
    )


def _table(seen: Freshness) -> Table:
    return Table(
        title="freshness: from a click's 202 to a decision by what it taught, in seconds",
        columns=("clicks", "clicks/s", "snapshots", "median s", "p99 s", "largest s"),
        rows=(
            Row(
                "freshness",
                (
                    f"{seen.clicks:,}",
                    f"{seen.clicks_per_second:,.0f}",
                    f"{seen.snapshots}",
                    f"{seen.median:.2f}",
                    f"{seen.p99:.2f}",
                    f"{seen.largest:.2f}",
                ),
            ),
        ),
        notes=(
            f"target: below {TARGET_SECONDS:g} s",
            f"seen through {_PROBES} connections, each deciding every {_PROBE_SECONDS:g} s",
        ),
        values=seen,
    )
