"""The spool: what it has taken stays, in order, whatever dies; what it does not take, it says."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bandit_service.errors import SpoolError
from bandit_service.events.entries import Position
from bandit_service.storage.ports import Doubt
from bandit_service.storage.spool import Spool

MEGABYTE = 1_048_576


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "waiting.spool"


def opened(path: Path, megabytes: int = 8) -> Spool:
    return Spool(path, max_bytes=megabytes * MEGABYTE)


def put(spool: Spool, site: str, entries: list[bytes], doubt: Doubt | None = None) -> None:
    spool.put(site, entries, doubt, now=1_000)


def entries(spool: Spool) -> list[tuple[str, bytes]]:
    return [(row.site, row.entry) for row in spool.oldest(1_000_000, max_bytes=MEGABYTE * 100)]


def test_what_was_put_comes_out_in_that_order_until_it_is_removed(path: Path) -> None:
    # given
    spool = opened(path)
    put(spool, "a", [b"1", b"2"])
    put(spool, "b", [b"\x00\xff"])
    put(spool, "a", [b"3"])

    # then
    assert entries(spool) == [("a", b"1"), ("a", b"2"), ("b", b"\x00\xff"), ("a", b"3")]
    assert spool.counts() == {"a": 3, "b": 1}

    # when the first three have gone
    spool.remove(spool.oldest(3, max_bytes=MEGABYTE * 100)[-1].row)
    assert entries(spool) == [("a", b"3")]
    assert spool.waiting
    spool.remove(spool.oldest(3, max_bytes=MEGABYTE * 100)[-1].row)
    assert entries(spool) == []
    assert opened(path).waiting is spool.waiting is False


def test_rows_are_never_numbered_twice_even_when_all_have_gone(path: Path) -> None:
    spool = opened(path)
    put(spool, "a", [b"1"])
    first = spool.oldest(1, max_bytes=MEGABYTE * 100)[0].row
    spool.remove(first)
    spool.close()

    again = opened(path)
    put(again, "a", [b"2"])

    assert again.oldest(1, max_bytes=MEGABYTE * 100)[0].row > first


def test_every_outage_has_an_id_of_its_own_that_lasts_as_long_as_it_does(path: Path) -> None:
    # given
    spool = opened(path)
    put(spool, "a", [b"1"])
    first = spool.source
    put(spool, "a", [b"2"])
    assert opened(path).source == spool.source == first

    # when all has gone, and something waits again
    spool.remove(spool.oldest(9, max_bytes=MEGABYTE)[-1].row)
    put(spool, "a", [b"3"])

    # then
    assert spool.source != first


def test_a_copy_of_a_spool_has_an_id_of_its_own(path: Path, tmp_path: Path) -> None:
    # given one that was put aside, as a cloned machine or a backup does
    spool = opened(path)
    put(spool, "a", [b"1"])
    copy = tmp_path / "copy.spool"
    spool.tidy()
    shutil.copy(path, copy)

    # then what is put into the copy is not taken for what is put into the original
    assert entries(opened(copy)) == [("a", b"1")]
    assert opened(copy).source != spool.source


def test_a_batch_is_bounded_by_bytes_but_never_empty(path: Path) -> None:
    spool = opened(path)
    put(spool, "a", [b"x" * 1000, b"y" * 400, b"z" * 400, b"w"])

    assert [row.entry[:1] for row in spool.oldest(9, max_bytes=900)] == [b"x"]
    spool.remove(spool.oldest(1, max_bytes=1)[-1].row)
    assert [row.entry[:1] for row in spool.oldest(9, max_bytes=800)] == [b"y", b"z"]
    assert spool.count() == 3


def test_what_is_behind_an_entry_in_doubt_waits_until_that_is_settled(path: Path) -> None:
    # given
    spool = opened(path)
    put(spool, "a", [b"1"])
    put(spool, "a", [b"2"], Doubt(after=Position(5, 1), server="s", client=3))
    put(spool, "a", [b"3"])

    # then
    assert entries(spool) == [("a", b"1")]
    (uncertain,) = spool.uncertain()
    spool.settle(uncertain, [False])
    assert entries(spool) == [("a", b"1"), ("a", b"2"), ("a", b"3")]


def test_another_process_sees_at_once_that_something_waits(path: Path) -> None:
    # given
    spool = opened(path)
    script = (
        "import sys; from pathlib import Path; from bandit_service.storage.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), max_bytes=10**7)\n"
        "print(spool.waiting, flush=True); sys.stdin.readline(); print(spool.waiting, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "False\n"

        # when
        put(spool, "a", [b"1"])
        other.stdin.write("\n")
        other.stdin.flush()

        # then
        assert other.stdout.readline() == "True\n"


def test_what_put_returned_for_survives_sigkill(path: Path) -> None:
    # given a process that says what is kept, and goes on keeping
    script = (
        "import sys; from pathlib import Path; from bandit_service.storage.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), max_bytes=10**9)\n"
        "for n in range(10**6):\n"
        "    spool.put('a', [b'%d' % n], now=n); print(n, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(50):
            writer.stdout.readline()

        # when
        os.kill(writer.pid, signal.SIGKILL)
        told = 50 + len(writer.stdout.readlines())

    # then nothing that it told of is missing, and at most one more is there
    kept = [int(entry) for _, entry in entries(opened(path))]
    assert kept == list(range(len(kept)))
    assert told <= len(kept) <= told + 1
    assert opened(path).waiting


def test_threads_and_spools_of_one_file_take_turns(path: Path) -> None:
    # given
    spools = [opened(path), opened(path)]

    def write(n: int) -> None:
        for k in range(50):
            put(spools[n % 2], f"{n}", [b"%d" % k, b"and"])

    # when
    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then each one's entries are whole and in its order
    found = entries(spools[0])
    assert len(found) == 400
    for n in range(4):
        mine = [entry for site, entry in found if site == f"{n}"]
        assert mine[::2] == [b"%d" % k for k in range(50)]
    assert all(a[0] == b[0] for a, b in zip(found[::2], found[1::2], strict=True))


def test_a_full_spool_refuses_and_keeps_what_it_has(path: Path) -> None:
    # given
    spool = opened(path, megabytes=1)
    kept = 0
    error: SpoolError | None = None
    while error is None and kept < 1_000:
        try:
            put(spool, "a", [b"x" * 10_000])
            kept += 1
        except SpoolError as exc:
            error = exc

    # then
    assert error is not None
    assert "full" in error.message
    assert "spool_megabytes" in (error.hint or "")
    assert 50 < kept < 110
    assert len(entries(spool)) == kept

    # and when there is room again it goes on
    spool.remove(spool.oldest(kept, max_bytes=MEGABYTE * 100)[-1].row)
    put(spool, "a", [b"y"])
    assert entries(spool) == [("a", b"y")]


def test_nothing_of_a_put_that_failed_is_kept(path: Path) -> None:
    spool = opened(path, megabytes=1)
    with pytest.raises(SpoolError):
        put(spool, "a", [b"x" * 10_000] * 500)

    assert entries(spool) == []
    spool.rest()
    assert not spool.waiting


def test_a_folder_that_cannot_be_made_is_a_spool_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SpoolError, match="file") as caught:
        opened(tmp_path / "file" / "waiting.spool")

    assert caught.value.hint


def test_a_file_that_is_no_spool_is_a_spool_error_and_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else" * 1000)

    with pytest.raises(SpoolError, match="not a database"):
        opened(path)

    assert path.read_bytes() == b"something else" * 1000


def test_one_at_a_time_empties_the_spool(path: Path) -> None:
    one, other = opened(path), opened(path)

    with one.draining() as first, other.draining() as second:
        assert (first, second) == (True, False)
    with other.draining() as third:
        assert third


def test_entries_in_doubt_are_told_apart_by_append_and_dropped_or_kept(path: Path) -> None:
    # given
    spool = opened(path)
    one = Doubt(after=Position(5, 1), server="s", client=3)
    other = Doubt(after=Position(6, 0), server="s", client=4)
    put(spool, "a", [b"1", b"2"], one)
    put(spool, "a", [b"3"])
    put(spool, "b", [b"4"], other)

    # then
    first, second = spool.uncertain()
    assert (first.site, first.entries, first.doubt) == ("a", [b"1", b"2"], one)
    assert (second.site, second.entries, second.doubt) == ("b", [b"4"], other)

    # when it turns out that the log has the first of them
    spool.settle(first, [True, False])
    spool.settle(second, [False])
    assert entries(spool) == [("a", b"2"), ("a", b"3"), ("b", b"4")]
    assert spool.uncertain() == []


@pytest.fixture
def lax() -> Iterator[None]:
    """A process that hides nothing by itself."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_files_are_this_users_alone_whoever_made_the_folder(path: Path, lax: None) -> None:
    # given a folder that everybody may look into
    path.parent.mkdir(mode=0o755)

    # when it is used by two threads
    spool = opened(path)
    put(spool, "main", [b"x"])
    thread = threading.Thread(target=put, args=(spool, "main", [b"y"]))
    thread.start()
    thread.join()
    with spool.draining():
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    # then
    assert {f"waiting.spool{end}" for end in ("", "-wal", "-shm")} < set(modes)
    assert set(modes.values()) == {0o600}
    assert entries(spool) == [("main", b"x"), ("main", b"y")]


def test_what_has_left_the_spool_is_not_on_the_disk_any_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an SQLite that was built to leave what is deleted where it was
    connect = sqlite3.connect

    def careless(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.execute("PRAGMA secure_delete=OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", careless)
    spool = opened(path)
    put(spool, "main", [b"who was there" * 50])

    # when
    spool.remove(spool.oldest(1, max_bytes=MEGABYTE)[-1].row)
    spool.close()

    # then
    found = [file for file in path.parent.iterdir() if b"who was there" in file.read_bytes()]
    assert found == []
