"""``decide``: requests a second, beside a Flask view that does nothing.

Rounds alternate between the two servers, each kept busy by the same generator over the same number
of connections; the ratio is taken round by round. A round with the learner on runs at an outcome
window of two seconds, so that learning keeps up with the decisions of this very round as it would
after hours of such traffic, and snapshots are swapped several times in it; before the other
server's turn the learner is left to finish.
"""

from __future__ import annotations

import time
from itertools import cycle
from typing import Final

import msgspec

from bandit_service.errors import SnapshotError
from bandit_service.storage.ports import SiteStore
from bench.load import Load, run_load
from bench.measures import BenchError, Row, Scale, Spread, Table, cpu_seconds
from bench.servers import WORKERS, Server, Service, noop_server, service
from bench.traffic import bodies, http_post

CONNECTIONS: Final = 32
TARGET: Final = 0.6
"""Least ratio that we hold ourselves to."""
WINDOW_SECONDS: Final = 2.0
"""Outcome window where the learner is on."""
UNKNOWN: Final = "not known here"
_SETTLE_SECONDS: Final = 30.0
_REQUESTS: Final = 5_000


class Round(msgspec.Struct, frozen=True):
    """One server's turn. Server time is of all its processes, Redis included."""

    load: Load
    server_us: float | None
    """Processor time of the server per request, in microseconds."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The two servers, turn by turn."""

    name: str
    noop: list[Round]
    ours: list[Round]
    swaps: int
    """Rounds of ours after which another snapshot served than before."""

    @property
    def ratio(self) -> Spread:
        """Our requests a second over the reference's."""
        return Spread.of_ratios(_rates(self.ours), _rates(self.noop))

    @property
    def cpu_ratio(self) -> Spread | None:
        """The reference's processor time over ours; None where it is not known."""
        ours, noop = _costs(self.ours), _costs(self.noop)
        return Spread.of_ratios(noop, ours) if ours and noop else None


def measure(scale: Scale) -> Table:
    """Compare without and with a learner."""
    with noop_server() as noop:
        with service(learn=False) as plain:
            first = _compare("decide", noop, plain, scale, learning=False)
        with service(learn=True, window_seconds=WINDOW_SECONDS) as learning:
            second = _compare("decide, learner on", noop, learning, scale, learning=True)
    return _table([first, second])


def _compare(name: str, noop: Server, ours: Service, scale: Scale, *, learning: bool) -> Comparison:
    posts = [http_post("/v1/decide", body, ours.key) for body in bodies(_REQUESTS)]
    reference: list[Round] = []
    measured: list[Round] = []
    swaps = 0
    for _ in range(scale.rounds):
        reference.append(_round(noop, posts, scale.seconds))
        before = _serving(ours.store)
        measured.append(_round(ours.server, posts, scale.seconds))
        if learning:
            _settle(ours.store)
            swaps += _serving(ours.store) != before
    if learning and not swaps:
        raise BenchError("the learner was on, but no snapshot was swapped")
    return Comparison(name=name, noop=reference, ours=measured, swaps=swaps)


def _round(server: Server, posts: list[bytes], seconds: float) -> Round:
    before = cpu_seconds(server.pid)
    load = run_load(server.port, cycle(posts), connections=CONNECTIONS, seconds=seconds)
    after = cpu_seconds(server.pid)
    spent = None if before is None or after is None else (after - before) / load.replies * 1e6
    return Round(load, spent)


def _serving(store: SiteStore) -> str:
    head = store.head()
    if head is None:
        raise SnapshotError("nothing serves")
    return head.name


def _settle(store: SiteStore) -> None:
    """Wait until the learner has published everything that was decided."""
    last = store.tail()
    deadline = time.monotonic() + WINDOW_SECONDS + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        head = store.head()
        if head is not None and head.position.ms > last.ms + WINDOW_SECONDS * 1000:
            return
        time.sleep(0.05)
    raise BenchError(f"the learner did not catch up within {_SETTLE_SECONDS:g} seconds")


def _table(comparisons: list[Comparison]) -> Table:
    rounds = [each for one in comparisons for each in (*one.noop, *one.ours)]
    cost = Spread.of(each.load.generator_us for each in rounds)
    return Table(
        title=f"decide: POST /v1/decide, {CONNECTIONS} connections, {WORKERS} web processes",
        columns=("requests/s", "ratio to no-op", "p50 ms", "p99 ms", "server CPU µs", "CPU ratio"),
        rows=tuple(row for one in comparisons for row in _rows(one)),
        notes=(
            f"target: a ratio of at least {TARGET:g}; median (least to largest round)",
            f"the generator took {cost.shown(1)} µs of processor time a request",
            f"alone on a core it could send {1e6 / cost.median:,.0f} requests/s at most",
            "server CPU µs: all processes of the server, per request, Redis and learner included",
            "CPU ratio: the no-op's over ours; what else runs on the machine moves it far less",
        ),
        values=comparisons,
    )


def _rows(one: Comparison) -> list[Row]:
    saved = one.cpu_ratio
    return [
        Row("no-op Flask view", _cells(one.noop, "1", "1")),
        Row(one.name, _cells(one.ours, one.ratio.shown(), saved.shown() if saved else UNKNOWN)),
    ]


def _cells(rounds: list[Round], ratio: str, cpu_ratio: str) -> tuple[str, ...]:
    spent = _costs(rounds)
    return (
        Spread.of(_rates(rounds)).shown(0),
        ratio,
        Spread.of(each.load.p50_ms for each in rounds).shown(),
        Spread.of(each.load.p99_ms for each in rounds).shown(),
        Spread.of(spent).shown(0) if spent else UNKNOWN,
        cpu_ratio,
    )


def _costs(rounds: list[Round]) -> list[float]:
    return [each.server_us for each in rounds if each.server_us is not None]


def _rates(rounds: list[Round]) -> list[float]:
    return [each.load.per_second for each in rounds]
