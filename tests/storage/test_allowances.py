"""Counters of what keys have used: the same in memory and in Redis, and away soon."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import limits
import pytest
import redis

from bandit_service.errors import StorageError
from bandit_service.storage.allowances import TIMEOUT_SECONDS, Allowances, allowances_at
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.identity import STORE_REPLACED, StoreIdentity

RATE = limits.parse("100/hour")


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def allowances(request: pytest.FixtureRequest) -> Allowances:
    if request.param == "memory":
        return allowances_at("")
    url: str = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return allowances_at(url)


def test_no_more_can_be_taken_than_the_rate_and_what_is_refused_does_not_count(
    allowances: Allowances,
) -> None:
    assert allowances.take(RATE, "a", 60)
    assert not allowances.take(RATE, "a", 41)
    assert allowances.take(RATE, "a", 40)
    assert not allowances.take(RATE, "a", 1)
    assert allowances.take(RATE, "b", 100)


def test_more_than_the_rate_at_once_is_never_granted(allowances: Allowances) -> None:
    assert not allowances.take(RATE, "a", 101)
    assert allowances.take(RATE, "a", 100)


def test_the_wait_is_until_enough_of_the_window_has_gone(allowances: Allowances) -> None:
    assert allowances.wait_seconds(RATE, "a", 100) == 0.0

    assert allowances.take(RATE, "a", 100)

    # This window must end, and then a hundredth or a half of it slide away.
    one, half = (allowances.wait_seconds(RATE, "a", amount) for amount in (1, 50))
    assert half - one == pytest.approx(49 / 100 * 3600, abs=5)
    assert 36 <= one + 5 <= 3636 + 10


def test_more_than_the_rate_has_a_wait_too_when_nothing_was_taken(allowances: Allowances) -> None:
    assert allowances.wait_seconds(RATE, "a", 101) > 0


def test_after_the_wait_it_is_granted(allowances: Allowances) -> None:
    rate = limits.parse("20/second")
    deadline = time.monotonic() + 20
    while allowances.take(rate, "a", 20):
        assert time.monotonic() < deadline  # a window ended between two calls: take the next one

    wait = allowances.wait_seconds(rate, "a", 5)

    assert 0 < wait <= 2
    started = time.monotonic()
    while not allowances.take(rate, "a", 5):
        assert time.monotonic() < started + wait + 5
        time.sleep(0.01)
    assert time.monotonic() - started > wait - 0.1


@pytest.mark.redis
def test_workers_share_the_counters(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        assert allowances_at(redis_url).take(RATE, "a", 100)
        assert not allowances_at(redis_url).take(RATE, "a", 1)

        assert all(key.startswith(b"bandit:rate:") for key in client.scan_iter())


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_redis_that_does_not_answer_is_given_up_soon(silent: str) -> None:
    allowances = allowances_at(silent)

    started = time.monotonic()
    with pytest.raises(StorageError):
        allowances.take(RATE, "a", 1)
    with pytest.raises(StorageError):
        allowances.wait_seconds(RATE, "a", 1)

    assert time.monotonic() - started < 20 * TIMEOUT_SECONDS


@pytest.mark.redis
def test_redis_that_is_paused_is_given_up_soon_and_found_again(tmp_path: Path) -> None:
    with EmbeddedRedis(data_dir=tmp_path) as embedded:
        allowances = allowances_at(embedded.url)
        assert allowances.take(RATE, "a", 1)
        with redis.Redis.from_url(embedded.url) as client:
            pid = int(client.info("server")["process_id"])  # type: ignore[index,unused-ignore]
        os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(StorageError):
                allowances.take(RATE, "a", 1)
            assert time.monotonic() - started < 20 * TIMEOUT_SECONDS
        finally:
            os.kill(pid, signal.SIGCONT)

        assert allowances.take(RATE, "a", 1)


@pytest.mark.redis
@pytest.mark.parametrize("opened", ["before", "after"])
@pytest.mark.parametrize("there", [None, "somebody else's"])
def test_nothing_is_counted_in_a_redis_that_is_not_the_one_of_before(
    redis_url: str, tmp_path: Path, opened: str, there: str | None
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        # given one that was met, and taken away before or after a connection was opened
        client.flushall()
        client.set("bandit:identity", "known")
        identity = StoreIdentity(tmp_path, "here")
        assert identity.check("known")
        allowances = allowances_at(redis_url, identity)
        if opened == "before":
            assert allowances.take(RATE, "a", 1)
        client.flushall()
        if there is not None:
            client.set("bandit:identity", there)

        # then
        with pytest.raises(StorageError, match="not the one that served here") as caught:
            allowances.take(RATE, "a", 1)
        assert caught.value.specific_code == STORE_REPLACED
        assert list(client.scan_iter("bandit:rate:*")) == []

        # and once that one is accepted, it is counted there
        client.set("bandit:identity", "new")
        identity.accept("new")
        assert allowances.take(RATE, "a", 1)


@pytest.mark.redis
def test_no_connection_counts_before_it_has_seen_which_redis_it_is(
    redis_url: str, tmp_path: Path
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    identity = StoreIdentity(tmp_path, "here")
    identity.check("known")

    # wait_seconds checks nothing by itself, and what was refused is not tried again as it is
    allowances = allowances_at(redis_url, identity)
    for _ in range(2):
        with pytest.raises(StorageError, match="not the one that served here"):
            allowances.wait_seconds(RATE, "a", 1)
