from __future__ import annotations

import errno
import random
import resource
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from bandit_service.archive import segments
from bandit_service.archive.schema import METADATA_KEY, SCHEMA, SegmentInfo, table_of
from bandit_service.archive.segments import Segment, SegmentWriter
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import START
from tests.world import busy_world

ROWS = busy_world(60).rows()


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 50)


def write(path: Path) -> SegmentInfo:
    with SegmentWriter(path, site="main", after=START) as writer:
        writer.write(ROWS)
        return writer.finish(ROWS[-1][0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "segment.parquet"
    write(path)
    return path


def rewritten(path: Path, **changes: Any) -> Path:
    """The same rows in a file that says other things of itself."""
    with Segment(path) as segment:
        info = msgspec.to_builtins(segment.info) | changes
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for n in range(0, len(ROWS), 50):
            writer.write_table(table_of("main", ROWS[n : n + 50]).replace_schema_metadata())
        writer.add_key_value_metadata({METADATA_KEY: msgspec.json.encode(info)})
    return path


def test_what_was_written_is_read_from_any_place_on(path: Path) -> None:
    with Segment(path) as segment:
        assert len(segment.info.groups) > 2
        assert list(segment.rows()) == ROWS
        for n in range(0, len(ROWS), 7):
            assert list(segment.rows(ROWS[n][0])) == ROWS[n + 1 :]


def test_a_file_says_what_it_covers(path: Path) -> None:
    with Segment(path) as segment:
        info = segment.info

    assert (info.schema, info.site, info.rows) == (1, "main", len(ROWS))
    assert (info.after, info.first, info.last) == ("0-0", str(ROWS[0][0]), str(ROWS[-1][0]))
    assert info.missing == []


def test_a_file_may_cover_a_stretch_without_a_row(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    with SegmentWriter(path, site="main", after=START) as writer:
        writer.finish(ROWS[-1][0], missing=["lost"])

    with Segment(path) as segment:
        assert list(segment.rows()) == []
        assert (segment.info.first, segment.info.missing) == (None, ["lost"])


def test_a_group_ends_at_its_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_BYTES", 2_000)

    info = write(tmp_path / "segment.parquet")

    assert max(group.rows for group in info.groups) < 20


def test_a_byte_changed_anywhere_is_never_read_as_another_log(path: Path) -> None:
    whole = path.read_bytes()
    rng = random.Random(3)
    refused = []
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            with Segment(path) as segment:
                assert list(segment.rows()) == ROWS  # it hit what is not the log
        except ArchiveError as exc:
            refused.append(exc.message)
    assert len(refused) > 20
    assert all(str(path) in message for message in refused)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_that_ends_early_is_refused_by_name(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(ArchiveError, match=r"segment\.parquet is damaged") as caught:
        Segment(path)
    assert caught.value.hint


def test_a_file_that_is_not_parquet_is_refused_by_name(path: Path) -> None:
    path.write_text("ms,seq,entry\n1,0,x\n" * 100)

    with pytest.raises(ArchiveError, match=r"segment\.parquet is damaged, or not Parquet"):
        Segment(path)


def test_parquet_that_others_made_is_refused_by_name(path: Path) -> None:
    pq.write_table(table_of("main", ROWS).replace_schema_metadata(), path)

    with pytest.raises(ArchiveError, match=r"segment\.parquet is Parquet, but not of this archive"):
        Segment(path)


def test_another_version_of_the_schema_is_refused_by_name_whatever_else_it_says(path: Path) -> None:
    rewritten(path, schema=2, groups="of another kind")

    with pytest.raises(ArchiveError, match=r"segment\.parquet has version 2 .* reads version 1"):
        Segment(path)


@pytest.mark.parametrize("changes", [{"groups": []}, {"rows": "many"}])
def test_a_file_that_contradicts_itself_is_refused(path: Path, changes: dict[str, Any]) -> None:
    rewritten(path, **changes)

    with pytest.raises(ArchiveError, match="damaged"):
        Segment(path)


def test_rows_that_differ_from_their_digest_are_refused(path: Path) -> None:
    with Segment(path) as segment:
        groups = msgspec.to_builtins(segment.info.groups)
    groups[1]["digest"] = "0" * 32
    rewritten(path, groups=groups)

    with Segment(path) as segment:
        assert segment.group(0) == ROWS[:50]
        with pytest.raises(ArchiveError, match="row group 1"):
            segment.group(1)


def test_a_file_that_is_gone_is_told_apart_from_one_that_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Segment(tmp_path / "none.parquet")


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(ArchiveError, match=r"segment\.parquet cannot be written: .*No space"):
        write(tmp_path / "segment.parquet")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [0, 100, 2_000, 20_000])
def test_a_disk_that_fills_while_writing_leaves_no_file(tmp_path: Path, limit: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(ArchiveError, match=r"segment\.parquet cannot be written"):
            write(tmp_path / "segment.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be written"):
        SegmentWriter(tmp_path / "none" / "segment.parquet", site="main", after=START)


def test_what_a_file_says_can_be_read_by_other_programs(path: Path) -> None:
    said = pq.read_metadata(path).metadata[METADATA_KEY]

    assert msgspec.json.decode(said, type=SegmentInfo).rows == len(ROWS)
