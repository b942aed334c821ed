"""Our own log, from wherever it lies."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from bandit_service.archive import segments
from bandit_service.archive.export import Tally, entries_in, write_jsonl, write_parquet
from bandit_service.archive.history import History
from bandit_service.archive.schema import SCHEMA
from bandit_service.archive.times import Span
from bandit_service.catalog.model import Variant
from bandit_service.errors import LogError
from bandit_service.evaluation.batch import hash_of
from bandit_service.evaluation.logs import rows as rows_module
from bandit_service.evaluation.logs.base import LogDescription, LoggedData
from bandit_service.evaluation.logs.ours import SiteLog
from bandit_service.evaluation.logs.sources import (
    ArchiveSource,
    Found,
    LinesSource,
    LiveSource,
    SegmentsSource,
    Source,
)
from bandit_service.events.entries import (
    START,
    Decision,
    Entry,
    Event,
    Position,
    Tick,
    encode,
)
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.settings import SiteSettings
from tests.archive.sites import ArchivedSite, Row
from tests.evaluation.logs.reading import read
from tests.world import QUICK, World, a_decision, busy_world


def parquet_of(rows: list[Row], path: Path, *, after: Position = START) -> Path:
    write_parquet(entries_in(rows, Span(), Tally()), path, site="main", after=after)
    return path


def jsonl_of(rows: list[Row], path: Path) -> Path:
    with path.open("wb") as out:
        write_jsonl(rows, out)
    return path


class Listed:
    """A log that is just there."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.size: int | None = len(rows)
        self.ends = rows[-1][0].ms if rows else 0
        self.description = LogDescription(name="listed", format="site")

    def entries(self, blame: Any) -> Iterator[Found]:
        for position, data in self.rows:
            yield Found("list", str(position), position, data)

    def close(self) -> None:
        pass


def log_of(entries: list[tuple[int, Any]], settings: SiteSettings = QUICK) -> SiteLog:
    """A log of entries at moments of its clock, in ms."""
    rows = [(Position(ms, n), encode(entry)) for n, (ms, entry) in enumerate(entries)]
    return SiteLog(Listed(rows), settings)


def decided(name: str, **fields: Any) -> Decision:
    variants = [{"id": "a", "version": 1}, {"id": "b", "version": 1}]
    plain: dict[str, Any] = {
        "id": name,
        "revision": 0,
        "arms": ["a@1", "b@1"],
        "probabilities": [0.25, 0.75],
        "inline": msgspec.convert(variants, list[Variant]),
    }
    return a_decision(**{**plain, **fields})


def event(decision: str, kind: str = "click", **fields: Any) -> Event:
    return Event(**{"decision": decision, "type": kind, "at": 0, "received": 0, **fields})


@pytest.fixture
def world() -> World:
    world = busy_world(300)
    excluded = world.decide(exclude=["h0", "h2"])
    world.report(excluded.decision, "click")
    world.decide(candidates=[{"id": "x", "headline": "X"}, {"id": "y", "headline": "Y"}])
    world.put("film", 6)
    world.visit({}, visitor="late")
    world.pass_time(60)
    world.put("the-end", 1)
    return world


# -- one log, four places


def test_the_live_site_its_archive_and_its_exports_give_the_same_rows(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 100)
    site = ArchivedSite(tmp_path / "archive", stream_hours=0.03, store=world.log)
    site.clock.now = world.now
    rows, entries = world.rows(), world.entries()
    with gzip.open(tmp_path / "log.jsonl.gz", "wb") as out:
        write_jsonl(rows, out)  # type: ignore[arg-type]

    whole = read(SiteLog(LiveSource(History(world.log, None), "live"), QUICK))
    site.trim()
    assert 0 < len(world.rows()) < len(rows)
    sources: list[Source] = [
        LiveSource(site.history(), "trimmed"),
        ArchiveSource(tmp_path / "archive", "main", "archive"),
        SegmentsSource([parquet_of(rows, tmp_path / "log.parquet")], "parquet"),
        LinesSource([jsonl_of(rows, tmp_path / "log.jsonl")], "jsonl"),
        LinesSource([tmp_path / "log.jsonl.gz"], "gzip"),
    ]

    assert len(whole.rows) > 200
    for source in sources:
        found = read(SiteLog(source, QUICK))
        assert found.rows == whole.rows, source.description
        assert [(taken.position, taken.entry) for taken in found.watched] == entries
        assert found.violations == []
        assert found.told == len(rows)


def test_rows_are_what_the_service_learned_from_in_its_order(world: World) -> None:
    log = SiteLog(LiveSource(History(world.log, None), "live"), QUICK)
    fold = SiteFold(QUICK)
    learned = [o for at, entry in world.entries() for o in fold.apply(at, entry)]
    fold.close()

    found = read(log)

    places = {e.id: str(at) for at, e in world.entries() if isinstance(e, Decision)}
    assert [
        (r["place"], r["reward"], r["arms"], r["logged"], r["chosen"], r["propensity"], r["ms"])
        for r in found.rows
    ] == [
        (places[d.id], o.reward, d.arms, d.probabilities, d.chosen, d.propensity, d.at)
        for o in learned
        for d in (o.decision,)
    ]
    assert any(r["reward"] > 0 for r in found.rows)
    for row, outcome in zip(found.rows, learned, strict=True):
        visitor = outcome.decision.visitor
        assert row["key"] == hash_of(outcome.decision.id)
        assert row["cluster"] == (row["key"] if visitor is None else hash_of(visitor))


def test_a_row_has_the_candidates_of_its_own_revision(world: World) -> None:
    found = read(SiteLog(LiveSource(History(world.log, None), "live"), QUICK))

    for batch in found.batches:
        for asked in batch.asked:
            assert asked is not None
            assert asked.candidates.arms == asked.decision.arms
    counts = {len(row["arms"]) for row in found.rows}
    assert counts == {2, 4, 6}


def test_where_a_log_is_cut_into_batches_changes_no_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SiteLog(LiveSource(History(world.log, None), "live"), QUICK)
    whole = read(log)

    monkeypatch.setattr(rows_module, "BATCH_ROWS", 7)
    cut = read(log)

    assert len(cut.batches) > len(whole.batches) == 1
    assert cut.rows == whole.rows
    for batch in cut.batches:
        every = np.arange(len(batch))[::-1]
        assert [batch.take(every).places[n] for n in range(len(batch))] == list(batch.places)[::-1]


def test_entries_are_watched_before_the_rows_that_they_close_are_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "BATCH_ROWS", 1)
    log = SiteLog(LiveSource(History(world.log, None), "live"), QUICK)
    watched: set[str] = set()
    batches = log.batches(
        blame=lambda _: None,
        progress=lambda _: None,
        watch=lambda taken: watched.add(str(taken.position)),
    )

    assert all(set(batch.places) <= watched for batch in batches)


def test_what_is_no_row_is_counted_by_its_reason() -> None:
    settings = SiteSettings(rewards=RewardSettings(window_seconds=5, counts="seen"))
    slot = {"visitor": "v", "slot": 0, "slot_ms": 10_000}
    log = log_of(
        [
            (1, decided("seen")),
            (2, event("seen", "impression")),
            (3, decided("unseen")),
            (4, decided("first", **slot)),
            (5, decided("again", **slot)),
            (6, decided("other", chosen=1, **slot)),
            (7, event("again", "impression")),
            (20_000, Tick(at=20_000)),
            (20_001, decided("open")),
        ],
        settings,
    )

    found = read(log)

    assert [row["place"] for row in found.rows] == ["1-0", "4-3"]
    assert log.excluded == {"repeated_views": 1, "switched_views": 1, "censored": 1, "open": 1}
    assert found.violations == []


# -- what is wrong with entries, and where


def found_in(entries: list[tuple[int, Any]]) -> list[tuple[str, str]]:
    return [(v.kind, v.place) for v in read(log_of(entries)).violations]


def test_a_decision_that_is_there_twice_is_named_and_counts_once() -> None:
    entries = [(1, decided("d")), (2, decided("d")), (3, event("d")), (4, decided("d"))]

    found = read(log_of([*entries, (20_000, Tick(at=20_000))]))

    assert [(v.kind, v.place) for v in found.violations] == [
        ("decision_twice", "2-1"),
        ("decision_twice", "4-3"),
    ]
    assert [row["reward"] for row in found.rows] == [1.0]


def test_events_that_do_not_count_are_told_apart_by_why() -> None:
    settings_ms = QUICK.rewards.window_ms
    late = 10 + settings_ms + 1
    assert found_in(
        [
            (10, decided("d")),
            (11, event("d", "impression", id="one")),
            (12, event("d", "impression", id="one")),
            (13, event("d")),
            (14, event("d", "like")),  # in time, and its unit closed: nothing wrong
            (late, Tick(at=late)),
            (late + 1, event("d")),
            (late + 2, event("nobody")),
        ]
    ) == [
        ("event_twice", "12-2"),
        ("event_late", f"{late + 1}-6"),
        ("event_without_decision", f"{late + 2}-7"),
    ]


def test_an_event_that_waited_in_vain_is_named_where_it_stands() -> None:
    world = World()
    answer = world.decide()
    world.report(answer.decision, "click")
    decision, click = [row for row in world.rows() if b'"t":"placement"' not in row[1]][-2:]
    later = Position(click[0].ms + 60_000, 0)

    found = read(SiteLog(Listed([click, (later, encode(Tick(at=later.ms)))]), QUICK))
    met = read(
        SiteLog(
            Listed(
                [
                    (Position(click[0].ms - 1, 0), click[1]),
                    (click[0], decision[1]),
                    (later, encode(Tick(at=later.ms))),
                ]
            ),
            QUICK,
        )
    )

    assert [(v.kind, v.place) for v in found.violations] == [
        ("event_without_decision", str(click[0]))
    ]
    assert [v.kind for v in met.violations] == ["candidates_unknown"]
    assert [row["reward"] for row in met.rows] == [1.0]
    assert met.rows[0]["asked"] is None


def test_events_of_a_switched_view_are_nothing_wrong() -> None:
    slot = {"visitor": "v", "slot": 0, "slot_ms": 10_000}

    found = read(
        log_of(
            [
                (1, decided("first", **slot)),
                (2, decided("other", chosen=1, **slot)),
                (3, event("other")),
                (20_000, Tick(at=20_000)),
            ]
        )
    )

    assert found.violations == []
    assert [row["reward"] for row in found.rows] == [0.0]


def test_a_click_that_came_before_its_switched_view_is_nothing_wrong() -> None:
    world = World()
    for _ in range(2):
        world.pass_time(0.5)
        world.decide(visitor="v")
    (at, first), (later, second) = [
        (position, entry) for position, entry in world.entries() if isinstance(entry, Decision)
    ]
    second = msgspec.structs.replace(second, chosen=1 - min(first.chosen, 1))
    click = Event(decision=second.id, type="click", at=second.at, received=second.at)
    end = later.ms + 60_000
    log: list[tuple[Position, Entry]] = [
        (at, first),
        (Position(later.ms - 1, 0), click),
        (later, second),
        (Position(end, 0), Tick(at=end)),
    ]

    found = read(SiteLog(Listed([(place, encode(entry)) for place, entry in log]), QUICK))

    assert [v.kind for v in found.violations] == ["candidates_unknown"]
    assert [row["reward"] for row in found.rows] == [0.0]


def test_what_watches_is_told_what_entries_opened_and_closed_and_no_more() -> None:
    window = QUICK.rewards.window_ms
    log = log_of(
        [
            (1, decided("d")),
            (2, decided("d")),
            (3, decided("wrong", chosen=7)),
            (4, decided("e")),
            (5, event("e")),
            (window + 2, decided("wrong", chosen=7)),
        ]
    )

    found = read(log).watched

    assert [(type(t.entry), t.key, [o.decision.id for o in t.closed]) for t in found] == [
        (Decision, hash_of("d"), []),
        (Tick, None, []),
        (Tick, None, []),
        (Decision, hash_of("e"), []),
        (Event, None, ["e"]),
        (Tick, None, ["d"]),
    ]
    assert [t.position.ms for t in found] == [1, 2, 3, 4, 5, window + 2]


def test_a_log_that_runs_backwards_is_named_where_it_does() -> None:
    rows = [
        (Position(5, 0), encode(decided("a"))),
        (Position(3, 0), encode(decided("b"))),
        (Position(5, 0), encode(decided("c"))),
        (Position(20_000, 0), encode(Tick(at=20_000))),
    ]

    found = read(log := SiteLog(Listed(rows), QUICK))

    assert [(v.kind, v.place) for v in found.violations] == [
        ("time_backwards", "3-0"),
        ("time_backwards", "5-0"),
    ]
    assert [row["place"] for row in found.rows] == ["5-0"]
    assert log.excluded == {"time_backwards": 2}


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"chosen": 2}, "chosen_unknown"),
        ({"chosen": -1}, "chosen_unknown"),
        ({"probabilities": [1.0]}, "entry_unreadable"),
        ({"arms": [], "probabilities": []}, "entry_unreadable"),
    ],
)
def test_a_decision_that_chose_none_of_its_candidates_is_left_out(
    wrong: dict[str, Any], kind: str
) -> None:
    log = log_of([(1, decided("d", **wrong)), (20_000, Tick(at=20_000))])

    found = read(log)

    assert found.rows == []
    assert [(v.kind, v.place) for v in found.violations] == [(kind, "1-0")]
    assert log.excluded == {kind: 1}


def test_a_decision_whose_candidates_are_not_in_the_log_is_a_row_without_features() -> None:
    world = busy_world(30)
    rows = [row for row in world.rows() if b'"t":"placement"' not in row[1]]

    found = read(SiteLog(Listed(rows), QUICK))

    assert found.rows
    assert {row["asked"] for row in found.rows} == {None}
    assert set(found.kinds) == {"candidates_unknown"}


def test_candidates_in_another_order_than_the_catalogs_are_not_the_catalogs() -> None:
    world = busy_world(5)
    position, entry = next(
        (at, e) for at, e in world.entries() if isinstance(e, Decision) and len(e.arms) > 1
    )
    odd = msgspec.structs.replace(entry, arms=entry.arms[::-1])
    catalog = [row for row in world.rows() if b'"t":"placement"' in row[1]]
    end = Position(position.ms + 60_000, 0)

    found = read(
        SiteLog(Listed([*catalog, (position, encode(odd)), (end, encode(Tick(at=end.ms)))]), QUICK)
    )

    assert found.kinds == ["candidates_unknown"]


@pytest.mark.parametrize("broken", [b"{", b"\xff", b'{"t":"future"}', b"null", b"[" * 3_000])
def test_an_entry_that_cannot_be_read_is_left_out_by_its_place(broken: bytes) -> None:
    world = busy_world(30)
    whole = read(SiteLog(LiveSource(History(world.log, None), "x"), QUICK))
    position = world.log.append(broken)

    log = SiteLog(LiveSource(History(world.log, None), "x"), QUICK)
    found = read(log)

    assert [(v.kind, v.place) for v in found.violations] == [("entry_unreadable", str(position))]
    assert found.rows == whole.rows
    assert log.excluded["entry_unreadable"] == 1


# -- several files


def split(world: World, *cuts: int) -> list[list[Row]]:
    rows = world.rows()
    bounds = [0, *cuts, len(rows)]
    return [rows[a:b] for a, b in pairwise(bounds)]


def test_parts_of_a_log_are_read_in_their_order(world: World, tmp_path: Path) -> None:
    whole = read(SiteLog(LiveSource(History(world.log, None), "x"), QUICK))
    one, two, three = split(world, 200, 400)
    lines = [
        jsonl_of(part, tmp_path / name) for part, name in ((two, "a"), (three, "b"), (one, "c"))
    ]
    tables = [
        parquet_of(three, tmp_path / "3", after=two[-1][0]),
        parquet_of(one, tmp_path / "1"),
        parquet_of(two, tmp_path / "2", after=one[-1][0]),
    ]

    for source in (LinesSource(lines, "x"), SegmentsSource(tables, "x")):
        found = read(SiteLog(source, QUICK))
        assert found.rows == whole.rows
        assert found.violations == []


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_stretch_that_two_files_cover_is_named_and_read_once(
    world: World, tmp_path: Path, kind: str
) -> None:
    whole = read(SiteLog(LiveSource(History(world.log, None), "x"), QUICK))
    rows = world.rows()
    first, second = rows[:300], rows[250:]

    source = (
        SegmentsSource(
            [
                parquet_of(first, tmp_path / "first"),
                parquet_of(second, tmp_path / "second", after=rows[249][0]),
            ],
            "x",
        )
        if kind == "parquet"
        else LinesSource(
            [jsonl_of(first, tmp_path / "first"), jsonl_of(second, tmp_path / "second")], "x"
        )
    )
    log = SiteLog(source, QUICK)
    found = read(log)

    assert found.rows == whole.rows
    assert found.kinds == ["partition_overlaps"]
    assert found.violations[0].place == str(tmp_path / "second")
    assert str(tmp_path / "first") in found.violations[0].message
    assert log.excluded["partition_overlaps"] == 50


def test_a_stretch_that_no_file_covers_is_named(world: World, tmp_path: Path) -> None:
    one, gone, three = split(world, 200, 300)
    paths = [
        parquet_of(one, tmp_path / "1"),
        parquet_of(three, tmp_path / "3", after=gone[-1][0]),
    ]

    log = SiteLog(SegmentsSource(paths, "x"), QUICK)
    found = read(log)

    (missing,) = [v for v in found.violations if v.kind == "partition_missing"]
    assert missing.place == str(paths[1])
    assert f"after {one[-1][0]} up to {gone[-1][0]}" in missing.message


def test_a_log_that_begins_late_says_so(world: World, tmp_path: Path) -> None:
    rows = world.rows()
    path = parquet_of(rows[100:], tmp_path / "p", after=rows[99][0])

    (note,) = SegmentsSource([path], "x").description.notes

    assert str(rows[99][0]) in note


def test_files_of_two_sites_are_refused(world: World, tmp_path: Path) -> None:
    paths = [parquet_of(world.rows()[:50], tmp_path / "main")]
    write_parquet(
        iter(world.rows()[50:]), tmp_path / "shop", site="shop", after=world.rows()[49][0]
    )

    with pytest.raises(LogError, match="main, shop") as refused:
        SegmentsSource([*paths, tmp_path / "shop"], "x")
    assert refused.value.hint


# -- files that are not what they should be


def test_a_file_that_was_cut_short_or_altered_is_refused_by_name(
    world: World, tmp_path: Path
) -> None:
    rows = world.rows()
    path = parquet_of(rows, tmp_path / "log")
    data = path.read_bytes()
    column = pq.read_metadata(path).row_group(0).column(len(SCHEMA) - 1)
    inner = (column.dictionary_page_offset or column.data_page_offset) + 200
    lines = jsonl_of(rows, tmp_path / "lines").read_bytes()
    zipped = gzip.compress(lines)

    def opened(source: Callable[..., Any], data: bytes) -> list[LoggedData]:
        (tmp_path / "broken").write_bytes(data)
        return [SiteLog(source([tmp_path / "broken"], "x"), QUICK)]

    for source, broken in (
        (SegmentsSource, data[: len(data) // 2]),
        (SegmentsSource, b"PAR1" + data[4:200]),
        (SegmentsSource, lines),
        (SegmentsSource, b""),
        (SegmentsSource, data[:inner] + bytes(50) + data[inner + 50 :]),
        (LinesSource, lines[:-20]),
        (LinesSource, b""),
        (LinesSource, b"\n\n"),
        (LinesSource, data),
        (LinesSource, zipped[: len(zipped) // 2]),
        (LinesSource, zipped[:20] + bytes(20) + zipped[40:]),
        (LinesSource, b'{"position":"x","entry":{}}\n'),
    ):
        with pytest.raises(LogError) as refused:
            read(opened(source, broken)[0])
        assert str(tmp_path / "broken") in refused.value.message
        assert refused.value.hint


def test_the_line_at_which_a_file_ends_too_early_is_named(world: World, tmp_path: Path) -> None:
    path = jsonl_of(world.rows(), tmp_path / "log")
    count = len(world.rows())
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(LogError, match=f"{path}:{count} is cut short"):
        read(SiteLog(LinesSource([path], "x"), QUICK))


def test_a_broken_line_within_a_file_is_named_and_left_out(world: World, tmp_path: Path) -> None:
    path = jsonl_of(world.rows(), tmp_path / "log")
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(60, b'{"position": 7}\n')
    path.write_bytes(b"".join(lines))

    found = read(SiteLog(LinesSource([path], "x"), QUICK))

    assert [(v.kind, v.place) for v in found.violations] == [("entry_unreadable", f"{path}:61")]


def test_another_version_of_the_schema_is_refused_by_its_number(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = split(world, 100)
    one = parquet_of(parts[0], tmp_path / "1")
    monkeypatch.setattr(segments, "SCHEMA_VERSION", 2)
    two = parquet_of(parts[1], tmp_path / "2", after=parts[0][-1][0])
    monkeypatch.undo()

    with pytest.raises(LogError, match=f"{two} has version 2"):
        SegmentsSource([one, two], "x")


def test_an_archive_with_a_file_missing_or_foreign_is_refused(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path / "archive", stream_hours=1)
    site.fill(days=3, entries=20)
    site.trim()
    files = site.files()
    kept = files[1].read_bytes()
    files[1].unlink()

    with pytest.raises(LogError, match="no file for the log after"):
        ArchiveSource(tmp_path / "archive", "main", "x")

    files[1].write_bytes(kept)
    (files[1].parent / "copy.parquet").write_bytes(kept)
    with pytest.raises(LogError, match=r"copy\.parquet is not a file of this archive"):
        ArchiveSource(tmp_path / "archive", "main", "x")


def test_an_archive_says_where_it_ends_and_what_was_removed(tmp_path: Path) -> None:
    site = ArchivedSite(tmp_path / "archive", stream_hours=1, days=2)
    site.fill(days=4, entries=20)
    site.trim()
    site.clock.advance(86_400)
    site.archiver().step()

    notes = ArchiveSource(tmp_path / "archive", "main", "x").description.notes

    assert "not archived" in notes[0]
    assert all("retention" in note for note in notes[1:])


# -- memory


def endless(count: int) -> Iterator[Found]:
    for n in range(count):
        decision = decided(f"{n:032}", at=n * 1_000)
        at = Position(n * 1_000 + 1, 0)
        yield Found("x", str(at), at, encode(decision))
        if n % 3 == 0:
            at = Position(n * 1_000 + 1, 1)
            yield Found("x", str(at), at, encode(event(decision.id)))


class Endless(Listed):
    def __init__(self, count: int) -> None:
        super().__init__([])
        self.count = count
        self.ends = 2**60

    def entries(self, blame: Any) -> Iterator[Found]:
        return endless(self.count)


def peak_of(count: int) -> int:
    tracemalloc.start()
    rows = 0
    log = SiteLog(Endless(count), QUICK)
    for batch in log.batches(blame=lambda _: None, progress=lambda _: None):
        rows += len(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows > count - 10
    return peak


def test_memory_does_not_grow_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    from bandit_service.evaluation.logs import noticing

    monkeypatch.setattr(rows_module, "BATCH_ROWS", 200)
    monkeypatch.setattr(noticing.Recent.__init__, "__defaults__", (500,))
    peak_of(500)
    few = peak_of(1_500)

    assert peak_of(12_000) < 1.3 * few + 2**16


@pytest.mark.parametrize("aggregation", ["earliest", "sum"])
def test_the_end_of_a_log_keeps_no_reward_whose_like_is_missing(aggregation: Any) -> None:
    # given clicks that come at once, and a log that ends within the window of half its decisions
    rewards = RewardSettings(window_seconds=20.0, aggregation=aggregation)
    settings = msgspec.structs.replace(QUICK, rewards=rewards)
    world = World(settings)
    for _ in range(400):
        world.visit({f"h{n}": 0.5 for n in range(4)}, visitor=f"v{world.random.random()}")
        world.pass_time(0.1)
    rows = list(world.log.read(START, limit=10_000))

    # when
    log = SiteLog(Listed(rows), settings)
    found = read(log)

    # then clicks are as many as there were
    rewards_of_rows = [row["reward"] for row in found.rows]
    assert len(rewards_of_rows) > 60
    assert sum(rewards_of_rows) / len(rewards_of_rows) == pytest.approx(0.5, abs=0.15)
    assert log.excluded["too_recent"] > 0
