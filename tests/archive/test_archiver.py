"""Archiving and trimming on a real Redis, stopped between any two steps."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from bandit_service.archive import partitions, segments, upkeep
from bandit_service.archive.archiver import DAY_MS
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.archive.segments import Segment
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START, Position, Tick, encode
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import entries_of
from bandit_service.storage.redis_store import RedisStore
from tests.archive.sites import ArchivedSite, Row, checkpoint
from tests.conftest import START_MS, Clock
from tests.world import busy_world


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 50)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> ArchivedSite:
    """A site whose archiver takes everything at once, on either store."""
    store = None
    if request.param == "redis":
        store = request.getfixturevalue("redis_store").site("main")
    site = ArchivedSite(tmp_path / "archive", stream_hours=0, store=store)
    site.clock.now = 4_000_000_000_000  # later than any server's clock
    return site


def log(site: ArchivedSite, count: int) -> list[Row]:
    """Append entries; what was appended."""
    entries = [b'{"t":"tick","at":%d}' % n for n in range(count)]
    positions = site.store.append_many(entries)
    site.clock.advance(1)
    return list(zip(positions, entries, strict=True))


def whole(site: ArchivedSite) -> list[Row]:
    history = site.history()
    return list(entries_of(history, after=START, upto=history.tail()))


def archived(site: ArchivedSite) -> list[Row]:
    rows: list[Row] = []
    for span in site.folder.site("main").spans():
        with Segment(span.path) as segment:
            rows += segment.rows()
    return rows


def test_what_was_archived_and_learned_leaves_the_stream_and_nothing_else_does(
    site: ArchivedSite,
) -> None:
    rows = log(site, 120)
    checkpoint(site.store, rows[79][0])

    step = site.archiver().step()

    assert (step.archived, step.trimmed) == (120, 80)
    assert archived(site) == rows
    assert site.store.read(START, limit=999) == rows[80:]
    assert whole(site) == rows


def test_the_files_are_this_users_alone_and_a_folder_that_was_there_is_left_as_it_is(
    tmp_path: Path,
) -> None:
    # given a folder that its owner lets others look into
    folder = tmp_path / "archive"
    folder.mkdir(mode=0o755)
    site = ArchivedSite(folder, stream_hours=0)
    site.clock.now = 4_000_000_000_000
    log(site, 3)

    # when
    before = os.umask(0)
    try:
        site.archiver().step()
    finally:
        os.umask(before)

    # then
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".parquet", ".json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_second_step_finds_nothing_to_do(site: ArchivedSite) -> None:
    rows = log(site, 30)
    checkpoint(site.store, rows[-1][0])
    site.archiver().step()
    files = site.files()

    assert site.archiver().step() == (0, 0, 0)
    assert site.files() == files


def test_nothing_is_trimmed_where_nobody_learns(site: ArchivedSite) -> None:
    log(site, 30)

    assert site.archiver().step() == (30, 0, 0)
    assert site.store.length() == 30


def test_entries_stay_in_the_stream_as_long_as_the_setting_says(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=48)
    rows = site.fill(days=4, entries=3)
    site.clock.advance(-1)

    site.trim()

    assert site.store.read(START, limit=99) == rows[-6:]


def test_the_newest_seconds_are_left_to_the_next_step(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=0)
    for _ in range(10):
        site.store.append(b"x")
        site.clock.advance(1)

    assert site.archiver(settle_ms=5_000).step().archived == 6
    site.clock.advance(60)
    assert site.archiver(settle_ms=5_000).step().archived == 4


# -- stopped anywhere


class Stopped(BaseException):
    """The process was killed here."""


def stop_in(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, call: int) -> None:
    """Kill the process before the n-th call of a function."""
    real = getattr(place, name)
    count = 0

    def stopping(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == call:
            raise Stopped
        return real(*args, **kwargs)

    monkeypatch.setattr(place, name, stopping)


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize(
    "place",
    [
        "store.read",
        "store.archived",
        "store.set_archived",
        "store.trim",
        "store.tail",
        "segments.fsync",
        "partitions.replace",
        "partitions.sync",
        "upkeep.remove",
        "upkeep.merge",
    ],
)
def test_a_step_that_was_killed_anywhere_lost_and_repeated_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, call: int
) -> None:
    # given two days that wait to be compacted, and a third to be archived
    site = ArchivedSite(tmp_path, stream_hours=1)
    site.clock.now = START_MS // DAY_MS * DAY_MS
    rows = []
    for _ in range(2):
        for _ in range(3):
            data = encode(Tick(at=site.clock()))
            rows.append((site.store.append(data), data))
            site.clock.advance(1)
            site.archiver(stream_hours=9_999).step()
            site.clock.advance(3_600)
    site.clock.advance(86_400)
    for _ in range(3):
        data = encode(Tick(at=site.clock()))
        rows.append((site.store.append(data), data))
        site.clock.advance(43_200)
    checkpoint(site.store, rows[-1][0])

    # when
    with monkeypatch.context() as patch:
        module, _, name = place.partition(".")
        where: Any = {"store": site.store, "segments": os, "upkeep": upkeep}.get(module, partitions)
        name = {"replace": "place", "sync": "_sync"}.get(name, name)
        if name == "place":
            where = ArchiveFolder
        stop_in(patch, where, name, call)
        try:
            site.archiver().step()
        except Stopped:
            pass
        else:
            assert call > 1  # a step calls each of these once at least

    # then whoever reads finds everything once, and so does the next step
    assert whole(site) == rows
    trimmed = set(dict(rows)) - set(dict(site.store.read(START, limit=99)))
    assert trimmed <= set(dict(archived(site)))
    site.archiver().step()
    assert archived(site) == rows == whole(site)
    assert len(site.files()) == len({path.parent for path in site.files()})
    last = rows[-1][0]
    known = site.store.archived()
    assert known is not None
    assert known.upto == last


@pytest.mark.redis
@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("name", ["read", "set_archived", "trim"])
def test_a_store_that_fails_in_the_middle_is_gone_on_with_later(
    redis_store: RedisStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    call: int,
) -> None:
    site = ArchivedSite(tmp_path, stream_hours=0, store=redis_store.site("main"))
    site.clock.now = 4_000_000_000_000
    rows = log(site, 60)
    checkpoint(site.store, rows[-1][0])
    with monkeypatch.context() as patch:
        stop_in(patch, site.store, name, call)
        with pytest.raises(Stopped):
            site.archiver().step()
    assert whole(site) == rows

    site.archiver().step()

    assert archived(site) == rows == whole(site)
    assert site.store.length() == 0


def test_a_full_disk_trims_nothing_and_the_next_step_goes_on(
    site: ArchivedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = log(site, 60)
    checkpoint(site.store, rows[-1][0])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ArchiveError, match="No space left"):
            site.archiver().step()
    assert site.store.length() == 60
    assert site.files() == []

    assert site.archiver().step() == (60, 60, 0)
    assert whole(site) == rows


# -- which archive


def test_another_archive_refuses_to_archive_and_to_trim_until_it_is_adopted(
    site: ArchivedSite, tmp_path: Path
) -> None:
    rows = log(site, 20)
    checkpoint(site.store, rows[9][0])
    site.archiver().step()
    rows += log(site, 10)
    checkpoint(site.store, rows[-1][0])
    first, first_id = site.folder, site.id
    site.folder = ArchiveFolder(tmp_path / "second")
    site.id = site.folder.ensure("the second")

    with pytest.raises(ArchiveError, match="is archived elsewhere") as caught:
        site.archiver().step()
    assert "--adopt" in str(caught.value.hint)
    assert site.store.length() == 20
    assert site.files() == []

    assert site.archiver().adopt() == [(START, rows[9][0])]
    site.archiver().step()
    assert archived(site) == rows[10:] == whole(site)
    assert [missing.reasons for missing in site.history().missing()] == [("lost",)]
    site.folder, site.id = first, first_id
    with pytest.raises(ArchiveError, match="is archived elsewhere"):
        site.archiver().step()


def test_an_archiver_whose_site_is_adopted_meanwhile_does_not_take_it_back(
    site: ArchivedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(site, 20)
    real = upkeep.append

    def adopted_meanwhile(*args: Any, **kwargs: Any) -> Any:
        span = real(*args, **kwargs)
        assert site.store.set_archived("the second", START, replaces=site.id)
        return span

    monkeypatch.setattr(upkeep, "append", adopted_meanwhile)
    with pytest.raises(ArchiveError, match="another archive took over"):
        site.archiver().step()

    known = site.store.archived()
    assert known is not None
    assert known.archive == "the second"


def test_an_archive_of_a_log_that_the_store_does_not_know_is_refused_until_adopted(
    tmp_path: Path,
) -> None:
    site = ArchivedSite(tmp_path, stream_hours=0)
    before = log(site, 20)
    site.archiver().step()
    site.store = MemoryStore(clock=site.clock).site("main")  # emptied
    site.clock.advance(1)
    after = log(site, 5)

    with pytest.raises(ArchiveError, match="never was archived"):
        site.archiver().step()
    assert site.archiver().adopt() == []
    site.archiver().step()

    assert archived(site) == before + after


def test_an_older_copy_of_the_archive_is_completed_from_the_stream(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path / "a", stream_hours=0)
    rows = log(site, 20)
    site.archiver().step()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    rows += log(site, 10)
    site.archiver().step()
    checkpoint(site.store, rows[19][0])

    site.folder = ArchiveFolder(tmp_path / "b")
    site.archiver().step()

    assert archived(site) == rows == whole(site)


def test_an_older_copy_that_lacks_what_was_trimmed_is_refused_until_adopted(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path / "a", stream_hours=0)
    rows = log(site, 20)
    site.archiver().step()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    rows += log(site, 10)
    site.trim()
    rows += log(site, 5)
    site.folder = ArchiveFolder(tmp_path / "b")

    with pytest.raises(ArchiveError, match="but the log was trimmed up to"):
        site.archiver().step()
    assert site.archiver().adopt() == [(rows[19][0], rows[29][0])]
    site.archiver().step()

    assert archived(site) == rows[:20] + rows[30:]


def test_a_store_that_lost_what_is_archived_is_refused(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=0)
    log(site, 20)
    site.archiver().step()
    known = site.store.archived()
    assert known is not None
    site.store = MemoryStore(clock=lambda: START_MS - 5).site("main")
    position = site.store.append(b"x")
    site.store.set_archived(site.id, position, replaces=None)

    with pytest.raises(ArchiveError, match="in the store only to"):
        site.archiver().step()


def test_a_file_that_somebody_removed_can_be_given_up(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=4, entries=5)
    site.trim()
    site.files()[1].unlink()

    with pytest.raises(ArchiveError, match="has no file for"):
        site.archiver().step()
    assert site.archiver().adopt() == [(rows[4][0], rows[9][0])]
    site.archiver().step()

    assert whole(site) == rows[:5] + rows[10:]


# -- two at once


def test_two_archivers_on_one_folder_take_turns(site: ArchivedSite) -> None:
    rows = log(site, 200)
    checkpoint(site.store, rows[-1][0])
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                site.archiver().step()
        except BaseException as exc:  # noqa: BLE001 - raised below
            errors.append(exc)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not errors
    assert archived(site) == rows


def test_an_archiver_that_waits_too_long_for_another_says_so(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    folder.ensure("x")

    with (
        folder.locked(),
        pytest.raises(ArchiveError, match="another process is changing"),
        ArchiveFolder(tmp_path).locked(patience=0.05),
    ):
        pass


# -- the folder


def test_the_archive_keeps_its_id_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    assert folder.id() is None
    assert folder.ensure("a") == folder.ensure("b") == folder.id() == "a"

    (tmp_path / "archive.json").write_text('{"id": 3')
    with pytest.raises(ArchiveError, match=r"archive\.json cannot be read"):
        folder.id()
    (tmp_path / "archive.json").write_text('{"id": "a", "version": 2}')
    with pytest.raises(ArchiveError, match="version 2"):
        folder.id()


@pytest.mark.parametrize("name", ["mine.parquet", "0-0_x.parquet"])
def test_a_file_of_somebody_else_among_ours_is_refused_by_name(tmp_path: Path, name: str) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    site.fill(days=1, entries=2)
    site.files()[0].with_name(name).write_bytes(b"")

    with pytest.raises(ArchiveError, match="is not a file of this archive"):
        site.archiver().step()


def test_files_of_two_archives_in_one_folder_are_refused(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1)
    rows = site.fill(days=1, entries=9)
    overlapping = site.files()[0].with_name(f"{rows[2][0]}_{Position(rows[-1][0].ms, 9)}.parquet")
    overlapping.write_bytes(site.files()[0].read_bytes())

    with pytest.raises(ArchiveError, match="overlaps"):
        site.archiver().step()


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ArchiveError, match="cannot be used"):
        ArchiveFolder(tmp_path / "file" / "archive").ensure("x")


# -- retention


def test_what_is_too_old_goes_and_the_catalog_stays(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=1, days=3)
    placement = next(data for _, data in busy_world(1).rows() if b'"t":"placement"' in data)
    site.store.append(placement)
    site.fill(days=3, entries=4)
    rows = site.fill(days=4, entries=4)

    step = site.trim()

    kept = whole(site)
    assert kept[1:] == rows[4:]  # of seven days the last three
    assert step.expired == 4
    assert kept[0][1] == placement
    assert {reason for missing in site.history().missing() for reason in missing.reasons} == {
        "retention"
    }
    assert site.archiver().step() == (0, 0, 0)


def test_retention_shortens_the_stay_in_the_stream_too(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path, stream_hours=24 * 30, days=2)
    rows = site.fill(days=6, entries=4)
    site.clock.advance(-1)

    site.trim()

    assert site.store.read(START, limit=99) == rows[-8:]


# -- as a service


def services_of(tmp_path: Path, clock: Clock, **changes: Any) -> Services:
    settings = ServiceSettings(
        config_dir=str(tmp_path), data_dir=str(tmp_path), stream_hours=0, **changes
    )
    return Services(settings, MemoryStore(clock=clock), clock=clock)


def test_what_is_wrong_with_one_site_keeps_no_other_from_being_archived(tmp_path: Path) -> None:
    clock = Clock()
    services = services_of(tmp_path, clock)
    for name in ("a", "b", "c"):
        services.store.site(name).append(b"x")
    services.store.site("b").set_archived("another archive", Position(1, 0), replaces=None)
    clock.advance(60)

    with structlog.testing.capture_logs() as logs, pytest.raises(ArchiveError):
        services.archive_once()

    assert [(line["event"], line["site"]) for line in logs] == [("site_not_archived", "b")]
    assert all(services.store.site(name).archived() is not None for name in ("a", "c"))
    assert (tmp_path / "archive" / "log" / "site=c").is_dir()
    assert not (tmp_path / "archive" / "log" / "site=b").exists()


def test_a_file_that_expired_is_not_opened_in_every_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given three days, of which two are too old
    clock = Clock()
    services = services_of(tmp_path, clock, archive_days=1)
    for _ in range(3):
        services.store.site("main").append(b"x")
        clock.advance(86_400)
    clock.advance(-43_200)
    assert services.archive_once()["main"].expired == 2

    # when
    opened: list[Path] = []

    class Counted(Segment):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    monkeypatch.setattr("bandit_service.archive.archiver.Segment", Counted)
    rounds = [services.archive_once()["main"].expired for _ in range(3)]

    # then
    assert rounds == [0, 0, 0]
    assert len(opened) == len(set(opened)) == 2


def test_the_archiver_goes_on_when_the_disk_takes_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    services = services_of(tmp_path, clock, archive_seconds=0.05)
    site = services.store.site("main")
    site.append(b"x")
    clock.advance(60)
    stop, rounds = threading.Event(), [0]
    real = services.archiver

    def of_site(name: str) -> Any:
        rounds[0] += 1
        if rounds[0] > 3:
            stop.set()
        return real(name)

    def full(*_: Any) -> None:
        if rounds[0] < 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(services, "archiver", of_site)
    monkeypatch.setattr(partitions, "_sync", full)
    with structlog.testing.capture_logs() as logs:
        services.archive(stop)

    assert "No space left" in logs[0]["error"]
    known = site.archived()
    assert known is not None
    assert known.upto == site.tail()


def test_processes_that_serve_do_not_load_pyarrow() -> None:
    import subprocess
    import sys

    program = "import sys, bandit_service.web.worker; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
