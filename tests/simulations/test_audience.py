"""The simulated audience: its truth can be named, and its visits follow from a seed alone."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from math import sqrt

import pytest

from simulations.audience import SILENT, TASTES, Audience, Placement, Variant, load_placements
from simulations.demo import CATALOG

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACEMENTS = load_placements(CATALOG)


@pytest.fixture(scope="module")
def audience() -> Audience:
    return Audience(PLACEMENTS, seed=1)


def test_a_visit_follows_from_the_seed_and_its_number(audience: Audience) -> None:
    # given
    other = Audience(PLACEMENTS, seed=1)
    # when
    with ThreadPoolExecutor(4) as threads:
        visits = list(threads.map(lambda number: other.visit(number, at=NOON), range(500, 0, -1)))
    # then
    assert visits == [audience.visit(number, at=NOON) for number in range(500, 0, -1)]


def test_another_seed_is_another_audience(audience: Audience) -> None:
    other = Audience(PLACEMENTS, seed=2)
    assert [audience.visit(n, at=NOON) for n in range(20)] != [
        other.visit(n, at=NOON) for n in range(20)
    ]


@pytest.mark.parametrize(
    ("persona", "placement", "variant"),
    [
        ("romantic", "the-long-summer", "kiss-at-dusk"),
        ("romantic", "the-quiet-floor", "last-dance"),
        ("comedy", "second-helpings", "flour-everywhere"),
        ("comedy", "nine-minutes-to-lisbon", "worst-getaway"),
        ("action", "iron-meridian", "bridge-goes-up"),
        ("action", "the-long-summer", "moped-downhill"),
        ("thriller", "the-quiet-floor", "half-open-door"),
        ("thriller", "captain-waffles", "empty-lighthouse"),
        ("family", "captain-waffles", "dog-at-the-helm"),
        ("family", "second-helpings", "sunday-table"),
    ],
)
def test_each_persona_has_the_best_variant_one_would_expect_under_any_seed(
    persona: str, placement: str, variant: str
) -> None:
    for seed in range(20):
        assert Audience(PLACEMENTS, seed=seed).best_variant(persona, placement) == variant


def test_on_every_placement_several_variants_are_the_best_of_some_persona(
    audience: Audience,
) -> None:
    for placement in audience.placements:
        best = {audience.best_variant(persona, placement.id) for persona in TASTES}
        assert len(best) >= 3


def test_click_rates_are_believable_and_the_oracle_is_far_above_uniform(
    audience: Audience,
) -> None:
    for persona in TASTES:
        assert 0.04 < audience.uniform_rate(persona) < 0.07
        assert 1.6 < audience.best_rate(persona) / audience.uniform_rate(persona) < 2.4
        for placement in audience.placements:
            assert all(0.015 < p < 0.15 for p in audience.truth(persona, placement.id).values())


def test_clicks_come_as_often_as_the_truth_says(audience: Audience) -> None:
    # given
    visits = [audience.visit(number, at=NOON) for number in range(30_000)]
    # when: every visitor is shown what is best for its persona
    shown = [(v, audience.best_variant(v.visitor.persona, v.placement)) for v in visits]
    clicks = sum(audience.clicks(visit, variant) for visit, variant in shown)
    # then
    expected = sum(audience.truth(v.visitor.persona, v.placement)[best] for v, best in shown)
    assert abs(clicks - expected) < 4 * sqrt(expected)


def test_visits_follow_the_shares_of_the_personas_and_spread_over_the_placements(
    audience: Audience,
) -> None:
    # given
    visits = [audience.visit(number, at=NOON) for number in range(30_000)]
    # when
    personas = Counter(visit.visitor.persona for visit in visits)
    placements = Counter(visit.placement for visit in visits)
    # then
    for persona, taste in TASTES.items():
        assert personas[persona] / len(visits) == pytest.approx(taste.share, abs=0.02)
    for placement in audience.placements:
        assert placements[placement.id] / len(visits) == pytest.approx(1 / 7, abs=0.01)


def test_some_visitors_declare_nothing_some_are_mistaken_and_most_are_right(
    audience: Audience,
) -> None:
    # given
    visitors = [audience.visitor(number) for number in range(20_000)]
    # when
    declaring = [visitor for visitor in visitors if "genres" in visitor.traits]
    right = [v for v in declaring if set(_genres(v.traits)) & set(TASTES[v.persona].genres)]
    # then
    assert 1 - len(declaring) / len(visitors) == pytest.approx(SILENT, abs=0.02)
    assert 0.85 < len(right) / len(declaring) < 0.97


def test_visitors_return_now_and_then_and_stay_who_they_are(audience: Audience) -> None:
    # given
    visits = [audience.visit(number, at=NOON) for number in range(10_000)]
    # when
    seen: dict[str, list[object]] = {}
    for visit in visits:
        seen.setdefault(visit.visitor.id, []).append(visit.visitor)
    # then
    returning = [visitors for visitors in seen.values() if len(visitors) > 1]
    assert 1_000 < len(returning) < len(seen) / 2
    assert all(visitor == visitors[0] for visitors in returning for visitor in visitors)
    assert max(map(len, returning)) < 50


def test_the_hour_of_the_context_is_the_hour_where_the_visitor_lives(audience: Audience) -> None:
    hours = {"PT": 12, "DE": 13, "FI": 14, "IN": 17, "JP": 21, "BR": 9, "US": 6}
    for number in range(200):
        context = audience.visit(number, at=NOON).context
        assert context["hour"] == hours[str(context["country"])]


def test_only_live_variants_are_part_of_the_truth(audience: Audience) -> None:
    # given
    asleep = {v.id for p in PLACEMENTS for v in p.variants if v.status != "live"}
    # then
    assert asleep
    for persona in TASTES:
        for placement in audience.placements:
            assert not asleep & set(audience.truth(persona, placement.id))


def test_a_catalog_with_tags_nobody_knows_is_served_near_the_base_rate() -> None:
    # given
    strange = Placement(
        "strange", ("opera",), (Variant("a", "live", ("tuba",)), Variant("b", "live"))
    )
    # when
    audience = Audience([strange], seed=3)
    # then
    for persona in TASTES:
        assert audience.uniform_rate(persona) == pytest.approx(0.05, abs=0.01)


def test_a_variant_that_the_catalog_lacks_cannot_be_clicked(audience: Audience) -> None:
    with pytest.raises(KeyError):
        audience.clicks(audience.visit(0, at=NOON), "no-such-variant")


def _genres(traits: object) -> list[str]:
    assert isinstance(traits, dict)
    genres = traits["genres"]
    assert isinstance(genres, list)
    return genres
