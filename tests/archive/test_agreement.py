"""A log that was set back to an older copy, and whether it still continues its archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from bandit_service.archive.archiver import SiteArchiver
from bandit_service.archive.forgetting import forget
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.archive.segments import Segment
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START, Position
from bandit_service.storage.memory import MemorySite, MemoryStore
from bandit_service.storage.ports import entries_of
from bandit_service.storage.redis_store import RedisStore
from tests.archive.sites import ArchivedSite, Row, checkpoint
from tests.world import busy_world

LOG, ARCHIVE = "bandit:{main}:log", "bandit:{main}:archive"


class SetBack:
    """A site whose store can be copied, set back to the copy, and log at any position."""

    def __init__(self, site: ArchivedSite, client: redis.Redis | None) -> None:
        self.site = site
        self._client = client

    def log(self, count: int) -> list[Row]:
        """Append entries, each a second after the other; what was appended."""
        first = max(self.site.store.tail().ms, 1_900_000_000_000) + 1_000
        return [
            self.log_at(Position(first + 1_000 * n, 0), b"entry %d" % (first + n))
            for n in range(count)
        ]

    def log_at(self, position: Position, data: bytes) -> Row:
        if self._client is not None:
            self._client.xadd(LOG, {"e": data}, id=str(position))
        else:
            before, self.site.clock.now = self.site.clock.now, position.ms
            assert self.site.store.append(data) == position
            self.site.clock.now = before
        return position, data

    def copy(self) -> Callable[[], None]:
        """Copy the store; the function sets it back to the copy."""
        store, client = self.site.store, self._client
        if client is None:
            assert isinstance(store, MemorySite)
            kept = list(store._positions), list(store._entries), store._tail, store._archived

            def back() -> None:
                assert isinstance(store, MemorySite)
                store._positions, store._entries, store._tail, store._archived = kept

            return back
        dumps = {key: client.dump(key) for key in (LOG, ARCHIVE) if client.exists(key)}

        def restore() -> None:
            client.delete(LOG, ARCHIVE)
            for key, dump in dumps.items():
                client.restore(key, 0, dump)  # type: ignore[arg-type] # the types allow for asyncio

        return restore

    def stream(self) -> list[Row]:
        return self.site.store.read(START, limit=999)

    def archived(self) -> list[Row]:
        rows: list[Row] = []
        for span in self.site.folder.site("main").spans():
            with Segment(span.path) as segment:
                rows += segment.rows()
        return rows


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SetBack]:
    store = client = None
    if request.param == "redis":
        redis_store: RedisStore = request.getfixturevalue("redis_store")
        store, client = redis_store.site("main"), redis.Redis.from_url(redis_store.url)
    site = ArchivedSite(tmp_path / "archive", stream_hours=0, store=store)
    site.clock.now = 4_000_000_000_000
    yield SetBack(site, client)
    if client is not None:
        client.close()


def test_a_log_that_was_set_back_and_went_on_another_way_loses_none_of_it(
    world: SetBack, tmp_path: Path
) -> None:
    # given a store set back behind its archive, whose clock is behind too
    site = world.site
    rows = world.log(10)
    site.archiver().step()
    set_back = world.copy()
    lost = world.log(10)
    site.archiver().step()
    set_back()
    stray = world.log_at(Position(lost[4][0].ms + 7, 0), b"acknowledged")
    later = world.log_at(Position(lost[-1][0].ms + 1, 0), b"later")
    checkpoint(site.store, later[0])

    # when
    for work in (site.archiver().step, site.archiver().step, site.archiver().adopt):
        with pytest.raises(ArchiveError, match="went on another way") as caught:
            work()

    # then
    assert str(stray[0]) in caught.value.message
    assert "--adopt" in str(caught.value.hint)
    assert world.stream() == [*rows, stray, later]
    assert world.archived() == rows + lost

    # and another archive takes all that the store has
    site.folder = ArchiveFolder(tmp_path / "second")
    site.id = site.folder.ensure("the second")
    site.archiver().adopt()
    assert site.archiver().step().archived == 12
    assert world.archived() == [*rows, stray, later]
    assert world.stream() == []


def test_other_bytes_at_the_position_of_an_archived_entry_are_noticed(world: SetBack) -> None:
    world.log(3)
    world.site.archiver().step()
    set_back = world.copy()
    lost = world.log(3)
    world.site.archiver().step()
    set_back()
    world.log_at(lost[0][0], b"another")
    world.log_at(Position(lost[-1][0].ms + 1, 0), b"later")

    with pytest.raises(ArchiveError, match=f"covers {lost[0][0]} and does not hold it"):
        world.site.archiver().step()


def test_a_log_that_was_set_back_and_is_past_its_archive_goes_on(world: SetBack) -> None:
    rows = world.log(10)
    world.site.archiver().step()
    set_back = world.copy()
    rows += world.log(10)
    world.site.archiver().step()
    set_back()
    with pytest.raises(ArchiveError, match="in the store only to"):
        world.site.archiver().step()
    rows.append(world.log_at(Position(rows[-1][0].ms + 1, 0), b"later"))
    checkpoint(world.site.store, rows[-1][0])

    assert world.site.archiver().step() == (1, 11, 0)

    assert world.archived() == rows


def test_an_archive_adopted_by_an_emptied_store_covers_nothing_logged_behind_it(
    world: SetBack,
) -> None:
    emptied = world.copy()
    rows = world.log(10)
    world.site.archiver().step()
    emptied()
    assert world.site.archiver().adopt() == []

    stray = world.log_at(Position(rows[4][0].ms + 7, 0), b"acknowledged")
    later = world.log_at(Position(rows[-1][0].ms + 1, 0), b"later")
    checkpoint(world.site.store, later[0])

    with pytest.raises(ArchiveError, match="went on another way"):
        world.site.archiver().step()
    assert world.stream() == [stray, later]


def test_a_step_that_was_stopped_before_it_told_the_store_is_no_other_way(world: SetBack) -> None:
    rows = world.log(10)
    world.site.archiver().step()
    assert world.site.store.set_archived(world.site.id, rows[3][0], replaces=world.site.id)
    world.site.store.remove([rows[5][0]])  # forgotten here, and not yet in the archive

    assert world.site.archiver().step().archived == 0

    known = world.site.store.archived()
    assert known is not None
    assert known.upto == rows[-1][0]


@pytest.mark.parametrize("kind", ["memory", pytest.param("redis", marks=pytest.mark.redis)])
def test_forgetting_the_very_last_entries_is_no_other_way(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    # given an archived log whose last entries are of a visitor who is forgotten
    world = busy_world(20)
    world.visit({}, visitor="the-last")
    store = MemoryStore(clock=lambda: 5).site("main")
    site = store if kind == "memory" else request.getfixturevalue("redis_store").site("main")
    positions = site.append_many([data for _, data in world.rows()])
    folder = ArchiveFolder(tmp_path)

    def archiver() -> SiteArchiver:
        return SiteArchiver(
            site,
            folder,
            archive=folder.ensure("an archive"),
            clock=lambda: 4_000_000_000_000,
            stream_ms=9_999,
            settle_ms=0,
        )

    archiver().step()
    gone = forget(site, folder, world.view.secret.pseudonym("the-last"))
    assert (gone.stream, gone.archive) == (2, 2)
    held = list(entries_of(site, after=START, upto=positions[-1]))
    assert held[-1][0] < positions[-1]

    # when the store knows less than the archive holds
    assert site.set_archived("an archive", positions[3], replaces="an archive")
    assert archiver().step().archived == 0

    # then
    known = site.archived()
    assert known is not None
    assert known.upto == positions[-1]
    assert archiver().adopt() == []
