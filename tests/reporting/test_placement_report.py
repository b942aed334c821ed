"""The report of one placement: variants, personas, both crossed, and how it went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from bandit_service.errors import NotFound, SnapshotError
from bandit_service.outcomes.units import JoinCounts
from bandit_service.policy.settings import SiteSettings
from bandit_service.reporting.estimates import NO_DIFFERENCE
from bandit_service.reporting.reader import Reports
from bandit_service.reporting.series import HOUR_MS
from bandit_service.services import ensure_snapshot
from bandit_service.storage.memory import MemorySite, MemoryStore
from bandit_service.storage.ports import Publication
from tests.reporting.counting import Counting, placement


def published(site: Counting) -> MemorySite:
    """A store that has what the site has counted."""
    store = MemoryStore().site("main")
    ensure_snapshot(store, SiteSettings())
    head = store.head()
    assert head is not None
    data = store.snapshot(head.name) or b""
    report = site.counters.report(JoinCounts(decisions=7))
    store.publish(Publication(head, data, b"{}", report, b"c"), replaces=1, keep=2)
    return store


def reports(site: Counting, store: MemorySite | None = None) -> Reports:
    names = [*site.counters.parts().sums, "film", "never"]
    catalog = {name: found for name in names if (found := site.history.latest(name)) is not None}
    return Reports(store or published(site), catalog)


@pytest.fixture(scope="module")
def film() -> Counting:
    """Romantics click ``a``, comedy fans ``b``; ``c`` joined later, and ``d`` rests."""
    site = Counting(placement("film", ["a", "b", "d"]), placement("never", ["x", "y"]))
    for n in range(600):
        persona, arm = ("romantic", "comedy")[n % 2], "abd"[n % 3]
        liked = (persona, arm) in {("romantic", "a"), ("comedy", "b")}
        site.count(arm, float(liked and n % 5 > 0), persona=persona, holdout=n % 10 == 0)
    site.now += 2 * HOUR_MS
    site.edit(placement("film", ["a", "b", "c"], rest=["d"], revision=2))
    for n in range(90):
        site.count("abc"[n % 3], float(n % 3 == 0), persona="romantic")
    site.open("c", persona="comedy")
    return site


def test_variants_have_their_counts_and_their_rates_the_live_ones_first(film: Counting) -> None:
    report = reports(film).placement("film")

    shown = {line.arm: (line.live, line.shown, line.rewarded) for line in report.variants}
    assert [line.arm for line in report.variants] == ["a@1", "b@1", "c@1", "d@1"]
    assert shown["a@1"] == (True, 230, 110)
    assert shown["c@1"] == (True, 31, 0)
    assert shown["d@1"] == (False, 200, 0)
    a = report.variants[0].estimate
    assert a.n == 230
    assert a.largest_weight == pytest.approx(3.0)
    assert a.rate == pytest.approx(110 / 230)
    assert (report.shown, report.rewarded) == (691, 190)


def test_cells_cross_variants_and_personas(film: Counting) -> None:
    report = reports(film).placement("film")

    cells = {(cell.arm, cell.persona): cell for cell in report.cells}
    assert cells["a@1", "romantic"].estimate.rate == pytest.approx(110 / 130)
    assert (cells["a@1", "comedy"].shown, cells["a@1", "comedy"].rewarded) == (100, 0)
    assert cells["b@1", "comedy"].estimate.rate == pytest.approx(0.8)
    waiting = cells["c@1", "comedy"]
    assert (waiting.shown, waiting.estimate.n, waiting.estimate.held_back) == (
        *(1, 0, "nothing_settled"),
    )
    assert len(cells) == 8


def test_personas_are_measured_under_the_policy_and_in_the_holdout(film: Counting) -> None:
    report = reports(film).placement("film")

    romantic, comedy = report.personas
    assert (romantic.persona, romantic.shown, comedy.shown) == ("romantic", 390, 301)
    assert romantic.policy.n + romantic.holdout.n == 390
    assert report.policy.n + report.holdout.n == 690
    assert report.holdout.n == 60
    assert (comedy.holdout.n, comedy.holdout.held_back) == (0, "nothing_settled")
    assert comedy.gain == NO_DIFFERENCE
    assert romantic.last_seen == film.now


def test_live_variants_are_set_against_the_leader_over_the_same_visits(film: Counting) -> None:
    report = reports(film).placement("film")

    to_leader = {line.arm: line.to_leader for line in report.variants}
    assert report.leader == "a@1"
    assert to_leader["a@1"] == to_leader["d@1"] == NO_DIFFERENCE
    assert to_leader["b@1"].value == pytest.approx(-1.0)  # since c joined, with romantics alone
    assert to_leader["b@1"].verdict == "lower"
    assert report.state == "winner"
    assert report.winners[0].arm == "a@1"


def test_how_it_went_is_by_the_hour_and_by_the_day(film: Counting) -> None:
    report = reports(film).placement("film")

    assert report.as_of == film.now
    assert report.hours.starts == [film.now - 2 * HOUR_MS, film.now]
    assert report.hours.arms == ["a@1", "b@1", "d@1", "c@1"]
    assert report.hours.shown == [[200, 200, 200, 0], [30, 30, 0, 31]]
    assert report.hours.settled[1] == [30, 30, 0, 30]
    assert report.hours.earned == [[80.0, 80.0, 0.0, 0.0], [30.0, 0.0, 0.0, 0.0]]
    assert sum(map(sum, report.days.shown)) == 691


def test_variants_that_were_shown_less_are_one_in_hours_that_are_over() -> None:
    arms = [f"v{n}" for n in range(20)]
    site = Counting(placement("film", arms))
    for n, arm in enumerate(arms):
        for _ in range(1 + n):
            site.count(arm)
    site.now += HOUR_MS
    site.count("v0")

    hours = reports(site).placement("film").hours

    assert hours.arms[-1] == ""
    assert sum(hours.shown[0]) == sum(range(1, 21))
    assert hours.shown[0][-1] == sum(range(1, 6))
    assert hours.shown[1][hours.arms.index("v0@1")] == 1


def test_a_placement_that_was_never_shown_has_its_variants(film: Counting) -> None:
    report = reports(film).placement("never")

    assert (report.state, report.says, report.leader) == ("unused", "No traffic yet.", None)
    assert [(line.arm, line.live, line.shown) for line in report.variants] == [
        ("x@1", True, 0),
        ("y@1", True, 0),
    ]
    assert not any((report.cells, report.personas, report.hours.starts, report.days.shown))


def test_a_placement_with_one_live_variant_has_it_for_leader() -> None:
    site = Counting(placement("film", ["a"], rest=["b"]))
    site.count("a", 1.0)

    report = reports(site).placement("film")

    assert (report.state, report.leader) == ("finished", "a@1")
    assert report.variants[0].to_leader == NO_DIFFERENCE


def test_placements_in_no_catalog_have_variants_that_are_not_live() -> None:
    site = Counting()
    site.count("x", inline=[], arms=["x@1"], placement="free")

    report = reports(site).placement("free")

    assert (report.state, report.leader) == ("sent", None)
    assert [(line.arm, line.live) for line in report.variants] == [("x@1", False)]


def test_what_never_was_is_not_found(film: Counting) -> None:
    with pytest.raises(NotFound, match="there is no placement 'nowhere'"):
        reports(film).placement("nowhere")


# -- over all placements, from a store


def test_tags_and_gaps_are_read_over_all_placements_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bandit_service.reporting.reader._AT_ONCE", 2)
    names = [f"p{n}" for n in range(7)]
    site = Counting(*(placement(name, ["a", "b"], tags_of={"a": ("face",)}) for name in names))
    for name in names:
        for n in range(200):
            arm = "ab"[n % 2]
            site.count(arm, float(n % 10 < (5 if arm == "a" else 1)), placement=name)
    store = published(site)
    asked: list[list[str]] = []
    read = store.sums

    def watched(placements: Sequence[str]) -> list[bytes | None]:
        asked.append(list(placements))
        return read(placements)

    store.sums = watched  # type: ignore[method-assign]
    found = reports(site, store).tags()

    face = found.effects[0]
    assert (face.tag, face.persona, face.effect, face.placements) == ("face", None, "more", 7)
    assert sorted(map(len, asked)) == [1, 2, 2, 2]
    assert found.gaps == []
    assert found.as_of == site.now


def test_a_persona_that_came_between_two_reads_is_left_for_the_next(film: Counting) -> None:
    before = published(film).summaries()
    later = film.resumed()
    later.edit(placement("film", ["a", "b", "c"], revision=3, tags_of={"a": ("face",)}))
    later.count("a", persona="newcomer")
    store = published(later)
    store.summaries = lambda placements=None: before  # type: ignore[method-assign]

    found = reports(later, store).tags()

    assert {effect.persona for effect in found.effects} == {None, "romantic", "comedy"}


def test_who_is_clearly_best_and_who_is_ahead_is_told_by_id(film: Counting) -> None:
    split = Counting()
    for n in range(400):
        persona, arm = ("romantic", "comedy")[n // 2 % 2], "ab"[n % 2]
        liked = (persona, arm) in {("romantic", "a"), ("comedy", "b")}
        split.count(arm, float(liked and n != 1), persona=persona)
    reads = reports(split)
    unrewarded = Counting()
    for arm in "abab":
        unrewarded.count(arm)
    anew = Counting()
    anew.count("a", 1.0)
    anew.edit(placement("film", ["c", "d"], revision=2))
    anew.count("c")
    edited = reports(film)
    edited._catalog = {"film": placement("film", ["b", "c"], revision=3)}

    assert reports(film).lead("film") == ("a", "a")
    assert reads.lead("film") == (None, "a")
    assert {one.persona for one in reads.placement("film").winners} == {"romantic", "comedy"}
    assert edited.lead("film") == (None, None)
    assert reports(unrewarded).lead("film") == (None, None)
    assert reports(anew).lead("film") == (None, None)
    assert reports(film).lead("never") == reports(film).lead("nowhere") == (None, None)


def test_counts_of_learning_are_those_of_the_site(film: Counting) -> None:
    assert reports(film).counts().decisions == 7
    assert reports(film, MemoryStore().site("empty")).counts() == JoinCounts()


@pytest.mark.parametrize("part", ["_report", "_summaries", "_sums", "_series"])
def test_counters_that_cannot_be_read_are_refused_with_the_remedy(
    film: Counting, part: str
) -> None:
    store = published(film)
    setattr(store, part, b"\xc1" if part == "_report" else {"film": b"\xc1"})

    with pytest.raises(SnapshotError) as caught:
        list(every_report(reports(film, store)))

    assert "rebuild" in (caught.value.hint or "")


def every_report(found: Reports) -> Iterator[object]:
    yield found.overview()
    yield found.personas()
    yield found.tags()
    yield found.placement("film")


def test_reports_of_a_store_that_has_nothing_are_empty() -> None:
    found = Reports(MemoryStore().site("empty"), {})

    assert not any((found.overview().placements, found.personas().personas, found.tags().effects))
