"""The service over HTTP while its Redis hangs, dies, and comes back without its data."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from bandit_service.events.entries import START, Decision, Event, decode
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.redis_store import RedisStore
from tests.e2e.processes import Caller, Program, until

pytestmark = [pytest.mark.redis, pytest.mark.slow]


@pytest.fixture
def program(server: EmbeddedRedis, tmp_path: Path) -> Iterator[Program]:
    """A service on a Redis that this test starts and stops."""
    folder = tmp_path / "service"
    folder.mkdir()
    program = Program(folder)
    program.environ["REDIS_URL"] = server.url
    try:
        yield program
    finally:
        program.stop()
        assert program.leftovers() == []


class Visits:
    """Visitors who decide and click, and what they were told."""

    def __init__(self, callers: list[Caller]) -> None:
        self._callers = callers
        self.decisions: dict[str, dict[str, Any]] = {}
        self.events: list[str] = []

    def make(self, count: int, label: str) -> None:
        """Decide and report by turns over all connections."""
        for n in range(count):
            asking, telling = (self._callers[(n + k) % len(self._callers)] for k in (0, 1))
            status, answer = asking.call(
                "POST", "/v1/decide", {"placement": "the-long-summer", "visitor": f"{label}-{n}"}
            )
            assert status == 200, answer
            assert answer["logged"], answer
            self.decisions[answer["decision"]] = answer
            name = f"{label}-{n}"
            event = {"decision": answer["decision"], "type": "click", "id": name}
            status, taken = telling.call("POST", "/v1/events", {"events": [event]})
            assert (status, taken["accepted"]) == (202, 1), taken
            self.events.append(name)

    def are_logged_once(self, server: EmbeddedRedis) -> None:
        """Whether the log has all of it, as it was told, each event after its decision."""
        with closing(RedisStore(server.url)) as store:
            rows = store.site("main").read(START, limit=100_000)
        entries = [decode(data) for _, data in rows]
        made = [entry for entry in entries if isinstance(entry, Decision)]
        heard = [entry for entry in entries if isinstance(entry, Event)]
        assert Counter(entry.id for entry in made) == Counter(list(self.decisions))
        assert Counter(entry.id for entry in heard) == Counter(self.events)
        for entry in made:
            told = self.decisions[entry.id]
            assert entry.propensity == told["probability"]
            assert entry.arm.startswith(told["variant"]["id"])
        place = {entry.id: n for n, entry in enumerate(entries) if isinstance(entry, Decision)}
        assert all(
            place[entry.decision] < n for n, entry in enumerate(entries) if isinstance(entry, Event)
        )


def seeded(program: Program) -> tuple[Visits, Caller]:
    """A service with the demo catalog, visitors on several connections, and one connection more."""
    catalog = Path(__file__).parents[2] / "config" / "catalog.toml"
    (program.folder / "config" / "catalog.toml").write_text(catalog.read_text())
    program.serve()
    key = program.key("site")
    callers = [program.caller(key) for _ in range(6)]
    return Visits(callers), program.caller("")


def is_(status: str, watcher: Caller) -> bool:
    return bool(watcher.call("GET", "/readyz")[1].get("status") == status)


def test_visitors_notice_nothing_of_a_redis_that_hangs_and_of_one_that_dies(
    program: Program, server: EmbeddedRedis
) -> None:
    # given
    visits, watcher = seeded(program)
    visits.make(60, "before")

    # when it hangs
    os.kill(server.pid, signal.SIGSTOP)
    started = time.monotonic()
    visits.make(120, "hanging")
    took = time.monotonic() - started

    # then only the first call of each process has waited for it
    assert took < 10
    until(lambda: is_("spooling", watcher), 20)
    assert watcher.call("GET", "/readyz")[1]["waiting"] > 100
    figures = watcher.call("GET", "/metrics")[1].decode()
    assert "bandit_redis_away 1.0" in figures
    os.kill(server.pid, signal.SIGCONT)
    until(lambda: is_("ready", watcher), 20)
    visits.make(30, "between")

    # and when it dies and is started again
    os.kill(server.pid, signal.SIGKILL)
    visits.make(120, "dead")
    until(lambda: is_("spooling", watcher), 20)
    server.start()
    until(lambda: is_("ready", watcher), 20)
    visits.make(30, "after")

    # then
    visits.are_logged_once(server)
    assert "bandit_spooled_entries 0.0" in watcher.call("GET", "/metrics")[1].decode()


def test_a_redis_without_its_data_is_served_around_until_it_is_accepted(
    program: Program, server: EmbeddedRedis, tmp_path: Path
) -> None:
    # given
    visits, watcher = seeded(program)
    visits.make(20, "before")

    # when
    os.kill(server.pid, signal.SIGKILL)
    visits.make(10, "dead")
    shutil.rmtree(tmp_path / "data" / "redis" / "appendonlydir")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        until(lambda: watcher.call("GET", "/readyz")[1].get("problem") == "store_replaced", 20)
        visits.make(10, "empty")

        # then it can be sent visitors, and says what is wrong
        assert is_("spooling", watcher)
        assert watcher.call("GET", "/readyz")[0] == 200
        assert "bandit_redis_away 1.0" in watcher.call("GET", "/metrics")[1].decode()
        assert client.keys("*") == []
    refused = program.run("keys", "list")
    assert refused.returncode == 3
    assert "spool accept" in refused.stderr
    assert "40 wait" in program.run("spool", "status").stdout

    # and when a person says that it is right, everything begins anew, with what waited
    assert program.run("spool", "accept", "--yes").returncode == 0
    until(lambda: is_("ready", watcher), 20)
    until(lambda: "Nothing waits" in program.run("spool", "status").stdout, 20)
    site = program.caller(program.key("site"))
    body = {"placement": "anew", "candidates": [{"id": "a", "headline": "A headline"}]}
    status, answer = site.call("POST", "/v1/decide", body)
    assert (status, answer["logged"]) == (200, True)
