"""Appends in doubt whose entries were archived and trimmed before anybody could look for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bandit_service.archive.archiver import SiteArchiver
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.errors import AppendInDoubt
from bandit_service.events.entries import START, Position
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.outbox import Outbox
from bandit_service.storage.ports import Doubt, SiteStore, Store, entries_of
from bandit_service.storage.redis_store import RedisStore
from bandit_service.storage.spool import Spool
from tests.archive.sites import checkpoint


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = (
        MemoryStore() if request.param == "memory" else request.getfixturevalue("redis_store")
    )
    return found


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path / "waiting.spool", max_bytes=1_000_000)) as made:
        yield made


def logged(log: History) -> list[bytes]:
    return [data for _, data in entries_of(log, after=START, upto=log.tail())]


def carried_out_unanswered(site: SiteStore, spool: Spool) -> None:
    """An append of two entries of which the second reached the log."""
    before = site.append(b"before")
    site.append(b"carried out")
    doubt = Doubt(after=before, server="", client=0)
    spool.put(site.site, [b"carried out", b"not carried out"], doubt, now=1)
    site.append(b"after")


def trim(site: SiteStore, folder: ArchiveFolder) -> None:
    """Archive the whole log, and take it out of the store."""
    tail = site.tail()
    checkpoint(site, tail)
    archive = folder.ensure("an archive")
    SiteArchiver(
        site, folder, archive=archive, clock=lambda: tail.ms + 1, stream_ms=0, settle_ms=0
    ).step()
    assert site.length() == 0


def test_what_was_trimmed_meanwhile_is_found_in_the_archive(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    # given
    site, folder = store.site("main"), ArchiveFolder(tmp_path / "archive")
    outbox = Outbox(store, spool, clock=lambda: 1, history=lambda site: History(site, folder))
    carried_out_unanswered(site, spool)
    trim(site, folder)

    # when
    outbox.tend()

    # then
    told = [b"before", b"carried out", b"after", b"not carried out"]
    assert logged(History(site, folder)) == told
    assert outbox.waiting() == 0


def test_where_the_archive_is_elsewhere_nothing_waits_for_ever_and_nothing_is_lost(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    # given
    site, folder = store.site("main"), ArchiveFolder(tmp_path / "archive")
    outbox = Outbox(store, spool, clock=lambda: 1, history=lambda site: History(site, None))
    carried_out_unanswered(site, spool)
    trim(site, folder)

    # when
    outbox.tend()

    # then what cannot be looked up is rather logged twice than not at all
    assert outbox.waiting() == 0
    assert set(logged(History(site, folder))) >= {b"carried out", b"not carried out"}


class Unanswered:
    """A connection on which appends are not answered."""

    def __init__(self, connection: Any) -> None:
        self.peer = connection.peer
        self._connection = connection

    def call(self, *commands: tuple[Any, ...]) -> list[Any]:
        if commands[0][0] == b"XADD":
            raise ConnectionError("cut")
        answers: list[Any] = self._connection.call(*commands)
        return answers


@pytest.mark.redis
def test_the_first_append_of_a_process_is_looked_for_at_the_end_of_the_log_alone(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = redis_store.site("main").append_many([b"long ago", b"just now"])[-1]
    site = redis_store.site("main")
    monkeypatch.setattr(site, "_hot", Unanswered(site._hot))

    with pytest.raises(AppendInDoubt) as caught:
        site.append(b"first")

    assert Position(*caught.value.after) == newest
