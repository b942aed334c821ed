"""Another Redis in the place of the one that served is noticed, and refused until accepted."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest
import redis

from bandit_service.errors import StorageError
from bandit_service.events.entries import START
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.identity import STORE_REPLACED, StoreIdentity
from bandit_service.storage.redis_store import RedisStore


def identity(tmp_path: Path) -> StoreIdentity:
    return StoreIdentity(tmp_path / "notes", "here")


def store(server: EmbeddedRedis, tmp_path: Path) -> RedisStore:
    return RedisStore(server.url, identity=identity(tmp_path))


@pytest.mark.redis
def test_the_same_redis_is_known_again_by_every_process(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    with closing(store(server, tmp_path)) as one:
        first = one.identity
    server.stop()
    server.start()

    with closing(store(server, tmp_path)) as other:
        assert other.identity == first
        other.site("main").append(b"x")


@pytest.mark.redis
def test_a_redis_that_was_emptied_while_running_is_refused_with_the_next_look(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    with closing(store(server, tmp_path)) as one:
        # given
        site = one.site("main")
        site.append(b"x")
        with redis.Redis.from_url(server.url) as client:
            client.flushall()

        # then
        with pytest.raises(StorageError, match="empty") as caught:
            site.pulse()
        assert caught.value.specific_code == STORE_REPLACED
        assert "spool accept" in (caught.value.hint or "")
        with pytest.raises(StorageError, match="empty"):
            one.probe()


@pytest.mark.redis
@pytest.mark.parametrize("what", ["emptied", "replaced"])
def test_a_redis_that_comes_back_without_its_data_is_refused_by_every_connection(
    server: EmbeddedRedis, tmp_path: Path, what: str
) -> None:
    with closing(store(server, tmp_path)) as one:
        # given
        one.site("main").append(b"before")
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
            if what == "replaced":
                client.set("bandit:identity", "somebody else's")
        server.stop()
        server.start()

        # then neither this process nor a new one writes a thing
        with closing(store(server, tmp_path)) as other:
            for refused in (one, other):
                with pytest.raises(StorageError):
                    refused.site("main").append(b"after")  # may only find its connection dead
                with pytest.raises(StorageError, match="not the one that served here") as caught:
                    refused.site("main").append(b"after")
                assert caught.value.specific_code == STORE_REPLACED
        with redis.Redis.from_url(server.url) as client:
            assert client.exists("bandit:{main}:log") == 0


@pytest.mark.redis
def test_once_accepted_every_process_goes_on_with_what_is_there(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    with closing(store(server, tmp_path)) as one, closing(store(server, tmp_path)) as other:
        # given
        before = one.identity
        assert other.identity == before
        with redis.Redis.from_url(server.url) as client:
            client.flushall()

        # when
        one.accept()

        # then
        for accepted in (one, other):
            accepted.probe()
            assert accepted.site("main").append(b"x") > START
            assert accepted.identity != before


@pytest.mark.redis
def test_where_the_note_cannot_be_read_nothing_is_written_however_often_it_is_tried(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    # given
    note = identity(tmp_path)
    note.path.mkdir(parents=True)

    # then
    with closing(store(server, tmp_path)) as one:
        for _ in range(3):
            with pytest.raises(StorageError, match="cannot be used"):
                one.register("main")
    with redis.Redis.from_url(server.url) as client:
        assert client.keys("*") == []


def test_a_note_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("in the way")

    with pytest.raises(StorageError, match="cannot be used"):
        identity(tmp_path).check("an id")


def test_a_note_is_this_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        note = identity(tmp_path)
        note.check("an id")
    finally:
        os.umask(before)

    assert stat.S_IMODE(note.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(note.path.parent.stat().st_mode) == 0o700


def test_notes_of_two_addresses_do_not_meet(tmp_path: Path) -> None:
    here, there = StoreIdentity(tmp_path, "here"), StoreIdentity(tmp_path, "there")
    here.check("one")

    assert there.expected() is None
    assert there.check("two") == "two"
    assert here.expected() == "one"
