"""Keys in real worker processes: what is promised of a change holds in all of them."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bandit_service.access import NOTICED_SECONDS, digest_of
from bandit_service.runtime import now_ms
from bandit_service.serving.keys import KeyKeeper
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.redis_store import RedisStore
from tests.e2e.processes import Caller, Program, until

pytestmark = pytest.mark.slow

CONNECTIONS = 40
"""New connections in a row, spread by the kernel over the workers."""
SHOP = "https://shop.example"
DECIDE = {"placement": "p", "candidates": [{"id": "a", "headline": "A"}]}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.stop()


def statuses(program: Program, key: str, count: int = CONNECTIONS) -> set[int]:
    """What a key is answered over so many connections of its own."""
    found = set()
    for _ in range(count):
        caller = Caller(program.port, key)
        try:
            found.add(caller.call("POST", "/v1/decide", DECIDE)[0])
        finally:
            caller.close()
    return found


@pytest.mark.redis
def test_a_revoked_key_is_refused_by_every_worker_within_two_seconds(program: Program) -> None:
    # given a key at the slowest poll that is allowed, known to both workers, also as it is kept
    # by connections that stay open
    program.environ["BANDIT_POLL_SECONDS"] = "1"
    program.serve("--no-learn", "--no-seed-catalog")
    key, other = program.key("site"), program.key("site")
    until(lambda: statuses(program, key) == {200}, 10)
    open_ones = [program.caller(key) for _ in range(10)]
    assert {c.call("POST", "/v1/decide", DECIDE)[0] for c in open_ones} == {200}

    # when it is revoked
    with (
        EmbeddedRedis(data_dir=program.folder / "data") as redis,
        closing(RedisStore(redis.url)) as store,
    ):
        KeyKeeper(store, clock=now_ms).revoke(digest_of(key)[:8])
        revoked = time.monotonic()
    until(lambda: statuses(program, key, 5) == {401}, NOTICED_SECONDS)
    until(lambda: time.monotonic() >= revoked + NOTICED_SECONDS, NOTICED_SECONDS + 1)

    # then
    assert statuses(program, key) == {401}
    assert {c.call("POST", "/v1/decide", DECIDE)[0] for c in open_ones} == {401}
    assert statuses(program, other) == {200}


@pytest.mark.redis
def test_while_what_signs_is_rotated_no_worker_refuses_the_id_of_another(
    program: Program,
) -> None:
    # given decisions of before the rotation
    program.serve("--no-learn", "--no-seed-catalog")
    key = program.key("site")
    until(lambda: statuses(program, key) == {200}, 10)
    decided: list[str] = []

    def decide_and_report() -> None:
        """Over a connection of its own each, so that another worker may take the event."""
        asking, telling = Caller(program.port, key), Caller(program.port, key)
        try:
            decided.append(asking.call("POST", "/v1/decide", DECIDE)[1]["decision"])
            told = {decided[0], decided[-1]}
            events = [{"decision": decision, "type": "click"} for decision in told]
            status, answer = telling.call("POST", "/v1/events", {"events": events})
            assert (status, answer) == (202, {"accepted": len(told), "rejected": []})
        finally:
            asking.close()
            telling.close()

    decide_and_report()

    # when
    rotated = program.run("keys", "rotate-mac")
    assert rotated.returncode == 0, rotated.stderr
    assert "in 10 seconds; 2 keys" in rotated.stdout

    # then every id is taken, from before the new key signs until after
    ends = time.monotonic() + 12
    while time.monotonic() < ends:
        decide_and_report()
    explained = program.run("explain", decided[0])
    assert explained.returncode == 0, explained.stdout + explained.stderr


@pytest.mark.redis
def test_a_browser_may_send_and_read_what_a_key_of_the_pages_origin_asks(program: Program) -> None:
    # given a key for the pages of a shop
    program.serve("--no-learn", "--no-seed-catalog")
    made = program.run("keys", "create", "--role", "site", "--origin", SHOP)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()

    # when a browser asks whether it may, and then does: in the shop, and elsewhere
    def ask(method: str, origin: str) -> tuple[int, str | None, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=10)
        headers = {"Origin": origin}
        if method == "POST":
            headers["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, "/v1/decide", json.dumps(DECIDE), headers)
            answer = connection.getresponse()
            assert answer.getheader("Content-Security-Policy")
            return answer.status, answer.getheader("Access-Control-Allow-Origin"), answer.read()
        finally:
            connection.close()

    until(lambda: all(ask("OPTIONS", SHOP)[1] == SHOP for _ in range(12)), 10)  # in every process

    # then
    assert ask("OPTIONS", SHOP) == (204, SHOP, b"")
    assert ask("OPTIONS", "https://evil.example") == (204, None, b"")
    assert ask("POST", SHOP)[:2] == (200, SHOP)
    assert ask("POST", "https://evil.example")[:2] == (403, None)
