from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest

from bandit_service.archive import segments
from bandit_service.archive.export import (
    LoggedLine,
    Tally,
    before,
    entries_in,
    write_examples,
    write_jsonl,
    write_parquet,
)
from bandit_service.archive.outfile import replacing, written
from bandit_service.archive.schema import SCHEMA, LogRow, rows_of
from bandit_service.archive.segments import Segment
from bandit_service.archive.times import Span, parse_time, readable, span_of
from bandit_service.errors import InvalidInput, LogError
from bandit_service.events.entries import START, Decision, Event, Position, Tick, encode
from bandit_service.storage.ports import entries_of
from tests.world import QUICK, World, a_decision, busy_world

ALL = Span()


def lines_of(world: World, span: Span = ALL) -> tuple[list[LoggedLine], Tally]:
    out, tally = io.BytesIO(), Tally()
    rows = entries_of(world.log, after=before(span), upto=world.log.tail())
    write_jsonl(entries_in(rows, span, tally), out)
    decoder = msgspec.json.Decoder(LoggedLine)
    return [decoder.decode(line) for line in out.getvalue().splitlines()], tally


def parquet_of(world: World, path: Path, span: Span = ALL) -> Path:
    after = before(span)
    rows = entries_of(world.log, after=after, upto=world.log.tail())
    write_parquet(entries_in(rows, span, Tally()), path, site="main", after=after)
    return path


def as_rows(lines: list[LoggedLine]) -> list[LogRow]:
    return [(Position.parse(line.position), bytes(line.entry)) for line in lines]


# -- JSON Lines


def test_every_line_gives_back_position_and_entry_to_the_byte() -> None:
    world = busy_world(80)
    world.decide(visitor='quo"te', traits={"é ☃": ["\x00\n\u2028", "]}"]})

    lines, tally = lines_of(world)

    assert as_rows(lines) == world.rows()
    assert tally.written.total() == len(lines)
    assert {"decision", "event", "placement", "personas"} <= set(tally.written)


def test_spans_that_meet_have_every_entry_between_them_once() -> None:
    world = busy_world(80)
    rows = world.rows()
    early, late = rows[30][0].ms, rows[60][0].ms
    spans = [Span(None, early), Span(early, late), Span(late, None)]

    parts = [as_rows(lines_of(world, span)[0]) for span in spans]

    assert [row for part in parts for row in part] == rows
    assert all(parts)
    assert len({position.ms for position, _ in rows}) < len(rows)  # some share a millisecond


# -- Parquet


def test_an_exported_file_is_a_file_of_the_archive_with_the_entries_to_the_byte(
    tmp_path: Path,
) -> None:
    world = busy_world(80)

    path = parquet_of(world, tmp_path / "log.parquet")

    table = pq.read_table(path)
    assert table.schema.names == SCHEMA.names
    assert rows_of(table) == world.rows()
    with Segment(path) as segment:
        assert list(segment.rows()) == world.rows()
    compression = {
        pq.ParquetFile(path).metadata.row_group(0).column(n).compression
        for n in range(len(SCHEMA.names))
    }
    assert compression == {"ZSTD"}


def test_duckdb_and_polars_count_what_the_log_has(tmp_path: Path) -> None:
    world = busy_world(80)
    path = parquet_of(world, tmp_path / "log.parquet")
    decisions = [e for _, e in world.entries() if isinstance(e, Decision)]

    with duckdb.connect() as db:
        (row,) = db.execute(
            "select count(*), sum(propensity) from read_parquet(?) where kind = 'decision'",
            [str(path)],
        ).fetchall()
    frame = pl.read_parquet(path).filter(pl.col("kind") == "decision")

    assert row == (len(decisions), pytest.approx(sum(d.propensity for d in decisions)))
    assert frame["arm"].to_list() == [d.arm for d in decisions]


def test_a_span_of_a_log_says_where_it_begins(tmp_path: Path) -> None:
    world = busy_world(80)
    middle = world.rows()[60][0].ms

    path = parquet_of(world, tmp_path / "part.parquet", Span(since=middle))

    with Segment(path) as segment:
        assert Position.parse(segment.info.after).ms == middle - 1
        assert list(segment.rows()) == [row for row in world.rows() if row[0].ms >= middle]


def test_an_empty_stretch_is_a_valid_file_without_rows(tmp_path: Path) -> None:
    world = busy_world(5)

    path = parquet_of(world, tmp_path / "none.parquet", Span(until=1))

    assert pq.read_table(path).num_rows == 0
    assert lines_of(world, Span(until=1)) == ([], Tally())


# -- what cannot be read


@pytest.mark.parametrize(
    "broken", [b"{", b"\xff\xfe", b'{"t":"from the future"}', b'{"t":"event"}', b"", b"null"]
)
def test_an_entry_that_cannot_be_read_is_named_by_its_position(broken: bytes) -> None:
    world = busy_world(5)
    position = world.log.append(broken)

    for export in (
        lines_of,
        lambda w: write_examples(w.rows(), io.BytesIO(), QUICK, Span(), Tally()),
    ):
        with pytest.raises(LogError, match=f"at position {position}, "):
            export(world)


@pytest.mark.parametrize("chosen", [-1, 4])
def test_a_decision_that_chose_none_of_its_candidates_is_named_too(chosen: int) -> None:
    world = busy_world(5)
    decision = next(e for _, e in world.entries() if isinstance(e, Decision))
    odd = msgspec.structs.replace(decision, id="B" * 32, chosen=chosen)
    position = world.log.append(encode(odd))

    with pytest.raises(LogError, match=f"at position {position}, .*candidates"):
        lines_of(world)


# -- memory


def endless(count: int) -> Iterator[LogRow]:
    """A log of that many decisions and clicks, a few seconds long between, made as it is read."""
    for n in range(count):
        decision = a_decision(
            id=f"{n:032}", at=n * 1_000, placement="p", revision=0, confidence=1.0, inline=[]
        )
        yield Position(n * 1_000, 0), encode(decision)
        if n % 3 == 0:
            event = Event(decision=decision.id, type="click", at=n * 1_000, received=n * 1_000)
            yield Position(n * 1_000, 1), encode(event)
        yield Position(n * 1_000, 2), encode(Tick(at=n * 1_000))


def peak_of(count: int, kind: str, folder: Path) -> int:
    """The most bytes of Python's own that an export of so many decisions held at once."""
    tally = Tally()
    tracemalloc.start()
    with Path(os.devnull).open("wb") as out:
        if kind == "dsjson":
            write_examples(endless(count), out, QUICK, Span(), tally)
        elif kind == "jsonl":
            write_jsonl(entries_in(endless(count), Span(), tally), out)
        else:
            rows = entries_in(endless(count), Span(), tally)
            write_parquet(rows, folder / "log", site="main", after=START)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", ["dsjson", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_log(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 500)
    peak_of(100, kind, tmp_path)  # what is made once
    few = peak_of(1_000, kind, tmp_path)

    assert peak_of(8_000, kind, tmp_path) < 1.5 * few + 2**17


# -- times


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-02", 86_400_000),
        ("2030-03-13T12:00:00Z", 1_899_633_600_000),
        ("2030-03-13T12:00:00", 1_899_633_600_000),
        ("2030-03-13T14:00:00.250+02:00", 1_899_633_600_250),
        ("2030-03-13 12:00", 1_899_633_600_000),
        ("0001-01-01", 0),
    ],
)
def test_a_date_or_time_is_read_in_utc_unless_it_says_otherwise(text: str, ms: int) -> None:
    assert parse_time(text, "since") == ms


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2030-02-30", "12:00", "2030-01-01T25:00", "1900000000000000", "\x00"]
)
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"until .* is not a time") as refused:
        span_of(None, text)
    assert refused.value.field == "until"


@pytest.mark.parametrize("until", ["2030-01-01", "2029-12-31"])
def test_a_span_that_ends_before_it_begins_is_refused(until: str) -> None:
    with pytest.raises(InvalidInput, match="is not before"):
        span_of("2030-01-01", until)


def test_a_moment_is_written_as_it_is_read() -> None:
    assert readable(1_899_633_600_250) == "2030-03-13T12:00:00.250Z"
    assert parse_time(readable(1), "since") == 1
    assert readable(10**17) == "100000000000000000 ms"


# -- the file


def test_a_file_appears_when_it_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with written(tmp_path / "out", force=False) as stream:
        stream.write(b"half")
        assert not (tmp_path / "out").exists()
        stream.write(b" and half")

    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == b"half and half"


def write(path: Path, *, force: bool, meanwhile: Callable[[], object]) -> None:
    with written(path, force=force) as out:
        out.write(b"mine")
        meanwhile()


def fail() -> None:
    raise LogError("stop")


@pytest.mark.parametrize("force", [True, False])
def test_what_fails_half_way_leaves_nothing_and_spares_what_was_there(
    tmp_path: Path, force: bool
) -> None:
    (tmp_path / "out").write_bytes(b"old")

    with pytest.raises((LogError, InvalidInput)):
        write(tmp_path / "out", force=force, meanwhile=fail)

    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == b"old"


def test_a_file_that_somebody_else_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    theirs = tmp_path / "o"

    with pytest.raises(InvalidInput, match="exists"):
        write(theirs, force=False, meanwhile=lambda: theirs.write_bytes(b"theirs"))

    assert theirs.read_bytes() == b"theirs"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("place", ["nowhere/out", ".", "/dev/null", "/proc/out", "x" * 300])
def test_a_place_that_cannot_be_written_to_is_refused_by_name(place: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused, replacing(tmp_path / place, force=True):
        pass

    assert str(tmp_path / place) in refused.value.message
    assert refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(InvalidInput, match="No space left"), written(tmp_path / "o", force=False):
        pass
    assert list(tmp_path.iterdir()) == []
