"""``client``: what a decision costs the website that asks, by what it asks with.

One thread, one keep-alive connection, the same bodies, decoded into the same type, round by round.
``http.client`` and ``httpx`` send each body and decode the answer, and do nothing else that the
client does: no deadline over the whole of it, no retries, no breaker. Imports are timed in
interpreters of their own, by their processor time.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from typing import Any, Final

import httpx
import msgspec

from bandit_service.client import DEFAULT, Client, DecideAnswer, Visitor
from bench.measures import BenchError, Row, Scale, Spread, Table
from bench.servers import WORKERS, Service, service
from bench.traffic import PLACEMENT, Body, bodies

Ask = Callable[[Body], DecideAnswer]

IMPORTS: Final = {
    "client": "bandit_service.client",
    "http.client": "http.client",
    "httpx": "httpx",
}
"""What each row imports."""
PATIENT_SECONDS: Final = 10.0
_REQUESTS: Final = 2_000
_WARM_UP: Final = 50
_TIMED: Final = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"


class Asked(msgspec.Struct, frozen=True):
    """One round of one row."""

    per_second: float
    us: float
    """Processor time of the asking process a decision, in microseconds."""
    import_ms: float


def measure(scale: Scale) -> Table:
    """Ask with each in every round."""
    found: dict[str, list[Asked]] = {name: [] for name in IMPORTS}
    with service(learn=False) as ours, _askers(ours) as askers:
        for _ in range(scale.rounds):
            for name, ask in askers.items():
                found[name].append(_round(ask, scale.seconds, _import_ms(IMPORTS[name])))
    faster = Spread.of_ratios(
        [each.per_second for each in found["client"]], [each.per_second for each in found["httpx"]]
    )
    return Table(
        title=f"client: POST /v1/decide, one connection, {WORKERS} web processes",
        columns=("requests/s", "µs of its own", "import ms"),
        rows=tuple(Row(name, _cells(rounds)) for name, rounds in found.items()),
        notes=(
            "median (least to largest round)",
            f"the client makes {faster.shown()} times as many decisions a second as httpx alone",
        ),
        values=found,
    )


@contextmanager
def _askers(ours: Service) -> Iterator[dict[str, Ask]]:
    url, decoder = f"http://127.0.0.1:{ours.server.port}", msgspec.json.Decoder(DecideAnswer)
    headers = {"Authorization": f"Bearer {ours.key}", "Content-Type": "application/json"}
    with ExitStack() as stack:
        client = stack.enter_context(Client(url, ours.key, deadline=PATIENT_SECONDS, strict=True))
        foreign = stack.enter_context(httpx.Client(base_url=url, headers=headers))
        plain = http.client.HTTPConnection("127.0.0.1", ours.server.port)
        stack.callback(plain.close)

        def by_client(body: Body) -> DecideAnswer:
            return client.decide(
                PLACEMENT, Visitor(body["visitor"], None, body["traits"], body["context"])
            )

        def by_http_client(body: Body) -> DecideAnswer:
            plain.request("POST", "/v1/decide", msgspec.json.encode(body), headers)
            return decoder.decode(plain.getresponse().read())

        def by_httpx(body: Body) -> DecideAnswer:
            return decoder.decode(
                foreign.post("/v1/decide", content=msgspec.json.encode(body)).content
            )

        yield {"client": by_client, "http.client": by_http_client, "httpx": by_httpx}


def _round(ask: Ask, seconds: float, import_ms: float) -> Asked:
    sent: Iterator[Any] = cycle(bodies(_REQUESTS))
    for _ in range(_WARM_UP):
        ask(next(sent))
    asked, spent, began = 0, time.process_time(), time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        if ask(next(sent)).reason == DEFAULT:
            raise BenchError("a default was counted as a decision")
        asked += 1
    return Asked(asked / took, (time.process_time() - spent) / asked * 1e6, import_ms)


def _import_ms(module: str) -> float:
    """Processor time of importing a module into an interpreter of its own."""
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", _TIMED.format(module)], capture_output=True, text=True, check=True
    )
    return float(done.stdout) * 1e3


def _cells(rounds: list[Asked]) -> tuple[str, ...]:
    return (
        Spread.of(each.per_second for each in rounds).shown(0),
        Spread.of(each.us for each in rounds).shown(0),
        Spread.of(each.import_ms for each in rounds).shown(0),
    )
