"""Who has won, for whom, and that nobody has where nothing differs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bandit_service.reporting.columns import N, counts
from bandit_service.reporting.columns import weighted as weighted_sums
from bandit_service.reporting.estimates import weighted
from bandit_service.reporting.sequences import ALPHA
from bandit_service.reporting.tables import Table, field, lineups, whole
from bandit_service.reporting.winners import field_of, leader, winners
from tests.reporting.counting import Counting, placement
from tests.reporting.tables import CLICKS, Shown, stored, table


def named(found: Table) -> list[tuple[str | None, str]]:
    return [(winner.persona, winner.arm) for winner in winners(field_of(found))]


def test_a_variant_that_is_clearly_ahead_of_every_other_has_won() -> None:
    found = table(
        {
            "a": {"romantic": Shown(3_000, 600)},
            "b": {"romantic": Shown(3_000, 300)},
            "c": {"romantic": Shown(3_000, 330)},
        }
    )

    overall, romantic = winners(field_of(found))

    assert (overall.persona, overall.arm, overall.rival) == (None, "a@1", "c@1")
    assert (romantic.persona, romantic.arm) == ("romantic", "a@1")
    assert overall.rate == pytest.approx(0.2)
    assert overall.rival_rate == pytest.approx(0.11)
    assert 0.0 < overall.lead < 0.09


def test_each_persona_may_have_a_winner_of_its_own_where_nobody_has_won_over_all() -> None:
    found = table(
        {
            "a": {"romantic": Shown(3_000, 600), "comedy": Shown(3_000, 150)},
            "b": {"romantic": Shown(3_000, 150), "comedy": Shown(3_000, 600)},
        }
    )

    assert named(found) == [("romantic", "a@1"), ("comedy", "b@1")]


@pytest.mark.parametrize(
    "cells",
    [
        {"a": {"p": Shown(3_000, 300)}},
        {"a": {"p": Shown(3_000, 300)}, "b": {"p": Shown(3_000, 320)}},
        {"a": {"p": Shown(3_000, 600)}, "b": {"p": Shown(3_000, 150)}, "c": {}},
        {"a": {"p": Shown(3_000, 600)}, "b": {"p": Shown(3_000, 150)}, "c": {"p": Shown(9, 0)}},
        {"a": {}, "b": {}},
    ],
    ids=["alone", "alike", "one never shown", "one hardly shown", "nothing"],
)
def test_nobody_has_won_where_another_may_be_as_good(cells: dict[str, dict[str, Shown]]) -> None:
    assert named(table({arm: {"p": Shown(0, 0), **found} for arm, found in cells.items()})) == []


def test_the_more_variants_there_are_the_more_the_one_that_is_named_must_show() -> None:
    two = table({"a": {"p": Shown(900, 180)}, "b": {"p": Shown(900, 90)}})
    many = table(
        {"a": {"p": Shown(900, 180)}, **{f"b{n}": {"p": Shown(900, 90)} for n in range(50)}}
    )

    few, lots = field_of(two), field_of(many)

    assert few.least[0, 0] > lots.least[0, 0]
    assert few.least[0] == pytest.approx(few.found.bounds.low[0])
    alone = weighted(np.zeros((1, 8)), CLICKS, ALPHA)
    assert alone.rate.shape == (1,)


def test_only_visits_in_which_all_that_are_live_could_be_shown_are_compared() -> None:
    """``c`` joins at Christmas, when everybody clicks twice as often."""
    site = Counting()
    for n in range(300):
        site.count("ab"[n % 2], float(n % 10 == 0 or n % 10 == 5))
    site.edit(placement("film", ["a", "b", "c"], revision=2))
    for n in range(300):
        site.count("abc"[n % 3], float(n % 5 < 2))

    sums = site.sums()
    together = field(sums, ["a@1", "b@1", "c@1"])
    rates = weighted(weighted_sums(together.of_everybody()), CLICKS)

    assert rates.rate == pytest.approx([0.4, 0.4, 0.4], abs=0.01)
    assert [tuple(one.arms) for one in lineups(sums)] == [("a@1", "b@1"), ("a@1", "b@1", "c@1")]
    biased = weighted(weighted_sums(whole(sums).of_everybody()), CLICKS).rate
    assert biased[2] > 1.2 * biased[0]
    assert not field(sums, ["a@1", "z@1"]).rows.any()
    assert named(field(sums, ["a@1", "b@1", "c@1"])) == []


def test_when_a_variant_is_paused_the_others_are_compared_over_all_their_visits() -> None:
    site = Counting(placement("film", ["a", "b", "c"]))
    for n in range(90):
        site.count("abc"[n % 3])
    site.edit(placement("film", ["a", "b"], rest=["c"], revision=2))
    for n in range(60):
        site.count("ab"[n % 2])

    rows = field(site.sums(), ["a@1", "b@1"]).of_everybody()

    assert counts(rows)[:, 0, N].tolist() == [60.0, 60.0]


def test_a_variant_that_is_withheld_from_eager_visitors_is_not_said_to_be_worse() -> None:
    """Both are liked alike; every other visitor is eager, and may not be shown ``a``."""
    rng, site = random.Random(1), Counting(placement("film", ["a", "b"]))
    for n in range(4_000):
        eager = n % 2 == 0
        clicked = float(rng.random() < (0.5 if eager else 0.1))
        if eager:
            site.count("b", clicked, exclude=["a"], arms=["b@1"])
        else:
            site.count(rng.choice("ab"), clicked)

    both = ["a@1", "b@1"]

    assert named(whole(site.sums()).only(both)) != []
    assert named(field(site.sums(), both)) == []


def test_a_variant_that_was_never_shown_is_not_ahead_where_rewards_have_both_signs() -> None:
    rng, site = random.Random(1), Counting(placement("film", ["a", "b", "c"]))
    for _ in range(2_000):
        arm = rng.choice("ab")
        site.count(arm, rng.choice((-1.0, 0.0, 1.0, 1.0 if arm == "a" else 0.0)))

    found = field_of(field(site.sums(), ["a@1", "b@1", "c@1"]))

    assert np.isneginf(found.least[0, 2])
    assert np.isposinf(found.found.bounds.high[0, 2])
    assert leader(found) == "a@1"
    assert winners(found) == []


def test_tables_read_back_what_was_stored() -> None:
    found = table({"a": {"p": Shown(30, 3), "q": Shown(10, 1)}, "b": {"p": Shown(20, 2)}})

    again = whole(stored(found))

    assert (again.arms, again.personas, again.scale) == (found.arms, found.personas, found.scale)
    assert (again.rows == found.rows).all()
