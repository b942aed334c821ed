"""What every store keeps, asked of each of them alike, and what Redis alone can break.

``fakeredis`` runs Lua only where its extra is installed, so elsewhere it answers for everything but
the scripts; a real Redis answers for all.
"""

from __future__ import annotations

import importlib.util
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import fakeredis
import pytest
import redis

from bandit_service.errors import StorageError
from bandit_service.events.entries import START, Position
from bandit_service.storage import redis_store as adapter
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import (
    PERSONAS_KEY,
    Amendment,
    Archived,
    Document,
    Doubt,
    Head,
    Publication,
    Report,
    Resumed,
    SiteStore,
    Store,
    entries_of,
)
from bandit_service.storage.redis_store import RedisStore

MEMORY = pytest.param("memory", id="memory")
FAKE = pytest.param("fakeredis", id="fakeredis")
REAL = pytest.param("redis", id="redis", marks=pytest.mark.redis)
LUA = importlib.util.find_spec("lupa") is not None

SCRIPTED = [MEMORY, REAL, *([FAKE] if LUA else [])]
scripted = pytest.mark.parametrize("store", SCRIPTED, indirect=True)


@pytest.fixture(params=[MEMORY, FAKE, REAL])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each store in turn, empty."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "redis":
        yield request.getfixturevalue("redis_store")
    else:
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        fake = RedisStore("redis://fake", client=client)
        yield fake
        fake.close()


@pytest.fixture
def site(store: Store) -> SiteStore:
    return store.site("main")


def name(digest: str, settings: str = "5e771265") -> str:
    return f"1-1.{settings}.{digest}"


def publication(
    digest: str,
    position: Position,
    *,
    generation: int = 1,
    report: Report | None = None,
    checkpoint: bytes | None = None,
) -> Publication:
    head = Head(name(digest), position, generation)
    return Publication(head, b"bytes of " + digest.encode(), b"settings", report, checkpoint)


def counted(site: bytes, *placements: str, whole: bool = False, by: bytes = b"1") -> Report:
    """What a learner would have counted of some placements."""
    summaries, sums, series = (
        {p: part + p.encode() + by for p in placements} for part in (b"S", b"s", b"t")
    )
    return Report(site, summaries, sums, series, whole)


def in_threads(*works: Callable[[], None]) -> None:
    """Run all at the same time; the first error of any is raised here."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait(timeout=10)
            work()
        except BaseException as exc:  # noqa: BLE001 - raised again below
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


# -- the log


def test_an_empty_log_has_neither_entries_nor_a_tail(site: SiteStore) -> None:
    assert site.length() == 0
    assert site.tail() == START
    assert site.read(START, limit=10) == []


def test_entries_come_back_in_the_order_of_their_appending(site: SiteStore) -> None:
    # when
    first = site.append(b"one")
    others = site.append_many([b"two", b"three", b"four"])
    last = site.append(b"five")

    # then
    positions = [first, *others, last]
    assert site.read(START, limit=10) == list(
        zip(positions, [b"one", b"two", b"three", b"four", b"five"], strict=True)
    )
    assert positions == sorted(set(positions))
    assert first > START
    assert site.tail() == last
    assert site.length() == 5


@pytest.mark.parametrize(
    "entry",
    [b"", bytes(range(256)), b"\r\n$-1\r\n", "ünïcode 🎬".encode(), b"x" * 1_000_000],
    ids=["empty", "every byte", "protocol", "text", "a megabyte"],
)
def test_an_entry_comes_back_to_the_byte(site: SiteStore, entry: bytes) -> None:
    site.append(entry)
    site.append_many([entry])

    assert [data for _, data in site.read(START, limit=10)] == [entry, entry]


def test_nothing_can_be_appended_and_changes_nothing(site: SiteStore) -> None:
    assert site.append_many([]) == []
    assert site.length() == 0


def test_a_read_starts_after_its_position_and_ends_at_its_limit(site: SiteStore) -> None:
    # given
    positions = site.append_many([b"%d" % n for n in range(5)])

    # then
    assert [d for _, d in site.read(START, limit=2)] == [b"0", b"1"]
    assert [d for _, d in site.read(positions[1], limit=2)] == [b"2", b"3"]
    assert [d for _, d in site.read(positions[3], limit=2)] == [b"4"]
    assert site.read(positions[4], limit=2) == []
    assert site.read(Position(positions[4].ms + 10**6, 0), limit=2) == []


def test_a_read_that_may_wait_answers_at_once_when_there_is_something(site: SiteStore) -> None:
    # given
    positions = site.append_many([b"one", b"two"])

    # then
    assert [d for _, d in site.read(START, limit=9, block_ms=60_000)] == [b"one", b"two"]
    assert site.read(positions[0], limit=9, block_ms=60_000) == [(positions[1], b"two")]


def test_a_read_that_waited_in_vain_is_empty(site: SiteStore) -> None:
    tail = site.append(b"one")

    assert site.read(tail, limit=9, block_ms=5) == []


def test_a_waiting_read_is_woken_by_an_entry(store: Store) -> None:
    # given
    reader, writer = store.site("main"), store.site("main")
    tail = writer.append(b"before")
    seen: list[bytes] = []

    def read() -> None:
        rows: list[tuple[Position, bytes]] = []
        while not rows:
            rows = reader.read(tail, limit=9, block_ms=2_000)
        seen.extend(data for _, data in rows)

    def write() -> None:
        writer.append(b"after")
        close = getattr(store, "_hot", None)
        if close is not None:  # each thread has a connection of its own
            close.close()

    # when
    in_threads(read, write)

    # then
    assert seen == [b"after"]


def test_the_log_is_read_to_a_position_in_batches(site: SiteStore) -> None:
    # given
    positions = site.append_many([b"%d" % n for n in range(10)])

    # when
    rows = list(entries_of(site, after=positions[1], upto=positions[7], batch=3))

    # then
    assert rows == [(positions[n], b"%d" % n) for n in range(2, 8)]
    assert list(entries_of(site, after=positions[9], upto=positions[9], batch=3)) == []


def test_two_writers_append_every_entry_once(store: Store) -> None:
    # given
    def writer(mark: bytes) -> Callable[[], None]:
        def write() -> None:
            site = store.site("main")
            for n in range(50):
                site.append(mark + b"%d" % n)
            hot = getattr(store, "_hot", None)
            if hot is not None:
                hot.close()

        return write

    # when
    in_threads(writer(b"a"), writer(b"b"))

    # then
    entries = [data for _, data in store.site("main").read(START, limit=1000)]
    assert sorted(entries) == sorted(m + b"%d" % n for m in (b"a", b"b") for n in range(50))
    for mark in (b"a", b"b"):
        assert [e for e in entries if e[:1] == mark] == [mark + b"%d" % n for n in range(50)]


def test_a_clock_that_goes_back_does_not_take_the_log_with_it() -> None:
    # given
    times = iter([1000, 500, 1000, 2000])
    site = MemoryStore(clock=lambda: next(times)).site("main")

    # when
    positions = site.append_many([b"a", b"b", b"c", b"d"])

    # then
    assert positions == [(1000, 0), (1000, 1), (1000, 2), (2000, 0)]


# -- sites


def test_sites_know_nothing_of_each_other(store: Store) -> None:
    # when
    store.site("one").append(b"x")
    store.site("one").remember_visits({("v", "p"): b"seen"}, expire_seconds=60)

    # then
    other = store.site("two")
    assert other.length() == 0
    assert other.visits("v") == {}
    assert other.secret() != store.site("one").secret()


def test_sites_are_known_once_registered(store: Store) -> None:
    assert store.sites() == []

    store.register("zoo")
    store.register("abc")
    store.register("zoo")

    assert store.sites() == ["abc", "zoo"]


def test_the_first_append_registers_a_site_and_reading_does_not(store: Store) -> None:
    # when
    reading = store.site("reading")
    reading.read(START, limit=1)
    reading.pulse()
    store.site("one").append(b"x")
    store.site("many").append_many([b"x", b"y"])

    # then
    assert store.sites() == ["many", "one"]


@scripted
def test_the_first_commit_or_publication_registers_a_site(store: Store) -> None:
    store.site("edited").commit([Amendment(Document("p", 1, b"{}"), 0, b"x")])
    store.site("learned").publish(publication("a", START), replaces=0, keep=3)

    assert store.sites() == ["edited", "learned"]


def test_the_secret_of_a_site_is_made_once(store: Store) -> None:
    first = store.site("main").secret()

    assert len(first) == 32
    assert store.site("main").secret() == first


@scripted
def test_a_ring_of_mac_keys_is_replaced_by_whoever_knows_the_present_one(store: Store) -> None:
    # given a site without one
    site, other = store.site("main"), store.site("other")
    assert (site.mac_keys(), site.pulse().mac_keys) == ((0, None), 0)

    # when
    stored = [
        site.replace_mac_keys(ring, replaces=replaces)
        for replaces, ring in ((1, b"no"), (0, b"one"), (0, b"late"), (1, b"\x00two\xff"))
    ]

    # then
    assert stored == [False, True, False, True]
    assert site.mac_keys() == (2, b"\x00two\xff")
    assert store.site("main").mac_keys() == site.mac_keys()
    assert (site.pulse().mac_keys, site.pulse().head) == (2, None)
    assert (other.mac_keys(), other.pulse().mac_keys) == ((0, None), 0)
    assert site.secret() == store.site("main").secret()


def test_a_store_answers_and_says_where_it_is(store: Store) -> None:
    store.probe()

    assert store.describe()


# -- keys


def test_key_records_are_kept_by_digest_and_replaced(store: Store) -> None:
    # given
    assert store.keys() == {}
    assert store.put_keys({"aa": b"first", "bb": b"second"}, replaces={})

    # when
    assert store.put_keys({"aa": b"revoked"}, replaces={"aa": b"first"})

    # then
    assert store.keys() == {"aa": b"revoked", "bb": b"second"}


@pytest.mark.parametrize("replaces", [{}, {"aa": b"other"}, {"aa": b"first", "bb": b"other"}])
def test_key_records_are_replaced_all_together_and_only_as_they_were_read(
    store: Store, replaces: dict[str, bytes]
) -> None:
    # given
    store.put_keys({"aa": b"first"}, replaces={})
    before = store.site("main").pulse()

    # when
    assert not store.put_keys({"aa": b"rotated", "bb": b"successor"}, replaces=replaces)

    # then
    assert store.keys() == {"aa": b"first"}
    assert store.site("main").pulse() == before


def test_the_pulse_beats_when_a_key_changes(store: Store) -> None:
    # given
    site = store.site("main")
    before = site.pulse()

    # when
    store.put_keys({"aa": b"first"}, replaces={})
    between = site.pulse()
    store.put_keys({"aa": b"revoked"}, replaces={"aa": b"first"})

    # then
    assert len({before.keys, between.keys, site.pulse().keys}) == 3
    assert site.pulse()._replace(keys=before.keys) == before


# -- the catalog


def test_a_new_site_has_no_catalog(site: SiteStore) -> None:
    assert site.catalog(0) == (0, [])
    assert site.document("film") is None
    assert site.document("film", 1) is None
    assert site.pulse().catalog == 0


@scripted
def test_a_commit_stores_the_document_and_its_entry(site: SiteStore) -> None:
    # when
    stored = site.commit([Amendment(Document("film", 1, b"{1}"), 0, b"film is new")])

    # then
    assert stored
    assert site.document("film") == Document("film", 1, b"{1}")
    assert [d for _, d in site.read(START, limit=9)] == [b"film is new"]
    assert site.catalog(0) == (1, [Document("film", 1, b"{1}")])
    assert site.pulse().catalog == 1


@scripted
@pytest.mark.parametrize("replaces", [0, 2, 99])
def test_a_commit_on_another_revision_changes_nothing(site: SiteStore, replaces: int) -> None:
    # given
    site.commit([Amendment(Document("film", 1, b"{1}"), 0, b"film is new")])
    before = (site.document("film"), site.catalog(0), site.pulse(), site.length())

    # when
    stored = site.commit([Amendment(Document("film", 2, b"{2}"), replaces, b"lost")])

    # then
    assert not stored
    assert (site.document("film"), site.catalog(0), site.pulse(), site.length()) == before
    assert site.document("film", 2) is None


@scripted
def test_several_documents_are_committed_together_and_in_order(site: SiteStore) -> None:
    # given
    site.commit([Amendment(Document("a", 1, b"a1"), 0, b"a is new")])

    # when
    stored = site.commit(
        [
            Amendment(Document("b", 1, b"b1"), 0, b"b is new"),
            Amendment(Document("a", 2, b"a2"), 1, b"a changed"),
        ]
    )

    # then
    assert stored
    assert [data for _, data in site.read(START, limit=9)] == [
        b"a is new",
        b"b is new",
        b"a changed",
    ]
    revision, documents = site.catalog(0)
    assert (revision, sorted(documents)) == (3, [Document("a", 2, b"a2"), Document("b", 1, b"b1")])
    assert site.catalog(2) == (3, [Document("a", 2, b"a2")])
    assert site.pulse().catalog == 3


@scripted
@pytest.mark.parametrize("late", [0, 1])
def test_several_documents_are_committed_all_or_none(site: SiteStore, late: int) -> None:
    # given one of two that is not as it was read, be it the first or the second
    site.commit([Amendment(Document("a", 1, b"a1"), 0, b"a is new")])
    before = (site.catalog(0), site.pulse(), site.length())
    amendments = [Amendment(Document("b", 1, b"b1"), 0, b"b is new")]
    amendments.insert(late, Amendment(Document("a", 1, b"a1"), 0, b"a again"))

    # then
    assert not site.commit(amendments)
    assert (site.catalog(0), site.pulse(), site.length()) == before
    assert site.document("b") is None


@scripted
def test_a_document_that_does_not_exist_cannot_be_replaced(site: SiteStore) -> None:
    assert not site.commit([Amendment(Document("film", 2, b"{2}"), 1, b"lost")])
    assert site.length() == 0


@scripted
def test_every_revision_of_a_document_stays_readable(site: SiteStore) -> None:
    # when
    for revision in (1, 2, 3):
        data = b"{%d}" % revision
        site.commit([Amendment(Document("film", revision, data), revision - 1, b"e")])

    # then
    assert site.document("film") == Document("film", 3, b"{3}")
    assert [site.document("film", n) for n in (1, 2, 3, 4)] == [
        Document("film", 1, b"{1}"),
        Document("film", 2, b"{2}"),
        Document("film", 3, b"{3}"),
        None,
    ]


@scripted
def test_the_catalog_tells_what_changed_since_a_revision(site: SiteStore) -> None:
    # given
    personas = Document(PERSONAS_KEY, 1, b"personas")
    site.commit([Amendment(Document("a", 1, b"a1"), 0, b"e")])
    site.commit([Amendment(Document("b", 1, b"b1"), 0, b"e")])
    site.commit([Amendment(personas, 0, b"e")])
    site.commit([Amendment(Document("a", 2, b"a2"), 1, b"e")])

    # then
    revision, everything = site.catalog(0)
    assert revision == 4
    assert sorted(everything) == sorted(
        [Document("a", 2, b"a2"), Document("b", 1, b"b1"), personas]
    )
    assert sorted(site.catalog(2)[1]) == sorted([Document("a", 2, b"a2"), personas])
    assert site.catalog(3) == (4, [Document("a", 2, b"a2")])
    assert site.catalog(4) == (4, [])


@scripted
def test_of_two_writers_each_revision_has_one(store: Store) -> None:
    # given
    wins: list[str] = []

    def writer(mark: str) -> Callable[[], None]:
        def write() -> None:
            site, won = store.site("main"), 0
            while won < 20:
                present = site.document("film")
                replaces = 0 if present is None else present.revision
                entry = f"{mark}{replaces + 1}".encode()
                document = Document("film", replaces + 1, entry)
                if site.commit([Amendment(document, replaces, entry)]):
                    wins.append(entry.decode())
                    won += 1

        return write

    # when
    in_threads(writer("a"), writer("b"))

    # then
    site = store.site("main")
    entries = [data.decode() for _, data in site.read(START, limit=100)]
    assert sorted(entries) == sorted(wins)
    assert [int(entry[1:]) for entry in entries] == list(range(1, 41))
    assert [site.document("film", n) for n in range(1, 41)] == [
        Document("film", n, entries[n - 1].encode()) for n in range(1, 41)
    ]


# -- snapshots


def test_a_new_site_serves_nothing(site: SiteStore) -> None:
    assert site.head() is None
    assert site.pulse().head is None
    assert site.snapshot(name("a")) is None
    assert site.settings("5e771265") is None
    assert site.checkpoint() is None
    assert site.resumed() is None
    assert site.report() is None
    assert site.summaries() == site.summaries(["film"]) == {}
    assert site.sums(["film"]) == [None]
    assert site.sums([]) == []
    assert site.series("film") is None


@scripted
def test_what_is_published_is_served(site: SiteStore) -> None:
    # when
    answer = site.publish(
        publication(
            "a", Position(5, 1), report=counted(b"site", "film"), checkpoint=b"\x00checkpoint\xff"
        ),
        replaces=0,
        keep=3,
    )

    # then
    head = Head(name("a"), Position(5, 1), 1)
    assert answer == "published"
    assert site.head() == head
    assert site.pulse().head == head
    assert site.snapshot(name("a")) == b"bytes of a"
    assert site.settings("5e771265") == b"settings"
    assert site.report() == b"site"
    assert site.checkpoint() == b"\x00checkpoint\xff"


@scripted
def test_a_publication_without_a_checkpoint_keeps_the_last_one(site: SiteStore) -> None:
    # given
    report = counted(b"r", "film")
    site.publish(
        publication("a", Position(5, 1), report=report, checkpoint=b"c"), replaces=0, keep=3
    )

    # when
    site.publish(publication("b", Position(6, 0)), replaces=1, keep=3)

    # then
    assert (site.report(), site.checkpoint()) == (b"r", b"c")
    assert site.resumed() == Resumed(b"c", b"r", report.sums, report.series)


@scripted
def test_what_was_counted_of_placements_is_read_together_and_apart(site: SiteStore) -> None:
    # when
    report = counted(b"site", "film", "fïlm 2", "")
    site.publish(publication("a", START, report=report, checkpoint=b"c"), replaces=0, keep=3)

    # then
    assert site.summaries() == report.summaries
    assert site.summaries(["", "nowhere", "film"]) == {"": b"S1", "film": b"Sfilm1"}
    assert site.summaries([]) == {}
    assert site.sums(["fïlm 2", "nowhere", ""]) == [report.sums["fïlm 2"], None, b"s1"]
    assert site.series("fïlm 2") == report.series["fïlm 2"]
    assert site.series("nowhere") is None
    assert site.resumed() == Resumed(b"c", b"site", report.sums, report.series)


@scripted
def test_placements_that_did_not_change_are_kept_unless_all_are_replaced(site: SiteStore) -> None:
    # given
    first = counted(b"1", "a", "b")
    site.publish(publication("a", START, report=first, checkpoint=b"c"), replaces=0, keep=3)

    # when some change, or nothing but the site does
    site.publish(publication("b", START, report=counted(b"2", "b", by=b"2")), replaces=1, keep=3)
    site.publish(publication("c", START, report=counted(b"3")), replaces=1, keep=3)

    # then
    assert site.report() == b"3"
    assert site.summaries() == {"a": b"Sa1", "b": b"Sb2"}
    assert site.sums(["a", "b"]) == [b"sa1", b"sb2"]

    # when a rebuild has counted anew
    anew = counted(b"4", "b", whole=True, by=b"4")
    rebuilt = publication("d", START, generation=2, report=anew, checkpoint=b"new")
    site.publish(rebuilt, replaces=1, keep=3)

    # then
    assert site.summaries() == {"b": b"Sb4"}
    assert site.sums(["a", "b"]) == [None, b"sb4"]
    assert site.series("a") is None
    assert site.resumed() == Resumed(b"new", b"4", {"b": b"sb4"}, {"b": b"tb4"})


@scripted
@pytest.mark.parametrize("replaces", [0, 1])
def test_what_was_counted_by_one_who_is_refused_changes_nothing(
    site: SiteStore, replaces: int
) -> None:
    # given
    first = counted(b"1", "a")
    ahead = publication("a", Position(5, 0), report=first, checkpoint=b"c")
    site.publish(ahead, replaces=0, keep=3)

    # when one that is behind, or built on nothing, publishes
    late = counted(b"2", "a", "b", whole=True, by=b"2")
    old = publication("b", Position(4, 0), report=late, checkpoint=b"old")
    answer = site.publish(old, replaces=replaces, keep=3)

    # then
    assert answer == ("behind" if replaces else "superseded")
    assert site.resumed() == Resumed(b"c", b"1", first.sums, first.series)
    assert site.summaries() == first.summaries


@scripted
@pytest.mark.parametrize("position", [Position(4, 99), Position(5, 1)])
def test_a_publication_that_is_behind_changes_nothing(site: SiteStore, position: Position) -> None:
    # given
    site.publish(publication("a", Position(5, 2), checkpoint=b"c"), replaces=0, keep=3)

    # when
    answer = site.publish(publication("old", position, checkpoint=b"old"), replaces=1, keep=3)

    # then
    assert answer == "behind"
    assert site.head() == Head(name("a"), Position(5, 2), 1)
    assert site.snapshot(name("old")) is None
    assert site.checkpoint() == b"c"


@scripted
@pytest.mark.parametrize("position", [Position(5, 2), Position(5, 10), Position(6, 0)])
def test_a_publication_that_is_as_far_or_further_is_served(
    site: SiteStore, position: Position
) -> None:
    site.publish(publication("a", Position(5, 2)), replaces=0, keep=3)

    assert site.publish(publication("b", position), replaces=1, keep=3) == "published"
    assert site.head() == Head(name("b"), position, 1)


@scripted
def test_a_rebuild_takes_over_and_its_predecessor_is_refused(site: SiteStore) -> None:
    # given
    site.publish(publication("a", Position(5, 2)), replaces=0, keep=3)

    # when a rebuild switches over, though it has not read as far
    rebuilt = publication("rebuilt", Position(3, 0), generation=2, checkpoint=b"new")
    switched = site.publish(rebuilt, replaces=1, keep=3)
    late = site.publish(publication("late", Position(9, 0), checkpoint=b"old"), replaces=1, keep=3)

    # then
    assert switched == "published"
    assert late == "superseded"
    assert site.head() == rebuilt.head
    assert site.checkpoint() == b"new"
    assert site.snapshot(name("late")) is None


@scripted
@pytest.mark.parametrize("replaces", [1, 2])
def test_a_publisher_that_built_on_nothing_known_is_refused(site: SiteStore, replaces: int) -> None:
    assert site.publish(publication("a", START), replaces=replaces, keep=3) == "superseded"
    assert site.head() is None


@scripted
def test_the_first_snapshot_of_every_generation_is_kept_in_mind(site: SiteStore) -> None:
    assert site.generations() == []
    first, later = publication("a", Position(1, 0)), publication("b", Position(2, 0))
    rebuilt = publication("c", Position(2, 0), generation=2)
    again = publication("d", Position(3, 0), generation=10)

    assert site.publish(first, replaces=0, keep=1) == "published"
    assert site.publish(later, replaces=1, keep=1) == "published"
    assert site.publish(rebuilt, replaces=1, keep=1) == "published"
    assert site.publish(later, replaces=1, keep=1) == "superseded"
    assert site.publish(again, replaces=2, keep=1) == "published"

    found = [(head.name, head.generation) for head in site.generations()]
    assert found == [(name("a"), 1), (name("c"), 2), (name("d"), 10)]


def test_the_note_of_a_rebuild_is_replaced_by_whoever_read_it(site: SiteStore) -> None:
    assert site.rebuilding() is None
    assert not site.note_rebuilding(b"late", replaces=b"something")
    assert site.note_rebuilding(b"one", replaces=None)
    assert not site.note_rebuilding(b"other", replaces=None)
    assert site.note_rebuilding(b"two", replaces=b"one")
    assert not site.note_rebuilding(b"late", replaces=b"one")

    assert site.rebuilding() == b"two"


def test_the_newest_snapshots_stay_readable_and_all_settings(site: SiteStore) -> None:
    # when
    for n in range(5):
        head = Head(name(f"d{n}", f"{n:08x}"), Position(n, 0), 1)
        published = Publication(head, b"%d" % n, b"settings %d" % n)
        site.publish(published, replaces=min(n, 1), keep=2)

    # then
    kept = [site.snapshot(name(f"d{n}", f"{n:08x}")) for n in range(5)]
    assert kept == [None, None, None, b"3", b"4"]
    assert [site.settings(f"{n:08x}") for n in range(5)] == [b"settings %d" % n for n in range(5)]


@scripted
def test_the_kept_snapshots_are_named_the_newest_first(store: Store) -> None:
    site = store.site("main")
    assert site.snapshots() == []
    for digest in "abc":
        site.publish(publication(digest, START), replaces=0 if digest == "a" else 1, keep=2)

    assert site.snapshots() == [name("c"), name("b")]


@scripted
def test_a_snapshot_published_twice_takes_one_place(site: SiteStore) -> None:
    # when two learners derive the same snapshots
    for n, digest in enumerate(["a", "a", "b", "b"]):
        site.publish(publication(digest, Position(n, 0)), replaces=min(n, 1), keep=2)

    # then
    assert [site.snapshot(name(digest)) for digest in ("a", "b")] == [b"bytes of a", b"bytes of b"]


# -- archived and trimmed


def learned(site: SiteStore, position: Position) -> None:
    """Leave a checkpoint there."""
    head = site.head()
    site.publish(
        publication(str(position), position, checkpoint=b"checkpoint"),
        replaces=0 if head is None else 1,
        keep=9,
    )


def test_a_log_that_was_never_archived_says_so(site: SiteStore) -> None:
    assert site.archived() is None


@scripted
def test_the_store_remembers_one_archive_until_another_replaces_it(site: SiteStore) -> None:
    assert not site.set_archived("a", Position(1, 0), replaces="b")
    assert site.archived() is None
    assert site.set_archived("a", Position(1, 0), replaces=None)
    assert site.set_archived("a", Position(1_900_000_000_000, 3), replaces="a")
    assert not site.set_archived("b", Position(9, 0), replaces=None)
    assert site.archived() == Archived("a", Position(1_900_000_000_000, 3), START)
    assert site.set_archived("b", Position(2, 5), replaces="a")
    assert site.archived() == Archived("b", Position(2, 5), START)


@scripted
def test_what_is_archived_and_learned_can_be_trimmed(site: SiteStore) -> None:
    # given
    positions = site.append_many([b"%d" % n for n in range(300)])
    site.set_archived("a", positions[-1], replaces=None)
    learned(site, positions[-1])

    # when
    removed = 0
    while taken := site.trim(positions[250], archive="a", limit=100):
        removed += taken

    # then
    assert removed == 251
    assert [position for position, _ in site.read(START, limit=400)] == positions[251:]
    assert site.length() == 49
    assert site.archived() == Archived("a", positions[-1], positions[250])
    assert site.tail() == positions[-1]


@scripted
@pytest.mark.parametrize("limit", ["upto", "archived", "learned"])
def test_nothing_is_trimmed_beyond_the_least_of_three_bounds(site: SiteStore, limit: str) -> None:
    positions = site.append_many([b"%d" % n for n in range(5)])
    bound = {name: positions[1 if name == limit else 3] for name in ("upto", "archived", "learned")}
    site.set_archived("a", bound["archived"], replaces=None)
    learned(site, bound["learned"])

    assert site.trim(bound["upto"], archive="a", limit=1000) == 2
    assert site.archived() == Archived("a", bound["archived"], positions[1])
    assert site.length() == 3


@scripted
def test_nothing_is_trimmed_for_another_archive_or_without_a_checkpoint(site: SiteStore) -> None:
    position = site.append(b"x")

    assert site.trim(position, archive="a", limit=1000) == 0
    site.set_archived("a", position, replaces=None)
    assert site.trim(position, archive="a", limit=1000) == 0
    learned(site, position)
    assert site.trim(position, archive="b", limit=1000) == 0
    assert site.archived() == Archived("a", position, START)
    assert site.length() == 1
    assert site.trim(position, archive="a", limit=1000) == 1


@scripted
def test_what_was_noted_as_trimmed_never_goes_back(site: SiteStore) -> None:
    positions = site.append_many([b"a", b"b", b"c"])
    site.set_archived("a", positions[2], replaces=None)
    learned(site, positions[2])
    site.trim(positions[1], archive="a", limit=1000)

    assert site.trim(positions[0], archive="a", limit=1000) == 0
    site.set_archived("b", positions[0], replaces="a")
    assert site.archived() == Archived("b", positions[0], positions[1])


@scripted
def test_positions_go_on_growing_when_all_was_trimmed(site: SiteStore) -> None:
    last = site.append_many([b"a", b"b"])[1]
    site.set_archived("a", last, replaces=None)
    learned(site, last)
    site.trim(last, archive="a", limit=1000)

    assert (site.length(), site.tail()) == (0, last)
    assert site.append(b"c") > last
    assert [data for _, data in site.read(START, limit=9)] == [b"c"]


def test_single_entries_can_be_taken_out_of_the_log(site: SiteStore) -> None:
    positions = site.append_many([b"a", b"b", b"c"])

    assert site.remove([]) == 0
    assert site.remove([positions[0], positions[2], Position(1, 1)]) == 2
    assert site.remove([positions[2]]) == 0
    assert site.read(START, limit=9) == [(positions[1], b"b")]
    assert (site.length(), site.tail()) == (1, positions[2])
    assert site.append(b"d") > positions[2]


# -- visitors


def test_a_visitor_can_be_forgotten_and_others_stay(site: SiteStore) -> None:
    site.remember_visits(
        {("ann", "film"): b"1", ("ann", "show"): b"2", ("bob", "film"): b"3"}, expire_seconds=60
    )

    assert site.forget_visits("ann") == 2
    assert site.forget_visits("ann") == 0
    assert (site.visits("ann"), site.visits("bob")) == ({}, {"film": b"3"})


def test_nothing_is_remembered_of_a_new_visitor(site: SiteStore) -> None:
    assert site.visits("someone") == {}
    assert site.visits_of([("someone", "film")]) == [None]


def test_nothing_asked_of_visitors_is_nothing_answered(site: SiteStore) -> None:
    site.remember_visits({}, expire_seconds=60)

    assert site.visits_of([]) == []


def test_visits_are_remembered_by_visitor_and_placement(site: SiteStore) -> None:
    # given
    site.remember_visits(
        {("ann", "film"): b"1", ("ann", "ünï"): b"\xff", ("bob", "film"): b"3"}, expire_seconds=60
    )

    # when
    site.remember_visits({("ann", "film"): b"2"}, expire_seconds=60)

    # then
    assert site.visits("ann") == {"ünï": b"\xff", "film": b"2"}
    assert site.visits_of([("bob", "film"), ("ann", "film"), ("bob", "poster")]) == [
        b"3",
        b"2",
        None,
    ]


# -- what waited elsewhere


@scripted
def test_what_is_absorbed_twice_from_one_source_is_added_once_and_in_order(store: Store) -> None:
    # given
    site = store.site("main")
    site.absorb([(1, b"one"), (2, b"two")], source="here")

    # when the same comes again, with more behind it, and from elsewhere under the same numbers
    site.absorb([(1, b"one"), (2, b"two"), (5, b"five")], source="here")
    site.absorb([(2, b"theirs")], source="there")

    # then
    entries = [data for _, data in site.read(START, limit=9)]
    assert entries == [b"one", b"two", b"five", b"theirs"]
    assert store.sites() == ["main"]


def test_entries_in_doubt_are_found_in_the_log_as_often_as_they_are_there(site: SiteStore) -> None:
    # given
    before = site.append_many([b"old", b"twice"])[-1]
    site.append_many([b"other", b"twice", b"there"])

    # when
    found = site.settle(
        [b"there", b"twice", b"twice", b"old", b"never"], Doubt(after=before, server="", client=0)
    )

    # then what lies before the doubt is not what was sent
    assert found == [True, True, False, False, False]


# -- Redis alone


CALLS: dict[str, Callable[[SiteStore], object]] = {
    "append": lambda s: s.append(b"x"),
    "append_many": lambda s: s.append_many([b"x"]),
    "settle": lambda s: s.settle([b"x"], Doubt(after=START, server="", client=0)),
    "absorb": lambda s: s.absorb([(1, b"x")], source="spool"),
    "read": lambda s: (s.read(START, limit=1), s.read(START, limit=1, block_ms=5)),
    "tail": lambda s: s.tail(),
    "length": lambda s: s.length(),
    "archived": lambda s: s.archived(),
    "set_archived": lambda s: s.set_archived("a", START, replaces=None),
    "trim": lambda s: s.trim(START, archive="a", limit=1),
    "remove": lambda s: s.remove([Position(1, 0)]),
    "catalog": lambda s: s.catalog(0),
    "commit": lambda s: s.commit([Amendment(Document("p", 1, b"{}"), 0, b"x")]),
    "document": lambda s: s.document("p"),
    "publish": lambda s: s.publish(publication("a", START), replaces=0, keep=1),
    "head": lambda s: s.head(),
    "snapshot": lambda s: s.snapshot("a"),
    "snapshots": lambda s: s.snapshots(),
    "settings": lambda s: s.settings("a"),
    "generations": lambda s: s.generations(),
    "rebuilding": lambda s: s.rebuilding(),
    "note_rebuilding": lambda s: s.note_rebuilding(b"x", replaces=None),
    "checkpoint": lambda s: s.checkpoint(),
    "resumed": lambda s: s.resumed(),
    "report": lambda s: s.report(),
    "summaries": lambda s: (s.summaries(), s.summaries(["p"])),
    "sums": lambda s: s.sums(["p"]),
    "series": lambda s: s.series("p"),
    "visits": lambda s: s.visits("v"),
    "visits_of": lambda s: s.visits_of([("v", "p")]),
    "remember_visits": lambda s: s.remember_visits({("v", "p"): b"x"}, expire_seconds=1),
    "forget_visits": lambda s: s.forget_visits("v"),
    "secret": lambda s: s.secret(),
    "mac_keys": lambda s: s.mac_keys(),
    "replace_mac_keys": lambda s: s.replace_mac_keys(b"ring", replaces=0),
    "pulse": lambda s: s.pulse(),
}
"""A call of every method of a site."""

STORE_CALLS: dict[str, Callable[[Store], object]] = {
    "sites": lambda s: s.sites(),
    "register": lambda s: s.register("a"),
    "put_keys": lambda s: s.put_keys({"a": b"x"}, replaces={}),
    "keys": lambda s: s.keys(),
    "probe": lambda s: s.probe(),
}
"""A call of every method of a store that reaches for the server."""


def methods(protocol: type) -> set[str]:
    found = inspect.getmembers(protocol, inspect.isfunction)
    return {method for method, _ in found if not method.startswith("_")}


def test_the_calls_below_are_all_there_are() -> None:
    assert set(CALLS) == methods(SiteStore)
    assert set(STORE_CALLS) | {"site", "describe", "close"} == methods(Store)


@pytest.fixture
def gone(tmp_path: Path) -> Iterator[RedisStore]:
    """A store whose server has never been there."""
    store = RedisStore(f"unix://{tmp_path}/none.sock")
    yield store
    store.close()


@pytest.mark.parametrize("call", CALLS)
def test_every_call_on_a_site_without_a_server_is_a_storage_error(
    gone: RedisStore, call: str
) -> None:
    with pytest.raises(StorageError) as caught:
        CALLS[call](gone.site("main"))

    assert caught.value.hint
    assert isinstance(caught.value.__cause__, redis.RedisError | OSError)


@pytest.mark.parametrize("call", STORE_CALLS)
def test_every_call_on_a_store_without_a_server_is_a_storage_error(
    gone: RedisStore, call: str
) -> None:
    with pytest.raises(StorageError):
        STORE_CALLS[call](gone)


@pytest.mark.redis
@pytest.mark.parametrize(
    "call",
    [
        "append",
        "read",
        "length",
        "tail",
        "visits",
        "pulse",
        "commit",
        "mac_keys",
        "replace_mac_keys",
    ],
)
def test_a_key_of_another_type_is_a_storage_error(
    redis_store: RedisStore, redis_url: str, call: str
) -> None:
    # given somebody else's values under our names
    site = redis_store.site("main")
    with redis.Redis.from_url(redis_url) as client:
        for key in ("log", "pulse", "documents", "revisions", "visitor:v", "mac_keys"):
            client.set(f"bandit:{{main}}:{key}", "not ours")

    # when, then
    with pytest.raises(StorageError, match="WRONGTYPE"):
        CALLS[call](site)

    # and the connection is of use again
    assert redis_store.site("other").append(b"x") > START


@pytest.mark.parametrize(
    "url",
    ["", "localhost:6379", "http://localhost", "redis://localhost:port", "redis://[::1"],
)
def test_a_wrong_address_is_a_storage_error_that_says_what_one_looks_like(url: str) -> None:
    with pytest.raises(StorageError, match="REDIS_URL") as caught:
        RedisStore(url)

    assert "redis://host:6379" in str(caught.value.hint)


class OldServer:
    """As much of a client as telling the version takes."""

    connection_pool = None

    def __init__(self, version: str) -> None:
        self.version = version

    def info(self, section: str) -> dict[str, str]:
        return {"redis_version": self.version}


def store_of(version: str) -> RedisStore:
    return RedisStore("redis://old", client=cast("redis.Redis", OldServer(version)))


@pytest.mark.parametrize("version", ["2.8.24", "5.0.14", "6.0.16"])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(StorageError, match=version) as caught:
        store_of(version).check_version()

    assert "6.2" in str(caught.value.hint)


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.2.3", "10.0.0", "255.255.255"])
def test_a_server_that_is_new_enough_is_accepted(version: str) -> None:
    assert store_of(version).check_version() == version


@pytest.mark.redis
def test_the_server_of_these_tests_is_new_enough(redis_store: RedisStore) -> None:
    assert redis_store.check_version() >= "6.2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://user:pass@word@host/0", "redis://host/0"),
        ("rediss://:word@host:1/2", "rediss://host:1/2"),
        ("unix:///run/redis.sock?db=1&password=word", "unix:///run/redis.sock"),
    ],
)
def test_the_address_is_shown_without_credentials(url: str, shown: str) -> None:
    store = RedisStore(url)

    assert store.describe() == shown


@pytest.mark.redis
def test_after_its_server_is_gone_for_a_while_a_store_goes_on(server: EmbeddedRedis) -> None:
    with closing(RedisStore(server.url)) as store:
        # given a store with open connections
        site = store.site("main")
        site.append(b"before")
        site.commit([Amendment(Document("film", 1, b"{1}"), 0, b"edit")])

        # when the server is away, every call fails in the one way
        server.stop()
        for call in CALLS.values():
            with pytest.raises(StorageError):
                call(site)

        # then nothing is left of that when it is back
        server.start()
        site.append(b"after")
        assert site.commit([Amendment(Document("film", 2, b"{2}"), 1, b"again")])
        entries = [data for _, data in site.read(START, limit=9)]
        assert entries == [b"before", b"edit", b"after", b"again"]


@pytest.mark.redis
def test_an_append_over_a_connection_that_died_fails_once(server: EmbeddedRedis) -> None:
    with closing(RedisStore(server.url)) as store:
        # given
        site = store.site("main")
        site.append(b"one")

        # when
        server.stop()
        server.start()

        # then nobody repeats it here: whether it arrived cannot be known
        with pytest.raises(StorageError):
            site.append(b"two")
        site.append(b"three")
        assert [data for _, data in site.read(START, limit=9)] == [b"one", b"three"]


@pytest.mark.redis
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_waiting_read_understands_both_protocols(redis_url: str, protocol: int) -> None:
    # given
    client = redis.Redis.from_url(redis_url, protocol=protocol)
    client.flushall()
    store = RedisStore(redis_url, client=client)
    site = store.site("main")
    position = site.append(b"x")

    # then
    assert site.read(START, limit=9, block_ms=50) == [(position, b"x")]
    assert site.read(position, limit=9, block_ms=5) == []
    store.close()


@pytest.mark.redis
def test_a_read_may_wait_longer_than_the_socket_does(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a socket that loses patience after a third of a second
    monkeypatch.setattr(adapter, "TIMEOUT_SECONDS", 0.3)
    store = RedisStore(redis_url)
    site = store.site("main")
    tail = site.append(b"x")

    # then
    assert site.read(tail, limit=9, block_ms=60_000) == []
    store.close()


@pytest.mark.redis
def test_visitors_who_do_not_come_back_are_forgotten(
    redis_store: RedisStore, redis_url: str
) -> None:
    # when
    redis_store.site("main").remember_visits({("ann", "film"): b"1"}, expire_seconds=500)

    # then
    with redis.Redis.from_url(redis_url) as client:
        left: Any = client.ttl("bandit:{main}:visitor:ann")
    assert 490 < left <= 500


@pytest.mark.redis
def test_the_keys_of_a_site_stay_on_one_node_of_a_cluster(
    redis_store: RedisStore, redis_url: str
) -> None:
    # given
    for call in CALLS.values():
        call(redis_store.site("main"))

    # then
    with redis.Redis.from_url(redis_url) as client:
        keys: Any = client.keys("*")
    assert {key for key in keys if b"{main}" not in key} == {b"bandit:sites", b"bandit:identity"}
    assert len(keys) > 5
