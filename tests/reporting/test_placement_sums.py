"""Counting one placement: what is counted at once, what waits, and over which visits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bandit_service.events.entries import Position
from bandit_service.outcomes.join import Outcome
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting import lineups
from bandit_service.reporting.columns import (
    ASKED,
    HOLDOUT,
    POLICY,
    R2,
    REWARDED,
    SHOWN,
    SPREAD,
    TOP,
    VIEWS,
    W2,
    W2R,
    W2R2,
    WR,
    N,
    R,
    W,
    counts,
    halves,
    merged,
    weighted,
)
from bandit_service.reporting.estimates import measured
from bandit_service.reporting.lineups import MIXED, PARTIAL
from bandit_service.reporting.stored import StoredSeries, StoredSite, decode
from bandit_service.reporting.tables import whole
from tests.reporting.counting import Counting, placement, row_of, totals, weights_of


def test_a_unit_is_counted_with_its_weight_and_every_candidate_as_asked() -> None:
    site = Counting()
    site.count("a", 1.0, probabilities=[0.8, 0.2])
    site.count("b", 0.5, probabilities=[0.8, 0.2])
    site.count("b", 0.0, probabilities=[0.5, 0.5], holdout=True)

    sums = site.sums()
    a, b = row_of(sums, "a"), row_of(sums, "b")

    assert counts(a)[POLICY].tolist() == [1, 1, 1, 1, 1.0, 1.0]
    assert counts(b)[POLICY, [SHOWN, REWARDED, N, VIEWS, R, R2]].tolist() == [1, 1, 1, 1, 0.5, 0.25]
    assert counts(b)[HOLDOUT, [SHOWN, REWARDED, N, R]].tolist() == [1, 0, 1, 0.0]
    mine, others = weights_of(a), weighted(b)
    assert mine[[W, WR, W2, W2R, W2R2]] == pytest.approx([1.25, 1.25, 1.5625, 1.5625, 1.5625])
    assert others[[W, WR, W2, W2R, W2R2]] == pytest.approx([7.0, 2.5, 29.0, 12.5, 6.25])
    assert others[TOP] == 5.0
    assert mine[ASKED] == others[ASKED] == 3.0
    assert mine[SPREAD] == pytest.approx(1.25 + 1.25 + 2.0)
    assert others[SPREAD] == pytest.approx(5.0 + 5.0 + 2.0)
    assert (sums.least, sums.most) == (0.0, 1.0)


def test_shown_and_rewarded_are_counted_at_once_and_rates_when_it_is_settled() -> None:
    site = Counting()
    first, second = site.open(), site.open()

    site.close(second, 1.0)

    waiting = counts(row_of(site.sums(), "a"))[POLICY]
    assert waiting[[SHOWN, REWARDED, N, R]].tolist() == [2, 1, 0, 0.0]
    site.close(first)
    settled = counts(row_of(site.sums(), "a"))[POLICY]
    assert settled[[SHOWN, REWARDED, N, R]].tolist() == [2, 1, 2, 1.0]


@given(st.permutations(range(8)), st.lists(st.booleans(), min_size=8, max_size=8))
@settings(deadline=None)
def test_what_is_settled_is_the_beginning_of_what_was_shown_whatever_came_of_it(
    order: list[int], clicked: list[bool]
) -> None:
    site = Counting()
    units = [site.open() for _ in range(8)]
    closed: set[int] = set()

    for number in order:
        site.close(units[number], float(clicked[number]))
        closed.add(number)

        prefix = next((n for n in range(8) if n not in closed), 8)
        found = totals(site.sums())
        assert (found["n"], found["r"]) == (prefix, sum(clicked[:prefix]))


def test_placements_do_not_wait_for_each_other() -> None:
    site = Counting(placement("film", ["a"]), placement("show", ["a"]))
    site.open(placement="film")

    site.count(placement="show")

    assert totals(site.sums("show"))["n"] == 1


def test_a_unit_that_nobody_saw_is_taken_back_and_holds_up_no_other() -> None:
    site = Counting()
    first, second = site.open(), site.open("b")

    site.close(second, 1.0)
    site.close(first, views=0)

    sums = site.sums()
    assert counts(row_of(sums, "a"))[POLICY, [SHOWN, N]].tolist() == [0, 0]
    assert weights_of(row_of(sums, "a"))[ASKED] == 1.0
    assert totals(sums)["shown"] == totals(sums)["n"] == 1


def test_a_reward_counts_that_came_before_all_views_were_void_as_it_does_in_learning() -> None:
    site = Counting()
    unit = site.open()

    site.counters.close(Outcome(unit, "rewarded", 1.0, 0, Position(site.now, 0)))

    found = totals(site.sums())
    (day,) = decode(site.counters.report(JoinCounts()).site, StoredSite).days.values()
    assert (found["shown"], found["n"], found["r"]) == (1, 1, 1.0)
    assert (day.shown, day.policy_n, day.policy_r) == (1, 1, 1.0)


def test_a_reward_that_is_to_be_expected_widens_intervals_before_the_first_one_came() -> None:
    """One visit in 1,000 is worth 100, which makes the mean 0.2; none was among the first 500."""
    clicks, sales = Counting(), Counting(largest=100.0)
    for n in range(500):
        for site in (clicks, sales):
            site.count("ab"[n % 2], float(n % 20 < 2))

    clicks_alone, both = (
        measured(counts(found.rows).sum(axis=(0, 1))[0], found.scale).bounds
        for found in (whole(clicks.sums()), whole(sales.sums()))
    )

    assert clicks_alone.high < 0.2 < both.high
    assert sales.resumed().sums().most == sales.sums().most == 100.0


def test_a_candidate_that_could_not_be_drawn_was_not_asked() -> None:
    site = Counting()
    site.count("a", probabilities=[1.0, 0.0])
    site.count("a", probabilities=[0.5, 0.5])

    sums = site.sums()

    assert weights_of(row_of(sums, "a", lineup=PARTIAL))[[ASKED, SPREAD]].tolist() == [1.0, 1.0]
    assert weights_of(row_of(sums, "a"))[[ASKED, SPREAD]].tolist() == [1.0, 2.0]
    assert weights_of(row_of(sums, "b"))[[ASKED, SPREAD]].tolist() == [1.0, 2.0]


def test_views_of_a_unit_are_counted_and_so_are_rewards_of_both_signs() -> None:
    site = Counting()
    site.close(site.open(), -1.0, views=3)

    counted = counts(row_of(site.sums(), "a"))[POLICY]

    assert counted[[REWARDED, VIEWS, R, R2]].tolist() == [0, 3, -1.0, 1.0]
    assert (site.sums().least, site.sums().most) == (-1.0, 0.0)


def test_a_visitor_is_always_of_the_same_half_and_strangers_by_their_decision() -> None:
    site = Counting()
    for _ in range(5):
        site.count(visitor="ann")
    for _ in range(40):
        site.count("b", visitor=None)

    sums = site.sums()

    assert sorted(halves(row_of(sums, "a"))[:, W].tolist()) == [0.0, 10.0]
    assert all(halves(row_of(sums, "b"))[:, W] > 0.0)


# -- line-ups


def test_variants_that_were_live_together_are_counted_apart_from_others() -> None:
    site = Counting()
    site.count("a", 1.0)
    before = site.open("b")
    site.edit(placement("film", ["a", "b", "c"], revision=2))
    site.close(before)
    site.count("c")
    site.count("a")

    sums = site.sums()

    assert [(one.number, one.arms) for one in sums.lineups] == [
        (1, ("a@1", "b@1")),
        (2, ("a@1", "b@1", "c@1")),
    ]
    assert weights_of(row_of(sums, "a", lineup=1))[[W, ASKED]].tolist() == [2.0, 2.0]
    assert weights_of(row_of(sums, "a", lineup=2))[[W, ASKED]].tolist() == [3.0, 2.0]
    assert weights_of(row_of(sums, "c", lineup=2))[[W, ASKED]].tolist() == [3.0, 2.0]


def test_a_line_up_that_comes_back_goes_on_counting_and_tags_make_no_new_one() -> None:
    site = Counting()
    site.count()
    site.edit(placement("film", ["a"], rest=["b"], revision=2))
    site.count()
    site.edit(placement("film", ["b", "a"], revision=3, tags_of={"a": ("new",)}))
    site.count()

    sums = site.sums()

    assert [one.arms for one in sums.lineups] == [("a@1", "b@1"), ("a@1",)]
    assert counts(row_of(sums, "a", lineup=1))[POLICY, N] == 2


def test_a_schedule_makes_a_line_up_without_an_edit() -> None:
    site = Counting()
    until = datetime.fromtimestamp(site.now / 1000 + 60, UTC)
    scheduled = placement("film", ["a", "b", "c"], revision=2)
    variants = [*scheduled.variants[:2], replace(scheduled.variants[2], live_until=until)]
    site.edit(replace(scheduled, variants=tuple(variants)))
    site.count("a")
    site.now += 120_000
    site.count("a")
    site.count("a", exclude=["c"], arms=["a@1", "b@1"])

    sums = site.sums()

    assert [one.arms for one in sums.lineups] == [("a@1", "b@1", "c@1"), ("a@1", "b@1")]
    assert [weights_of(row_of(sums, "a", lineup=n))[ASKED] for n in (1, 2)] == [1.0, 2.0]


def test_a_unit_that_could_not_have_shown_all_that_was_live_is_counted_and_not_compared() -> None:
    site = Counting(placement("film", ["a", "b", "c"]))
    site.count("a")
    site.count("a", exclude=["b"], arms=["a@1", "c@1"])
    site.count("c", probabilities=[0.5, 0.0, 0.5])
    site.count("b", exclude=["z"])

    sums = site.sums()

    assert [one.arms for one in sums.lineups] == [("a@1", "b@1", "c@1")]
    assert [weights_of(row_of(sums, arm))[ASKED] for arm in "abc"] == [2.0, 2.0, 2.0]
    partial = [weights_of(row_of(sums, arm, lineup=PARTIAL))[ASKED] for arm in "abc"]
    assert partial == [2.0, 0.0, 2.0]
    assert totals(sums)["n"] == 4


def test_units_that_are_not_compared_wait_and_are_resumed_like_any_other() -> None:
    site = Counting(placement("film", ["a", "b", "c"]))
    unit = site.open("a", exclude=["b"], arms=["a@1", "c@1"])
    again = site.resumed()

    for each in (site, again):
        each.close(unit, 1.0)

    assert again.counters.parts() == site.counters.parts()
    assert totals(again.sums())["r"] == 1.0


def test_a_decision_of_an_older_revision_counts_where_it_was_made() -> None:
    site = Counting()
    site.edit(placement("film", ["a"], rest=["b"], revision=2))

    site.count("b", revision=1)

    assert [one.arms for one in site.sums().lineups] == [("a@1", "b@1")]


def test_candidates_of_requests_and_unknown_revisions_are_mixed() -> None:
    site = Counting()
    site.count("x", inline=[], arms=["x@1", "y@1"])
    site.count("a", revision=7, arms=["a@1"])

    keys = site.sums().key_array().tolist()

    assert {lineup for lineup, _, _ in keys} == {MIXED}
    assert site.sums().lineups == []


def test_beyond_the_bound_the_line_up_that_is_unused_for_longest_is_mixed_unless_units_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lineups, "MAX_LINEUPS", 2)
    site = Counting(placement("film", ["a"]))
    site.count("a", 1.0)
    for revision, variant in enumerate("bc", start=2):
        site.now += 1
        site.edit(placement("film", ["a", variant], revision=revision))
        site.count("a", 1.0, probabilities=[0.5, 0.5])

    sums = site.sums()
    assert [one.arms for one in sums.lineups] == [("a@1", "b@1"), ("a@1", "c@1")]
    assert weights_of(row_of(sums, "a", lineup=MIXED))[W] == 1.0
    assert totals(sums) == {"shown": 3, "n": 3, "r": 3.0, "r2": 3.0}

    # when units of both wait, a fourth line-up is mixed itself
    waiting = [site.open("b", revision=2), site.open("c", revision=3)]
    site.edit(placement("film", ["a", "d"], revision=4))
    site.count("d")

    sums = site.sums()
    assert len(sums.lineups) == 2
    assert weights_of(row_of(sums, "d", lineup=MIXED))[ASKED] == 0.0  # not settled: others wait
    for unit in waiting:
        site.close(unit)
    site.count("d")
    sums = site.sums()
    assert [one.arms for one in sums.lineups] == [("a@1", "c@1"), ("a@1", "d@1")]
    assert totals(sums)["n"] == 7
    assert sum(one.waiting for one in sums.lineups) == 0


def test_mixing_keeps_sums_and_the_largest_weight() -> None:
    site = Counting()
    site.count("a", 1.0, probabilities=[0.1, 0.9])
    for revision in range(2, 12):
        site.edit(placement("film", ["a", f"v{revision}"], revision=revision))
        site.count("a", 0.0, probabilities=[0.5, 0.5])

    rows = merged(site.sums().row_array(), axis=0)

    assert weighted(rows)[TOP] == 10.0
    assert weighted(rows)[[W, WR]].tolist() == [10.0 + 10 * 2.0, 10.0]


# -- stopping and going on

moves = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "edit", "sent", "hour"]),
        st.integers(0, 5),
        st.sampled_from(["romantic", "comedy"]),
    ),
    max_size=60,
)


@given(moves, st.lists(st.integers(0, 60), max_size=3), st.data())
@settings(deadline=None, max_examples=60)
def test_stopping_and_going_on_anywhere_gives_the_same_sums_to_the_bit(
    moves_made: list[tuple[str, int, str]], cuts: list[int], data: st.DataObject
) -> None:
    whole, pieces = Counting(), Counting()
    opened: list[list[object]] = [[], []]
    revision = 1
    for number, (move, which, persona) in enumerate(moves_made):
        if number in cuts:
            pieces = pieces.resumed()
        if move == "edit":
            revision += 1
        for site, units in ((whole, opened[0]), (pieces, opened[1])):
            if move == "hour":
                site.now += 3_600_000 * which
            elif move == "edit":
                site.edit(placement("film", ["a", f"v{which}"], revision=revision))
            elif move == "open":
                units.append(site.open(persona=persona, holdout=which == 0, visitor=f"v{which}"))
            elif move == "sent":
                units.append(site.open("x", inline=[], arms=["x@1", f"y{which}@1"]))
            elif units:
                unit = units.pop(which % len(units))
                site.close(unit, which / 3.0, views=which)  # type: ignore[arg-type]

    assert pieces.counters.parts() == whole.counters.parts()
    assert pieces.resumed().counters.parts() == whole.counters.parts()


def test_what_was_shown_and_earned_over_time_is_by_variant() -> None:
    site = Counting()
    site.count("a", 1.0)
    site.now += 2 * 3_600_000
    site.count("b")

    series = decode(site.counters.parts().series["film"], StoredSeries)

    assert [stretch.rows() for stretch in series.hours] == [[(0, 1, 1, 1.0)], [(1, 1, 1, 0.0)]]
    assert [row for stretch in series.days for row in stretch.rows()] == [
        (0, 1, 1, 1.0),
        (1, 1, 1, 0.0),
    ]
