"""The outbox in front of a real Redis that dies, hangs, fills up, turns read-only or is cut off."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from bandit_service.errors import AppendInDoubt, SpoolError, StorageError
from bandit_service.events.entries import START, Decision, Position, decode, encode
from bandit_service.runtime import now_ms
from bandit_service.storage import redis_store as adapter
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.identity import StoreIdentity
from bandit_service.storage.outbox import Outbox
from bandit_service.storage.ports import Doubt
from bandit_service.storage.redis_store import RedisStore
from bandit_service.storage.spool import Spool, Uncertain
from tests.e2e.processes import until
from tests.world import a_decision

pytestmark = pytest.mark.redis

PATIENCE = 20.0
"""Seconds to wait for what must come true."""


class Machine:
    """One machine that serves: a store that trips, a spool, an outbox."""

    def __init__(self, url: str, folder: Path) -> None:
        self.store = RedisStore(url, identity=StoreIdentity(folder, "here"), trips=True)
        self.spool = Spool(folder / "waiting.spool", max_bytes=4_000_000)
        self.outbox = Outbox(self.store, self.spool, clock=now_ms)
        self.site = self.store.site("main")
        self.told: list[bytes] = []

    def append(self, *entries: bytes) -> None:
        """Append, and remember what was acknowledged."""
        self.outbox.append(self.site, entries)
        self.told += entries

    def tend(self) -> bool:
        """Whether the spool was emptied."""
        with suppress(StorageError):
            self.outbox.tend()
        return not self.outbox.away

    def logged(self) -> list[bytes]:
        return [entry for _, entry in self.site.read(START, limit=100_000)]

    def close(self) -> None:
        self.store.close()
        self.spool.close()


@pytest.fixture
def machine(server: EmbeddedRedis, tmp_path: Path) -> Iterator[Machine]:
    with closing(Machine(server.url, tmp_path / "spool")) as made:
        yield made


@contextmanager
def killed(server: EmbeddedRedis) -> Iterator[None]:
    os.kill(server.pid, signal.SIGKILL)
    try:
        yield
    finally:
        until(lambda: _started(server), PATIENCE)


def _started(server: EmbeddedRedis) -> bool:
    try:
        server.start()
    except StorageError:
        return False
    return True


@contextmanager
def paused(server: EmbeddedRedis) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def configured(server: EmbeddedRedis, during: dict[str, str], after: dict[str, str]) -> Any:
    with redis.Redis.from_url(server.url) as client:
        for name, value in during.items():
            client.config_set(name, value)
        try:
            yield
        finally:
            for name, value in after.items():
                client.config_set(name, value)


def full(server: EmbeddedRedis) -> Any:
    return configured(server, {"maxmemory": "1"}, {"maxmemory": "0"})


def refusing(server: EmbeddedRedis) -> Any:
    return configured(server, {"min-replicas-to-write": "3"}, {"min-replicas-to-write": "0"})


@contextmanager
def read_only(server: EmbeddedRedis) -> Iterator[None]:
    with redis.Redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", "1")  # of nobody who listens: it keeps what it has
        try:
            yield
        finally:
            client.replicaof("NO", "ONE")


OUTAGES: dict[str, Callable[[EmbeddedRedis], Any]] = {
    "killed": killed,
    "paused": paused,
    "full": full,
    "read-only": read_only,
    "without its replicas": refusing,
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_what_is_appended_during_an_outage_is_in_the_log_once_and_in_order_afterwards(
    machine: Machine, server: EmbeddedRedis, outage: str
) -> None:
    # given
    machine.append(b"before")

    # when
    with OUTAGES[outage](server):
        for n in range(30):
            machine.append(b"during %d" % n, b"and %d" % n)
        assert machine.outbox.away
        assert machine.outbox.waiting() >= 58
    machine.append(b"right after")
    until(machine.tend, PATIENCE)
    machine.append(b"later")

    # then
    assert machine.logged() == machine.told
    assert machine.outbox.waiting() == 0


@pytest.mark.parametrize("outage", ["killed", "paused"])
def test_nobody_waits_for_a_dead_connection_but_the_first(
    machine: Machine, server: EmbeddedRedis, outage: str
) -> None:
    machine.append(b"before")
    with OUTAGES[outage](server):
        machine.append(b"notices")
        started = time.monotonic()
        for n in range(50):
            machine.append(b"%d" % n)
            with pytest.raises(StorageError):
                machine.site.visits("ann")
        assert time.monotonic() - started < 50 * adapter.HOT_SECONDS / 4


def test_an_append_that_was_carried_out_but_not_answered_is_not_repeated(
    machine: Machine, server: EmbeddedRedis
) -> None:
    # given a Redis that has read the append before it hangs: it answers nobody meanwhile
    machine.append(b"before")
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("CLIENT", "PAUSE", 3_000, "WRITE")
        machine.append(b"in doubt", b"in doubt")  # held by the server until the pause ends
        assert machine.outbox.away
        assert len(machine.spool.uncertain()) == 1
        client.execute_command("CLIENT", "UNPAUSE")

    # when
    until(machine.tend, PATIENCE)

    # then
    assert machine.logged() == machine.told == [b"before", b"in doubt", b"in doubt"]


def test_an_append_whose_answer_was_lost_is_found_in_the_log(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    # given a network that carries what is asked and drops what is answered
    with Road(tmp_path, server) as road, closing(Machine(road.url, tmp_path / "spool")) as machine:
        machine.append(b"before")
        road.swallows = "answers"
        machine.append(b"once", b"twice", b"twice")
        with closing(RedisStore(server.url)) as direct:
            assert direct.site("main").length() == 4

        # when
        road.swallows = ""
        road.close_traffic()
        until(machine.tend, PATIENCE)

        # then
        assert machine.logged() == machine.told


def test_an_append_still_on_its_way_is_cut_off_before_it_is_made_again(
    machine: Machine, server: EmbeddedRedis
) -> None:
    # given an append that the server has not read yet
    machine.append(b"before")
    with paused(server), pytest.raises(AppendInDoubt) as caught:
        machine.site.append_many([b"unread"])
    assert caught.value.server
    assert caught.value.client > 0

    # when it is kept, and made again as soon as the server lives
    machine.outbox.append(machine.site, [b"next"])
    until(machine.tend, PATIENCE)

    # then whatever became of the unread one, it is there once at most, and stays so
    settled = machine.logged()
    assert settled.count(b"next") == 1
    assert settled.count(b"unread") <= 1
    machine.append(b"last")
    assert machine.logged() == [*settled, b"last"]


def test_emptying_that_is_cut_short_anywhere_adds_nothing_twice(
    machine: Machine, server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    machine.append(b"before")
    with killed(server):
        for n in range(20):
            machine.append(b"%d" % n)
    monkeypatch.setattr("bandit_service.storage.outbox.BATCH", 7)

    # when the process dies after the log took a batch and before the spool let go of it
    def die(self: Spool, upto: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            machine.outbox.tend()
    machine.append(b"meanwhile")
    until(machine.tend, PATIENCE)

    # then
    assert machine.logged() == machine.told


def test_an_append_that_comes_into_doubt_while_the_spool_is_emptied_is_settled_first(
    machine: Machine, server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given something that waits, and an append that was carried out and not answered
    with killed(server):
        machine.append(b"waits")
    machine.store.probe()
    after = machine.site.append_many([b"unanswered"])[-1]
    doubt = Doubt(after=Position(after.ms - 1, 0), server="gone", client=1)

    # when it reaches the spool just after that was looked through for doubts
    looked, late = Spool.uncertain, [doubt]

    def look_and_miss(self: Spool) -> list[Uncertain]:
        found = looked(self)
        if late:
            self.put("main", [b"unanswered"], late.pop(), now=1)
        return found

    monkeypatch.setattr(Spool, "uncertain", look_and_miss)
    until(machine.tend, PATIENCE)

    # then
    assert sorted(machine.logged()) == [b"unanswered", b"waits"]


def test_a_new_process_empties_what_a_dead_one_has_left(
    server: EmbeddedRedis, machine: Machine, tmp_path: Path
) -> None:
    machine.append(b"before")
    with killed(server):
        machine.append(b"during")
    machine.close()

    with closing(Machine(server.url, tmp_path / "spool")) as successor:
        successor.append(b"not before its elders")
        assert successor.outbox.away
        until(successor.tend, PATIENCE)
        assert successor.logged() == [b"before", b"during", b"not before its elders"]


def test_two_machines_empty_their_spools_side_by_side(
    server: EmbeddedRedis, machine: Machine, tmp_path: Path
) -> None:
    with closing(Machine(server.url, tmp_path / "elsewhere")) as other:
        with killed(server):
            for n in range(40):
                machine.append(b"here %d" % n)
                other.append(b"there %d" % n)
        until(lambda: machine.tend() & other.tend(), PATIENCE)

        logged = machine.logged()
        assert [e for e in logged if e.startswith(b"here")] == machine.told
        assert [e for e in logged if e.startswith(b"there")] == other.told
        assert len(logged) == 80


def test_a_full_spool_says_so_and_keeps_what_it_took(
    machine: Machine, server: EmbeddedRedis
) -> None:
    entry = b"x" * 20_000
    with killed(server):
        with suppress(SpoolError):
            while len(machine.told) < 1_000:
                machine.append(b"%4d" % len(machine.told) + entry)
        assert 100 < len(machine.told) < 1_000
        with pytest.raises(SpoolError, match="full") as caught:
            machine.append(entry)
        assert caught.value.status == 503
        assert caught.value.hint
    until(machine.tend, PATIENCE)

    assert machine.logged() == machine.told
    machine.append(b"well again")


def test_a_redis_that_comes_back_empty_gets_nothing_until_it_is_accepted(
    machine: Machine, server: EmbeddedRedis
) -> None:
    # given
    machine.append(b"before")
    before = machine.store.identity
    with killed(server):
        machine.append(b"during")
    with redis.Redis.from_url(server.url) as client:
        client.flushall()

        # when
        for _ in range(5):
            assert not machine.tend()
        machine.append(b"after")

        # then
        assert client.keys("*") == []
    assert machine.outbox.waiting() == 2

    # and when a person says that it is right
    machine.store.accept()
    until(machine.tend, PATIENCE)
    assert machine.logged() == [b"during", b"after"]
    assert machine.store.identity != before


def test_after_a_failover_the_new_primary_gets_what_waited(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    # given two servers, one a copy of the other, behind one address that leads to the first
    with EmbeddedRedis(data_dir=tmp_path / "other") as other, Road(tmp_path, server) as road:
        with closing(Machine(road.url, tmp_path / "spool")) as machine:
            machine.append(b"one")
            _copy(server, other)

            # when the first is lost, and the address leads to the second
            road.close_traffic()
            machine.append(b"two")
            road.leads_to(other)
            until(machine.tend, PATIENCE)
            machine.append(b"three")

            # then
            assert machine.logged() == [b"one", b"two", b"three"]
        with closing(RedisStore(other.url)) as direct:
            assert direct.site("main").length() == 3


def test_a_network_that_swallows_everything_costs_one_wait_and_loses_nothing(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    with Road(tmp_path, server) as road, closing(Machine(road.url, tmp_path / "spool")) as machine:
        machine.append(b"before")
        road.swallows = "questions answers"
        started = time.monotonic()
        for n in range(20):
            machine.append(b"%d" % n)
        assert time.monotonic() - started < 2 * adapter.HOT_SECONDS + 2
        road.swallows = ""
        road.close_traffic()
        until(machine.tend, PATIENCE)

        assert machine.logged() == machine.told


def _copy(source: EmbeddedRedis, target: EmbeddedRedis) -> None:
    with redis.Redis.from_url(source.url) as here, redis.Redis.from_url(target.url) as there:
        keys: Any = here.keys("*")
        for key in keys:
            dumped: Any = here.dump(key)
            there.restore(key, 0, dumped)


class Road:
    """A socket that leads to a server, through this process, which can break it off."""

    def __init__(self, folder: Path, server: EmbeddedRedis) -> None:
        self.path = folder / "road.sock"
        self.url = f"unix://{self.path}"
        self.swallows = ""
        """Which of ``questions`` and ``answers`` are lost on the way."""
        self._target = server
        self._pairs: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Road:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.close_traffic()

    def leads_to(self, server: EmbeddedRedis) -> None:
        self._target = server

    def close_traffic(self) -> None:
        """Break off every connection."""
        pairs, self._pairs = self._pairs, []
        for one in pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target.url.removeprefix("unix://"))
                self._pairs += [near, far]
                for way in ((near, far, "questions"), (far, near, "answers")):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, what: str) -> None:
        with source, suppress(OSError):
            while data := source.recv(65_536):
                if what not in self.swallows:
                    target.sendall(data)


def test_once_redis_hangs_every_call_is_refused_at_once_until_it_is_found_well(
    machine: Machine, server: EmbeddedRedis
) -> None:
    machine.append(b"before")
    with paused(server):
        with pytest.raises(StorageError):
            machine.site.pulse()
        started = time.monotonic()
        for call in (machine.site.pulse, machine.site.tail, machine.store.sites):
            with pytest.raises(StorageError):
                call()
        assert time.monotonic() - started < adapter.SERVING_SECONDS / 2
        assert machine.store.away
    machine.store.probe()

    assert machine.store.sites() == ["main"]


def test_a_store_that_does_not_trip_tries_every_call_for_itself(server: EmbeddedRedis) -> None:
    with closing(RedisStore(server.url)) as store:
        with killed(server), pytest.raises(StorageError):
            store.sites()

        assert not store.away
        assert store.sites() == []


def test_a_decision_that_waited_says_in_the_log_how_long(
    machine: Machine, server: EmbeddedRedis
) -> None:
    # given
    decided = decision()
    machine.append(encode(decided))
    with killed(server):
        machine.append(encode(decided), b"not an entry")
        kept = now_ms()
        until(lambda: now_ms() >= kept + 50, PATIENCE)
    until(machine.tend, PATIENCE)

    # then it is as it was but for that, and what nobody can read is as it was
    straight, waited, unread = machine.logged()
    assert straight == encode(decided)
    assert unread == b"not an entry"
    entry = decode(waited)
    assert isinstance(entry, Decision)
    assert 50 <= entry.waited < PATIENCE * 1000
    assert msgspec.structs.replace(entry, waited=0) == decided


def decision() -> Decision:
    return a_decision(at=5, arms=["a@1", "b@1"], probabilities=[0.1 + 0.2, 0.7], reason="learned")
