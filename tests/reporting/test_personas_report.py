"""Whether a persona earns its keep: found on one half of the visitors, judged on the other."""

from __future__ import annotations

import numpy as np
import pytest

from bandit_service.reporting.persona_lift import Lift, persona_lifts
from bandit_service.reporting.personas_report import ENOUGH, SAME, added, personas_report
from bandit_service.reporting.summary import Summary, summarised
from bandit_service.reporting.tables import Table
from tests.reporting.tables import Shown, row, stored, table

CALM = {"romantic": Shown(4_000, 400), "comedy": Shown(4_000, 400)}
TORN = {
    "a": {"romantic": Shown(4_000, 600), "comedy": Shown(12_000, 600)},
    "b": {"romantic": Shown(4_000, 300), "comedy": Shown(12_000, 1_200)},
}
"""Romantics like what everybody else does not."""


def summary(found: Table, last: int = 0) -> Summary:
    return summarised(stored(found, last=last), [], found.arms)


def halves_of(*rows: tuple[str, str, Shown, int]) -> Table:
    """A table whose halves differ: variant, persona, units, and of which half they are."""
    found = table({"a": {"p": Shown(0, 0), "q": Shown(0, 0)}, "b": {"p": Shown(0, 0)}})
    for arm, persona, shown, half in rows:
        found.rows["ab".index(arm), "pq".index(persona)] += row(shown, half=half)
    return found


def test_what_suits_a_persona_on_one_half_is_judged_on_the_other() -> None:
    everybodys = [("a", "q", Shown(5_000, 250), 0), ("b", "q", Shown(5_000, 1_000), 0)]
    everybodys += [(arm, persona, shown, 1) for arm, persona, shown, _ in everybodys]
    luck = halves_of(
        *everybodys,
        ("a", "p", Shown(1_000, 300), 0),  # on the first half a looks much better ...
        ("b", "p", Shown(1_000, 100), 0),
        ("a", "p", Shown(1_000, 90), 1),  # ... and on the other it is a little worse
        ("b", "p", Shown(1_000, 100), 1),
    )

    lift = persona_lifts(luck)["p"]

    assert lift.choices == [(0, 1)]
    assert lift.lift == pytest.approx((0.09 - 0.1) / 2.0)


def test_a_persona_that_likes_what_others_do_not_is_worth_choosing_for() -> None:
    report = personas_report(7, {f"p{n}": summary(table(TORN)) for n in range(5)})

    assert report.as_of == 7
    comedy, romantic = report.personas
    assert (romantic.persona, romantic.worth) == ("romantic", "earns")
    assert (romantic.placements, romantic.apart) == (5, 5)
    assert romantic.lift == pytest.approx(0.075)
    assert romantic.low is not None
    assert romantic.high is not None
    assert 0.0 < romantic.low < 0.075 < romantic.high
    assert romantic.relative is not None
    assert romantic.relative.value == pytest.approx(0.075 / 0.1125)
    assert romantic.says.startswith("Choosing for romantic apart earns: +67%, between +")
    assert (romantic.shown, romantic.rewarded) == (40_000, 4_500)
    assert (comedy.worth, comedy.apart, comedy.low) == ("no_difference", 0, None)
    assert comedy.says == (
        "Choosing for comedy apart makes no difference so far: what suits everybody suits them."
    )


def test_a_persona_that_is_like_everybody_makes_no_difference() -> None:
    """200 sites on which nothing differs: lifts are 0 on average, though the best is chosen."""
    rng = np.random.default_rng(4)
    lifts, claimed = [], []
    for _ in range(200):
        found = table({arm: dict(CALM) for arm in "abc"})
        for index in np.ndindex(3, 2):
            clicks = rng.binomial(1_000, 0.1, 2)
            found.rows[index] = sum(row(Shown(1_000, c), half=h) for h, c in enumerate(clicks))
        lift = persona_lifts(found)["romantic"]
        lifts.append(lift.lift)
        interval = added([lift]).interval(0.05)
        claimed.append(interval is not None and (interval[0] > 0.0 or interval[1] < 0.0))

    apart = np.array([lift for lift in lifts if lift])
    assert len(apart) > 20
    assert abs(apart.mean()) < 3.0 * apart.std() / np.sqrt(len(apart))
    assert np.mean(claimed) <= 0.02


def test_a_persona_with_few_visits_gets_what_suits_everybody() -> None:
    few = {arm: dict(shown) for arm, shown in TORN.items()}
    few["a"]["romantic"], few["b"]["romantic"] = Shown(40, 4), Shown(40, 3)

    (lift,) = [persona_lifts(table(few))["romantic"]]

    assert lift.choices == []
    (romantic,) = [
        one
        for one in personas_report(None, {"p": summary(table(few))}).personas
        if one.persona == "romantic"
    ]
    assert romantic.worth == "too_few"
    assert romantic.says == "Too little is known yet of what choosing for romantic apart earns."


def test_a_sum_that_rests_on_a_handful_of_rewards_says_nothing() -> None:
    """A variant that hardly any romantic saw, on a placement with most of the traffic."""
    lift = Lift(1_000.0, 0.02, 1e-4, 9e-7, 0.01, 0.01, [(0, 1)])

    total = added([lift, Lift(10.0, 0.0, 0.0, 0.0, 0.01, 0.01, [])])

    assert total.evidence == pytest.approx(1e-12 / 8.1e-13)
    assert total.evidence < ENOUGH
    assert total.interval(0.05) is None


def test_lifts_add_up_weighted_by_visits() -> None:
    one = Lift(3_000.0, 0.02, 1e-6, 1e-12, 0.1, 0.1, [(0, 1)])
    other = Lift(1_000.0, 0.0, 0.0, 0.0, 0.2, 0.2, [])

    total = added([one, other])

    assert total.lift == pytest.approx(0.015)
    assert total.variance == pytest.approx(1e-6 * 0.75**2)
    assert total.rate == pytest.approx(0.125)
    assert (total.visits, total.placements, total.apart) == (4_000.0, 2, 1)
    assert added([]) == (0.0, 0.0, 0.0, 0.0, 0.0, 0, 0)
    assert added([other]).evidence == 1_000.0 * 0.2 > SAME


def test_where_there_is_nothing_to_choose_there_is_no_lift() -> None:
    assert persona_lifts(table({"a": dict(CALM)})) == {}
    report = personas_report(None, {"p": summary(table({"a": dict(CALM)}), last=9)})

    for persona in report.personas:
        assert (persona.placements, persona.worth, persona.last_seen) == (0, "too_few", 9)


def test_nothing_that_was_counted_is_an_empty_report() -> None:
    assert personas_report(None, {}).personas == []
