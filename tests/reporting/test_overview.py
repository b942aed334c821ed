"""The overview: how each placement stands, and which needs an editor first."""

from __future__ import annotations

from typing import Any

import pytest

from bandit_service.catalog.model import Placement
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting.overview import Overview, PlacementLine, overview
from bandit_service.reporting.series import DAY_MS, HOUR_MS
from bandit_service.reporting.stored import FORMAT, Day, StoredSite
from bandit_service.reporting.summary import Summary, summarised
from tests.reporting.counting import placement
from tests.reporting.tables import Shown, row, stored, table

NOW = 20_000 * DAY_MS
SITE = StoredSite(FORMAT, NOW, JoinCounts(), {19_999: Day(40, 30, 3.0, 5, 1.0), 20_000: Day(7)})
EVEN = {"a": Shown(4_000, 400), "b": Shown(4_000, 400)}


def summary(shown: dict[str, Shown], *, last: int = NOW, **fields: Any) -> Summary:
    found = table({arm: {"romantic": one} for arm, one in shown.items()})
    for number, units in enumerate(fields.get("held", ())):
        found.rows[number, 0] += row(units, holdout=True)
    hours = fields.get("hours", [(NOW - HOUR_MS, 10)])
    return summarised(stored(found, last=last), hours, fields.get("live", found.arms))


def line(made: Placement | None, counted: Summary | None) -> PlacementLine:
    catalog = {} if made is None else {"film": made}
    (found,) = overview(SITE, {} if counted is None else {"film": counted}, catalog).placements
    return found


BOTH = placement("film", ["a", "b"])
NO_TRAFFIC = "No traffic since 2024-10-02 23:00 UTC."


@pytest.mark.parametrize(
    ("made", "counted", "state", "says"),
    [
        (None, summary(EVEN), "sent", "Its variants come with the requests"),
        (placement("film", ["a"], retired=True), summary(EVEN), "retired", "Out of use."),
        (placement("film", [], rest=["a"]), summary(EVEN), "empty", "Nothing is live"),
        (BOTH, None, "unused", "No traffic yet."),
        (BOTH, summary(EVEN, last=NOW - 25 * HOUR_MS), "idle", NO_TRAFFIC),
        (placement("film", ["a"], rest=["b"]), summary(EVEN), "finished", "Finished"),
        (placement("film", ["a"]), summary({"a": Shown(9, 1)}), "single", "One variant"),
        (
            BOTH,
            summary({"a": Shown(4_000, 800), "b": Shown(4_000, 400)}),
            "winner",
            "Clear winner: a.",
        ),
        (BOTH, summary(EVEN), "even", "No difference so far"),
        (BOTH, summary({"a": Shown(400, 40), "b": Shown(400, 30)}), "learning", "Learning"),
        (placement("film", ["a", "c"]), summary(EVEN), "learning", "Learning"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_how_a_placement_stands(
    made: Placement | None, counted: Summary | None, state: str, says: str
) -> None:
    found = line(made, counted)

    assert found.state == state
    assert found.says.startswith(says)
    assert 0.0 <= found.attention <= 100.0


def test_winners_of_personas_are_named_with_whom_they_win() -> None:
    found = table(
        {
            "a": {"romantic": Shown(3_000, 600), "comedy": Shown(3_000, 150)},
            "b": {"romantic": Shown(3_000, 150), "comedy": Shown(3_000, 600)},
        }
    )

    shown = line(BOTH, summarised(stored(found, last=NOW), [], found.arms))

    assert shown.says == "Clear winner for romantic (a), comedy (b)."
    assert [(winner.persona, winner.arm) for winner in shown.winners] == [
        ("romantic", "a@1"),
        ("comedy", "b@1"),
    ]


def site_of(**counted: tuple[Placement, Summary | None]) -> Overview:
    catalog = {name: made for name, (made, _) in counted.items()}
    summaries = {name: one for name, (_, one) in counted.items() if one is not None}
    return overview(SITE, summaries, catalog)


def test_what_an_editor_can_do_something_about_comes_first() -> None:
    even = summary(EVEN)
    worse = summary(
        {"a": Shown(6_000, 300), "b": Shown(6_000, 300)},
        held=[Shown(3_000, 450), Shown(3_000, 450)],
    )
    found = site_of(
        new=(placement("new", ["a", "b"]), None),
        quiet=(BOTH, summary({"a": Shown(40, 4), "b": Shown(40, 4)})),
        even=(BOTH, even),
        done=(placement("done", ["a"], rest=["b"]), even),
        idle=(BOTH, summary(EVEN, last=NOW - 2 * DAY_MS)),
        won=(BOTH, summary({"a": Shown(4_000, 800), "b": Shown(4_000, 400)})),
        worse=(BOTH, worse),
        asked=(placement("asked", []), even),
        draft=(placement("draft", []), None),
    )

    assert [one.placement for one in found.placements] == [
        *("asked", "worse", "idle", "won", "even", "draft", "new", "quiet", "done"),
    ]
    losing = found.placements[1]
    assert losing.gain.verdict == "lower"
    assert losing.says.startswith("Earns less than if variants were drawn evenly.")


def test_among_placements_of_a_kind_the_one_with_more_traffic_comes_first() -> None:
    found = site_of(
        small=(BOTH, summary({"a": Shown(40, 4), "b": Shown(40, 4)})),
        large=(BOTH, summary({"a": Shown(400, 40), "b": Shown(400, 40)})),
    )

    assert [one.placement for one in found.placements] == ["large", "small"]


def test_traffic_is_that_of_the_last_24_hours_of_the_log() -> None:
    hours = [(NOW - 30 * HOUR_MS, 1), (NOW - 23 * HOUR_MS, 20), (NOW, 300)]

    found = line(BOTH, summary(EVEN, hours=hours))

    assert (found.shown, found.rewarded, found.shown_24h, found.last_seen) == (8_000, 800, 320, NOW)


def test_the_site_is_the_sum_of_its_placements_and_has_its_days() -> None:
    held = [Shown(100, 5), Shown(100, 5)]
    found = site_of(one=(BOTH, summary(EVEN, held=held)), two=(BOTH, summary(EVEN)))

    assert (found.as_of, found.policy.n, found.holdout.n) == (NOW, 16_000, 200)
    assert found.policy.rate == pytest.approx(0.1)
    assert found.holdout.rate == pytest.approx(0.05)
    assert found.gain.value == pytest.approx(0.05)
    first, second = found.days
    assert (first.day, first.shown, first.policy_rate, first.holdout_rate) == (
        *(19_999 * DAY_MS, 40, 0.1, 0.2),
    )
    assert (second.policy_n, second.policy_rate, second.holdout_rate) == (0, None, None)


def test_units_beyond_the_bounds_are_no_placement_and_nothing_is_an_empty_overview() -> None:
    found = overview(SITE, {"": summary(EVEN)}, {})
    nothing = overview(None, {}, {})

    assert not any((found.placements, nothing.placements, nothing.days))
    assert (found.policy.n, nothing.policy.n) == (8_000, 0)
    assert nothing.as_of is None
    assert nothing.policy.held_back == "nothing_settled"


def test_placements_whose_rewards_differ_in_size_have_scales_of_their_own() -> None:
    found = table({"a": {"p": Shown(1_000, 100)}, "b": {"p": Shown(1_000, 100)}})
    found.rows[..., [4, 5]] *= [5.0, 25.0]
    fives = stored(found._replace(scale=found.scale._replace(most=5.0)), last=NOW)

    shown = site_of(ones=(BOTH, summary(EVEN)), fives=(BOTH, summarised(fives, [], ["a@1", "b@1"])))

    by_name = {one.placement: one.policy for one in shown.placements}
    assert by_name["fives"].rate == pytest.approx(0.5)
    assert by_name["fives"].high is not None
    assert by_name["ones"].high is not None
    assert 0.5 < by_name["fives"].high < 0.75
    assert by_name["ones"].high < 0.12
