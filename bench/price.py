"""``price``: where the time of a decision goes, in microseconds a call, in this process.

Every part is the package's own function on the same kind of request; the store is an embedded
Redis. The parts are timed in turn, round after round, each for a fixed time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import msgspec
import redis

from bandit_service.catalog.personas import Resolver
from bandit_service.events.entries import Decision, decode, encode
from bandit_service.events.identity import DECISION_ENTROPY
from bandit_service.events.visits import features as visit_features
from bandit_service.opening import opened_store
from bandit_service.policy.chooser import Chooser, draw
from bandit_service.policy.features import shared_line
from bandit_service.policy.snapshot import genesis
from bandit_service.services import Services
from bandit_service.serving.decide import decide
from bandit_service.serving.described import Descriptions
from bandit_service.serving.requests import DecideRequest, check_request
from bandit_service.serving.view import SiteView
from bench.measures import BenchError, Row, Scale, Spread, Table
from bench.models import Models
from bench.servers import SITE, settings_in
from bench.traffic import PLACEMENT, bodies

Part = tuple[str, Callable[[], object]]

_PIPELINED: Final = 20
_CLIENT_STREAM: Final = "bench:redis-py"


class Bench(NamedTuple):
    """A site on a real Redis, and a plain client of that Redis."""

    services: Services
    view: SiteView
    client: Any


class Price(msgspec.Struct, frozen=True):
    """What one part takes, in microseconds."""

    part: str
    us: Spread


def measure(scale: Scale) -> Table:
    """Time every part in every round."""
    with _bench() as bench, closing(Models(scale)) as models:
        parts = [*_choosing(bench), *_storing(bench), *_whole(bench), *models.calls()]
        timed: dict[str, list[float]] = {name: [] for name, _ in parts}
        for _ in range(max(2, scale.rounds)):
            for name, call in parts:
                timed[name].append(_microseconds(call, scale.price_seconds))
            for name, took in models.whole():
                timed.setdefault(name, []).append(took())
        notes = models.notes()
    prices = [Price(name, Spread.of(values)) for name, values in timed.items()]
    return Table(
        title="price: microseconds a call, in one process",
        columns=("µs",),
        rows=tuple(Row(each.part, (each.us.shown(1),)) for each in prices),
        notes=("median (least to largest round)", *notes),
        values=prices,
    )


@contextmanager
def _bench() -> Iterator[Bench]:
    with TemporaryDirectory(prefix="bandit-bench-") as folder:
        settings = settings_in(Path(folder))
        with opened_store(settings) as store, redis.Redis.from_url(store.url) as client:
            services = Services(settings, store)
            services.ensure_snapshot(SITE)
            services.seed(SITE)
            services.refresh()
            yield Bench(services, services.view(SITE), client)


def _choosing(bench: Bench) -> list[Part]:
    view, policy = bench.view, bench.view.settings.policy
    asked = [msgspec.convert(body, DecideRequest) for body in bodies(400)]
    request, turn = asked[0], cycle(asked)
    raw = msgspec.json.encode(request)
    decoder = msgspec.json.Decoder(DecideRequest)
    now = bench.services.clock()
    candidates = view.shelves[PLACEMENT].candidates(now)
    entry = _decision(bench, request)
    # Drawing again and again from one chooser that nobody else uses.
    chooser = Chooser(genesis(view.settings))
    line = shared_line(entry.persona, entry.traits, entry.context)
    given = chooser.distribution(candidates, line)
    resolver = Resolver(bench.services.editor(SITE, by="bench").personas())
    numbers = count()

    def fresh() -> Descriptions:
        return Descriptions(resolver, view.tags_of)

    return [
        ("decode a request", lambda: decoder.decode(raw)),
        ("check its limits", lambda: check_request(next(turn))),
        ("pseudonym", lambda: view.secret.pseudonym("visitor-1")),
        ("describe, kept", lambda: view.descriptions.of(next(turn), now)),
        ("describe, new words", lambda: fresh().of(next(turn), now)),
        ("visit features", lambda: visit_features(None, 1, now)),
        ("shared line", lambda: shared_line(entry.persona, entry.traits, entry.context)),
        ("distribution, kept", lambda: chooser.distribution(candidates, line)),
        (
            "distribution, new context",
            lambda: chooser.distribution(candidates, f"{line} n={next(numbers)}"),
        ),
        ("draw", lambda: draw(policy, view.secret.salt, entry.unit, candidates, given)),
        ("decision id", lambda: view.secret.new_decision(now, bytes(DECISION_ENTROPY))),
        ("encode a decision entry", lambda: encode(entry)),
    ]


def _storing(bench: Bench) -> list[Part]:
    store, client = bench.view.store, bench.client
    data = encode(_decision(bench, msgspec.convert(bodies(1)[0], DecideRequest)))
    many = [data] * _PIPELINED
    pseudonym = bench.view.secret.pseudonym("visitor-1")
    return [
        ("append, the store", lambda: store.append(data)),
        (f"append, the store, {_PIPELINED} at once", lambda: store.append_many(many)),
        ("append, redis-py", lambda: client.xadd(_CLIENT_STREAM, {b"e": data})),
        ("read the visits of a visitor", lambda: store.visits(pseudonym)),
    ]


def _whole(bench: Bench) -> list[Part]:
    services, view = bench.services, bench.view
    asked = [msgspec.convert(body, DecideRequest) for body in bodies(2_000)]
    named = cycle(asked)
    nameless = cycle([msgspec.structs.replace(each, visitor=None) for each in asked])

    def made(request: DecideRequest) -> object:
        entropy = services.entropy(DECISION_ENTROPY)
        return decide(view, request, now=services.clock(), entropy=entropy)

    # The parts below are those of contexts whose distributions are kept: most requests, most times.
    for each in (*asked, *(msgspec.structs.replace(each, visitor=None) for each in asked[:1_000])):
        made(each)
    return [
        ("decide, all of it", lambda: made(next(named))),
        ("decide, no visitor named", lambda: made(next(nameless))),
    ]


def _decision(bench: Bench, request: DecideRequest) -> Decision:
    """What ``decide`` logs for a request."""
    services = bench.services
    entropy = services.entropy(DECISION_ENTROPY)
    store = bench.view.store
    before = store.tail()
    decide(bench.view, request, now=services.clock(), entropy=entropy)
    ((_, data),) = store.read(before, limit=1)
    entry = decode(data)
    if not isinstance(entry, Decision):
        raise BenchError("a decision was not logged")
    return entry


def _microseconds(call: Callable[[], object], seconds: float) -> float:
    """Time of one call, from calling for about so long."""
    calls, clock = 0, time.perf_counter
    started = clock()
    end = started + seconds
    while clock() < end:
        for _ in range(20):
            call()
        calls += 20
    return (clock() - started) / calls * 1e6
