"""SIGTERM under traffic: requests in flight are answered, nothing acknowledged is missing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bandit_service.events.entries import Decision, Position, Tick, decode, encode
from bandit_service.folds.site import FoldState
from bandit_service.policy.snapshot import load_checkpoint
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.redis_site import RedisSite
from bandit_service.storage.redis_store import RedisStore
from tests.chaos import harness
from tests.chaos.auditor import missing, rows_of
from tests.chaos.processes import Service, processes_naming
from tests.chaos.traffic import Traffic
from tests.e2e.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.redis]

STOP_SECONDS = 10.0


class SlowClient:
    """Sends the head of a decide, and its body when it is told to.

    It asks to be told to continue: that answer is the sign that a web process waits for the body,
    so that the request is in flight and not in some queue.
    """

    def __init__(self, port: int, key: str) -> None:
        self._body = json.dumps({"placement": "film", "context": {"device": "mobile"}}).encode()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=STOP_SECONDS)
        head = (
            "POST /v1/decide HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\n"
            f"Authorization: Bearer {key}\r\nContent-Length: {len(self._body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        assert self._socket.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def give_up(self) -> None:
        """Leave without having sent the rest."""
        self._socket.close()

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Send the rest, and read the answer to its end."""
        with self._socket:
            self._socket.sendall(self._body)
            received = b""
            while piece := self._socket.recv(64):
                received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


def under_traffic(service: Service, key: str) -> Traffic:
    """Traffic that has been answered for a while."""
    traffic = Traffic(service.port, key, seed=5, threads=4, beat=0.02)
    traffic.start()
    until(lambda: len(traffic.ledger.accepted) > 100, 20)
    return traffic


def test_serve_answers_what_is_in_flight_and_leaves_nothing_running(service: Service) -> None:
    serving = service.serve()
    harness.register(service)
    key = harness.site_key(service)
    traffic = under_traffic(service, key)
    slow = SlowClient(service.port, key)

    began = time.monotonic()
    serving.send_signal(signal.SIGTERM)
    until(lambda: not service.accepts(), STOP_SECONDS)
    status, answer = slow.finish()
    code = serving.wait(STOP_SECONDS)
    seconds = time.monotonic() - began
    traffic.stop()

    assert code == 0
    assert seconds < STOP_SECONDS
    assert status == 200
    assert processes_naming(service.folder) == []
    ledger = traffic.ledger
    assert ledger.wrong == []
    with EmbeddedRedis(data_dir=service.data) as redis:
        store = RedisStore(redis.url)
        rows = rows_of(service.history(store.site("main")))
        store.close()
    assert missing(ledger, rows) == 0
    told = {answer.id for answer in ledger.answers} | {answer["decision"]}
    logged = [entry for _, data in rows if isinstance(entry := decode(data), Decision)]
    asked = [entry for entry in logged if entry.traits or entry.context]  # not by the preparations
    assert {entry.id for entry in asked} == told  # no answer was cut after its append


def test_serve_does_not_wait_for_clients_that_never_finish(service: Service) -> None:
    serving = service.serve()
    harness.register(service)
    key = harness.site_key(service)
    slow = SlowClient(service.port, key)

    serving.send_signal(signal.SIGTERM)

    assert serving.wait(STOP_SECONDS) == 0
    assert processes_naming(service.folder) == []
    slow.give_up()


@pytest.fixture
def elsewhere() -> Iterator[EmbeddedRedis]:
    """A Redis that is not the service's own."""
    with (
        tempfile.TemporaryDirectory(prefix="bandit-redis-") as name,
        EmbeddedRedis(data_dir=Path(name)) as redis,
    ):
        yield redis


def stops_in_time(service: Service, serving: subprocess.Popen[str], redis: int) -> None:
    """Whether ``serve`` stops by itself, and all of it, while Redis hangs."""
    os.kill(redis, signal.SIGSTOP)
    began = time.monotonic()
    serving.send_signal(signal.SIGTERM)
    code = serving.wait(2 * STOP_SECONDS)
    seconds = time.monotonic() - began
    assert code == 0
    assert seconds < STOP_SECONDS
    assert processes_naming(service.folder) == []


def test_serve_stops_in_time_while_its_redis_elsewhere_hangs(
    service: Service, elsewhere: EmbeddedRedis
) -> None:
    # given several sites, so that there is more than one to wait for
    service.environ["REDIS_URL"] = elsewhere.url
    store = RedisStore(elsewhere.url)
    for site in ("a", "b", "c"):
        store.register(site)
    serving = service.serve()
    until(lambda: all(store.site(name).head() is not None for name in ("a", "b", "c")), 20)
    for site in ("a", "b", "c") * 50:  # there is something to leave a checkpoint of
        store.site(site).append(encode(Tick(at=1)))
    store.close()

    try:
        stops_in_time(service, serving, elsewhere.pid)
    finally:
        os.kill(elsewhere.pid, signal.SIGCONT)


def test_serve_stops_in_time_while_its_own_redis_hangs_and_keeps_what_that_acknowledged(
    service: Service,
) -> None:
    serving = service.serve()
    harness.register(service)
    traffic = under_traffic(service, harness.site_key(service))
    traffic.stop()
    (redis,) = service.pids("redis")

    stops_in_time(service, serving, redis)

    with (
        EmbeddedRedis(data_dir=service.data) as again,
        closing(RedisStore(again.url)) as store,
    ):
        assert missing(traffic.ledger, rows_of(store.site("main"))) == 0


def checkpointed(site: RedisSite) -> Position:
    """How far the checkpoint goes."""
    return load_checkpoint(site.checkpoint() or b"", FoldState).snapshot.position


def test_learn_alone_leaves_a_checkpoint_of_all_it_has_read(service: Service) -> None:
    service.serve("--no-learn")
    harness.register(service)
    key = harness.site_key(service)
    store = RedisStore(EmbeddedRedis(data_dir=service.data).url)
    site = store.site("main")
    learning = service.start("learn")
    traffic = under_traffic(service, key)

    # when it is told to stop while entries keep coming
    before = site.head()
    until(lambda: site.head() != before, 20)
    began = time.monotonic()
    learning.send_signal(signal.SIGTERM)
    assert learning.wait(STOP_SECONDS) == 0
    assert time.monotonic() - began < STOP_SECONDS

    # then its checkpoint goes as far as what serves
    head = site.head()
    assert head is not None
    assert checkpointed(site) == head.position

    # and, where nothing more comes, to the end of the log
    traffic.stop()
    again = service.start("learn")
    until(lambda: (found := site.head()) is not None and found.position == site.tail(), 20)
    tail = site.tail()
    again.send_signal(signal.SIGTERM)
    assert again.wait(STOP_SECONDS) == 0
    assert checkpointed(site) >= tail
    assert missing(traffic.ledger, rows_of(service.history(site))) == 0
    store.close()
