"""The archive, the stream and the seam between them, on a real Redis and in memory."""

from __future__ import annotations

import itertools
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit_service.archive import segments
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START, Position
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import SiteStore, entries_of
from bandit_service.storage.redis_store import RedisStore
from tests.archive.sites import ArchivedSite, checkpoint

Row = tuple[Position, bytes]


def whole(log: History, batch: int = 7) -> list[Row]:
    return list(entries_of(log, after=START, upto=log.tail(), batch=batch))


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 5)


NUMBERS = itertools.count()
"""Names of sites that no example had before."""

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 12)),
        st.tuples(st.just("wait"), st.sampled_from([1, 3_600, 30_000, 90_000, 200_000])),
        st.tuples(st.just("learn"), st.integers(0, 3)),
        st.tuples(st.just("step"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 9)),
    ),
    max_size=25,
)


def run(site: ArchivedSite, operations: list[tuple[str, int]]) -> None:
    """Do one after the other, and find a plain list's entries in the history after each."""
    expected: list[Row] = []
    reader, seen = site.history(), list[Row]()
    for name, number in operations:
        if name == "append":
            entries = [b"%d" % (len(expected) + n) for n in range(number)]
            expected += zip(site.store.append_many(entries), entries, strict=True)
        elif name == "wait":
            site.clock.advance(number)
        elif name == "learn" and expected:
            checkpoint(site.store, expected[-1 - min(number, len(expected) - 1)][0])
        elif name == "step":
            site.archiver().step()
        elif name == "read":  # one that has been reading all the while
            seen += reader.read(seen[-1][0] if seen else START, limit=number)

        assert whole(site.history()) == expected
        assert site.history().length() == len(expected)
        assert seen == expected[: len(seen)]
    while rows := reader.read(seen[-1][0] if seen else START, limit=3):
        seen += rows
    assert seen == expected


@given(OPERATIONS)
@settings(max_examples=120)
def test_no_order_of_operations_loses_or_repeats_an_entry(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
) -> None:
    site = ArchivedSite(tmp_path_factory.mktemp("archive"), stream_hours=1)

    run(site, operations)

    shutil.rmtree(site.folder.path)


@pytest.mark.redis
@given(OPERATIONS)
@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_no_order_of_operations_loses_or_repeats_an_entry_on_a_real_redis(
    redis_store: RedisStore,
    tmp_path_factory: pytest.TempPathFactory,
    operations: list[tuple[str, int]],
) -> None:
    store = redis_store.site(f"s{next(NUMBERS)}")
    site = ArchivedSite(tmp_path_factory.mktemp("archive"), stream_hours=0, store=store)
    site.clock.now = 4_000_000_000_000  # later than any server's clock: all may go

    run(site, operations)

    shutil.rmtree(site.folder.path)


def test_reading_may_start_anywhere(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=3, entries=17)
    site.trim()
    history = site.history()

    assert site.store.length() < len(rows)
    for n in random.Random(1).sample(range(len(rows)), 30):
        assert (
            history.read(rows[n][0], limit=4)[:4]
            == rows[n + 1 :][: len(history.read(rows[n][0], limit=4))]
        )
        assert list(entries_of(history, after=rows[n][0], upto=rows[-1][0])) == rows[n + 1 :]


class Interrupted:
    """A store whose every call first lets somebody else do something."""

    def __init__(self, store: SiteStore, between: list[Any]) -> None:
        self._store = store
        self._between = between

    def __getattr__(self, name: str) -> Any:
        if name in ("read", "archived") and self._between:
            self._between.pop(0)()
        return getattr(self._store, name)


@pytest.mark.parametrize("quiet", range(8))
def test_a_trim_between_any_two_questions_of_a_reader_loses_nothing(
    tmp_path: Path, quiet: int
) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=3, entries=11)
    site.archiver(stream_hours=10_000).step()  # archived, and nothing trimmed yet

    def trim() -> None:
        site.trim()

    store: Any = Interrupted(site.store, [lambda: None] * quiet + [trim])
    history = History(store, site.folder)

    assert list(entries_of(history, after=START, upto=rows[-1][0], batch=5)) == rows
    assert site.store.length() < len(rows)


def test_compaction_under_a_reader_loses_nothing(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=1, entries=40, steps=8)
    site.trim()
    history, seen = site.history(), list[Row]()
    seen += history.read(START, limit=3)
    assert len(site.files()) > 4

    rows += site.fill(days=2, entries=3)  # the first day is over
    site.trim()

    assert len(site.files()) <= 3
    while more := history.read(seen[-1][0], limit=3):
        seen += more
    assert seen == rows


def test_files_that_a_larger_one_covers_are_not_read_twice(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=1, entries=20, steps=4)
    parts = {path: path.read_bytes() for path in site.files()}
    rows += site.fill(days=2, entries=3)
    site.trim()
    for path, data in parts.items():  # as after a crash between rename and removal
        path.write_bytes(data)

    assert whole(site.history()) == rows
    site.archiver().step()
    assert not set(parts) & set(site.files())


def test_without_its_archive_a_trimmed_log_is_refused_and_its_end_can_be_read(
    tmp_path: Path,
) -> None:
    site = ArchivedSite(tmp_path / "here", stream_hours=1)
    rows = site.fill(days=3, entries=5)
    site.trim()
    known = site.store.archived()
    assert known is not None
    other = ArchiveFolder(tmp_path / "other")
    other.ensure("another")

    for folder in (None, ArchiveFolder(tmp_path / "none"), other):
        history = History(site.store, folder)
        with pytest.raises(ArchiveError, match=r"is in the archive") as caught:
            history.read(START, limit=1)
        assert "archive_dir" in str(caught.value.hint)
        with pytest.raises(ArchiveError):
            history.missing()
        assert history.read(known.trimmed, limit=99) == [r for r in rows if r[0] > known.trimmed]


def test_a_log_that_was_never_trimmed_needs_no_archive(tmp_path: Path) -> None:
    store = MemoryStore().site("main")
    position = store.append(b"x")
    history = History(store, None)

    assert history.read(START, limit=9) == [(position, b"x")]
    assert (history.tail(), history.length(), history.missing()) == (position, 1, [])


def test_an_old_copy_of_the_archive_is_refused(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path / "a", stream_hours=1)
    site.fill(days=2, entries=5)
    site.archiver().step()
    shutil.copytree(site.folder.path, tmp_path / "b")
    site.fill(days=2, entries=5)
    site.trim()

    with pytest.raises(ArchiveError, match="ends before"):
        History(site.store, ArchiveFolder(tmp_path / "b")).read(START, limit=1)


def test_a_file_that_was_removed_by_hand_is_noticed(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    site.fill(days=4, entries=5)
    site.trim()
    site.files()[1].unlink()

    with pytest.raises(ArchiveError, match="has no file for the log after") as caught:
        site.history().read(START, limit=1)
    assert "put the file back" in str(caught.value.hint)


def test_a_damaged_file_is_refused_by_name_and_others_are_read(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=4, entries=5)
    site.trim()
    damaged = site.files()[1]
    damaged.write_bytes(damaged.read_bytes()[:-20])
    history = site.history()

    assert history.read(START, limit=5) == rows[:5]
    with pytest.raises(ArchiveError, match=damaged.name):
        history.read(rows[4][0], limit=5)
    assert history.read(rows[9][0], limit=5) == rows[10:15]


def test_a_file_of_another_version_among_ours_is_refused_by_name_and_others_are_read(
    tmp_path: Path,
) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=3, entries=5)
    site.trim()
    newer = site.files()[2]
    newer.write_bytes(newer.read_bytes().replace(b'{"schema":1,', b'{"schema":2,'))
    history = site.history()

    assert history.read(rows[4][0], limit=5) == rows[5:10]
    with pytest.raises(ArchiveError, match=rf"{newer.name} has version 2 .* reads version 1"):
        history.read(rows[9][0], limit=5)
