"""Counting a site: what is published, what a checkpoint keeps, and what one key can fill."""

from __future__ import annotations

import msgspec
import pytest

from bandit_service.errors import SnapshotError
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting import counters, lineups
from bandit_service.reporting.counters import OTHERS, Counters, Parts, half_of
from bandit_service.reporting.lineups import MIXED
from bandit_service.reporting.stored import Day, StoredSite, StoredSums, decode, encode
from bandit_service.reporting.summary import Summary
from bandit_service.storage.ports import Report
from tests.reporting.counting import Counting, placement, totals

JOIN = JoinCounts()
DAY_MS = 86_400_000


def published(site: Counting) -> Report:
    report = site.counters.report(JOIN)
    site.counters.published()
    return report


def days(site: Counting) -> dict[int, Day]:
    return decode(site.counters.report(JOIN).site, StoredSite).days


def test_only_placements_that_changed_are_published_again() -> None:
    site = Counting(placement("film", ["a"]), placement("show", ["a"]))
    site.count()
    site.count(placement="show")

    first = published(site)
    waiting = site.open(placement="show")
    second = published(site)
    nothing = published(site)
    site.close(waiting)
    third = published(site)

    assert first.whole
    assert set(first.sums) == set(first.series) == set(first.summaries) == {"film", "show"}
    assert not second.whole
    assert set(second.sums) == set(second.summaries) == {"show"}
    assert set(nothing.sums) == set(nothing.series) == set(nothing.summaries) == set()
    assert set(third.sums) == {"show"}


def test_what_was_not_published_is_offered_again() -> None:
    site = Counting()
    site.count()

    once, again = site.counters.report(JOIN), site.counters.report(JOIN)

    assert once == again
    assert again.whole


def test_an_edit_makes_a_summary_anew_and_leaves_the_sums() -> None:
    site = Counting()
    site.count()
    published(site)

    site.edit(placement("film", ["a"], rest=["b"], revision=2))
    report = published(site)

    assert set(report.sums) == set()
    assert decode(report.summaries["film"], Summary).live == ("a@1",)
    site.edit(placement("other", ["a"]))
    assert set(published(site).summaries) == set()


def test_a_learner_that_goes_on_makes_every_summary_anew_and_no_sums() -> None:
    site = Counting(placement("film", ["a"]), placement("show", ["a"]))
    site.count()
    site.count(placement="show")
    published(site)

    report = published(site.resumed())

    assert not report.whole
    assert set(report.sums) == set()
    assert set(report.summaries) == {"film", "show"}


def test_units_that_wait_are_settled_by_the_learner_that_goes_on() -> None:
    site = Counting()
    first, second = site.open(), site.open("b")
    site.close(second, 1.0)

    again = site.resumed()
    again.close(first)

    assert totals(again.sums()) == {"shown": 2, "n": 2, "r": 1.0, "r2": 1.0}


@pytest.mark.parametrize("what", ["sums", "series"])
@pytest.mark.parametrize("how", ["changed", "gone", "of another"])
def test_sums_that_are_not_those_of_the_checkpoint_are_refused(what: str, how: str) -> None:
    site = Counting(placement("film", ["a"]), placement("show", ["a"]))
    site.count()
    site.count(placement="show")
    state, parts = site.counters.dump(JOIN), site.counters.parts()
    kept = dict(getattr(parts, what))
    if how == "gone":
        del kept["film"]
    else:
        kept["film"] = kept["show"] if how == "of another" else kept["film"][:-1] + b"\xff"
    if what == "series" and how == "of another":
        kept["film"] += b"x"  # both were shown at the same time

    with pytest.raises(SnapshotError, match="counters of placement 'film'"):
        Counters(site.history).restore(state, parts._replace(**{what: kept}))


def test_sums_of_another_version_are_refused() -> None:
    site = Counting()
    site.count()
    state, parts = site.counters.dump(JOIN), site.counters.parts()
    other = encode(msgspec.structs.replace(site.sums(), format=99))
    digest = counters._digest(other, parts.series["film"])
    state.digests["film"] = digest

    with pytest.raises(SnapshotError, match="format 99"):
        Counters(site.history).restore(state, Parts({"film": other}, parts.series))


def test_days_of_the_site_count_units_on_the_day_they_were_opened() -> None:
    site = Counting()
    day = site.now // DAY_MS
    late = site.open()
    site.count("b", 1.0, holdout=True)
    nobody = site.open()
    site.now += DAY_MS
    site.close(late, 1.0)
    site.close(nobody, views=0)
    site.count()

    assert days(site) == {
        day: Day(shown=2, policy_n=1, policy_r=1.0, holdout_n=1, holdout_r=1.0),
        day + 1: Day(shown=1, policy_n=1),
    }


def test_the_days_are_bounded_and_what_comes_later_for_those_is_in_none() -> None:
    site = Counting()
    late = site.open()
    for _ in range(120):
        site.now += DAY_MS
        site.count("b")

    site.close(late, 1.0)

    assert len(days(site)) == 90
    assert sum(day.policy_n for day in days(site).values()) < 120
    assert totals(site.sums())["n"] == 121


def test_the_clock_is_the_logs_and_never_goes_back() -> None:
    site = Counting()
    site.count()
    latest = site.now
    site.now -= 5_000
    site.count()

    assert decode(published(site).site, StoredSite).clock == latest


# -- bounds


def test_candidates_of_requests_fill_their_own_bound_and_not_the_catalogs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counters, "MAX_SENT_ROWS", 3)
    site = Counting()
    for number in range(10):
        site.count(f"x{number}", 1.0, inline=[], arms=[f"x{number}@1"], placement="free")

    site.count("a")
    site.count("x1", inline=[], arms=["x1@1"], placement="free")

    others = site.sums(OTHERS)
    assert totals(site.sums("free"))["n"] == 4
    assert (others.arms, others.personas) == ([OTHERS], ["romantic"])
    assert totals(others) == {"shown": 7, "n": 7, "r": 7.0, "r2": 7.0}
    assert totals(site.sums("film"))["n"] == 1


def test_the_catalogs_rows_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_ROWS", 4)
    monkeypatch.setattr(counters, "MAX_SENT_ROWS", 0)
    site = Counting(*(placement(f"p{n}", ["a", "b"]) for n in range(4)))

    for number in range(4):
        site.count(placement=f"p{number}", probabilities=[0.25, 0.75])

    assert set(site.counters.parts().sums) == {"p0", "p1", OTHERS}
    assert totals(site.sums(OTHERS))["n"] == 2


def test_a_placement_of_the_catalog_is_counted_on_where_its_line_ups_have_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given room for one line-up of each placement
    monkeypatch.setattr(counters, "MAX_ROWS", 4)
    site = Counting(*(placement(f"p{n}", ["a", "b"]) for n in range(2)))
    for name in ("p0", "p1"):
        site.count(placement=name, probabilities=[0.5, 0.5])

    # when one of them is edited
    site.edit(placement("p0", ["a", "c"], revision=2))
    for number in range(3):
        site.count("c", float(number == 0), placement="p0")

    # then it goes on under its own name, as one line-up that compares nothing
    assert OTHERS not in site.counters.parts().sums
    assert set(site.sums("p0").key_array()[:, 0]) == {MIXED}
    assert totals(site.sums("p0")) == {"shown": 4, "n": 4, "r": 1.0, "r2": 1.0}
    assert set(site.sums("p1").key_array()[:, 0]) != {MIXED}


def test_placements_that_are_in_no_catalog_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_SENT", 3)
    site = Counting()
    for number in range(9):
        site.count("x", inline=[], arms=["x@1"], placement=f"free-{number}")

    site.edit(placement("free-8", ["a"]))
    site.count("a", placement="free-8")

    names = {"free-0", "free-1", "free-2", OTHERS, "free-8"}
    assert set(site.counters.parts().sums) == names
    assert totals(site.sums(OTHERS))["n"] == 6


def test_bounds_hold_after_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_SENT_ROWS", 3)
    monkeypatch.setattr(counters, "MAX_SENT", 3)
    whole, pieces = Counting(), Counting()
    for number in range(8):
        for site in (whole, pieces):
            site.count("x", inline=[], arms=["x@1", "y@1"], placement=f"free-{number % 5}")
        pieces = pieces.resumed()

    assert pieces.counters.parts() == whole.counters.parts()


def test_line_ups_that_make_room_are_counted_right_where_rows_are_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counters, "MAX_ROWS", 12)
    monkeypatch.setattr(counters, "MAX_SENT_ROWS", 6)
    monkeypatch.setattr(lineups, "MAX_LINEUPS", 2)
    whole, pieces = Counting(), Counting()
    for revision in range(2, 20):
        for site in (whole, pieces):
            site.now += 1
            site.edit(placement("film", ["a", f"v{revision % 5}"], revision=revision))
            site.count("a", persona=("romantic", "comedy")[revision % 2])
        pieces = pieces.resumed()

        for site in (whole, pieces):
            parts = site.counters.parts().sums
            kept = [decode(data, StoredSums).key_array() for data in parts.values()]
            assert site.counters._rows == sum(map(len, kept))
            assert site.counters._mixed == sum((keys[:, 0] == MIXED).sum() for keys in kept)
    assert pieces.counters.parts() == whole.counters.parts()
    assert OTHERS in whole.counters.parts().sums


def test_halves_are_about_even() -> None:
    assert 400 < sum(half_of(f"visitor {n}") for n in range(1_000)) < 600
