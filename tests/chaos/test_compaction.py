"""SIGKILL for an archiver that makes one file of the files of a day: the log stays what it was."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest
import redis

from bandit_service.archive import upkeep
from bandit_service.archive.archiver import DAY_MS
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.events.entries import START
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.redis_site import RedisSite
from bandit_service.storage.redis_store import RedisStore
from tests.archive.sites import checkpoint
from tests.chaos.auditor import Row, rows_of
from tests.chaos.moments import MOMENTS, wait_for
from tests.chaos.processes import Service

pytestmark = [pytest.mark.slow, pytest.mark.redis]

DAYS: Final = 24
FILES: Final = 4
"""Files of each day before they are made one."""
ENTRIES: Final = 100
"""Entries of a file."""
KILLS: Final = 6
PATIENCE_SECONDS: Final = 30.0


@pytest.fixture
def store(service: Service) -> Iterator[RedisStore]:
    with (
        EmbeddedRedis(data_dir=service.data) as server,
        closing(RedisStore(server.url)) as opened,
    ):
        opened.register("main")
        yield opened


def log_days(store: RedisStore) -> None:
    """Log entries on each of the days before today; Redis takes positions of the past."""
    rng = random.Random(1)
    first = (int(time.time() * 1000) // DAY_MS - DAYS) * DAY_MS
    with redis.Redis.from_url(store.url) as client:
        for day in range(DAYS):
            for n in range(FILES * ENTRIES):
                data = b"%d " % n + rng.randbytes(500)
                client.xadd("bandit:{main}:log", {"e": data}, id=f"{first + day * DAY_MS + n}-0")


def archive_in_parts(site: RedisSite, folder: ArchiveFolder) -> list[Row]:
    """Archive the whole log in many files, as many rounds would have; the log."""
    rows, partitions = rows_of(site), folder.site("main")
    archive = folder.ensure("an archive")
    with folder.locked():
        after = START
        for begin in range(0, len(rows), ENTRIES):
            after = upkeep.append(partitions, rows[begin : begin + ENTRIES], after=after).last
    assert site.set_archived(archive, after, replaces=None)
    checkpoint(site, after)
    return rows


def kill_archiver(service: Service, name: str) -> None:
    """Start an archiver, and kill it at a moment."""
    moment = next(moment for moment in MOMENTS if moment.name == name)
    process = service.start("archive")
    assert wait_for(moment, service.data, None, patience=PATIENCE_SECONDS), name
    process.kill()
    process.wait()


def test_an_archiver_killed_while_it_compacts_loses_and_repeats_nothing(
    service: Service, store: RedisStore
) -> None:
    # given
    log_days(store)
    site = store.site("main")
    folder = ArchiveFolder(service.data / "archive")
    rows = archive_in_parts(site, folder)
    draft, partitions = folder.path / "tmp" / "draft", folder.site("main")
    assert len(partitions.spans()) == DAYS * FILES

    # when
    cut_short = 0
    for n in range(KILLS):
        kill_archiver(service, ("writing a segment", "segment in place")[n % 2])
        cut_short += draft.exists() or bool(partitions.covered())
        assert rows_of(service.history(site)) == rows

    # then
    assert cut_short > 0
    assert service.run("archive", "--once").returncode == 0
    assert len(partitions.spans()) == DAYS - 1 + FILES  # the last day may go on
    assert partitions.covered() == []
    assert site.length() == 0
    assert rows_of(service.history(site)) == rows
