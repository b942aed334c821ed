"""The demo's catalog: whole, consistent, and understood by the audience that visits it."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from simulations.audience import TASTES, Audience, load_placements
from simulations.demo import CATALOG

DOCUMENT: dict[str, Any] = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
PERSONAS: list[dict[str, Any]] = DOCUMENT["personas"]
PLACEMENTS: list[dict[str, Any]] = DOCUMENT["placements"]
VARIANTS: list[dict[str, Any]] = [v for p in PLACEMENTS for v in p["variants"]]
NEEDED = {
    "thumbnail": {"image_url", "alt", "target_url"},
    "headline": {"headline", "target_url"},
    "card": {"headline", "image_url", "alt", "target_url"},
}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_ids_are_unique_and_of_lowercase_letters_digits_and_hyphens() -> None:
    groups = [PERSONAS, PLACEMENTS, *(placement["variants"] for placement in PLACEMENTS)]
    for group in groups:
        ids = [each["id"] for each in group]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", each) for each in ids)


def test_the_catalog_is_of_a_size_that_a_person_can_oversee() -> None:
    assert 2 <= len(PERSONAS) <= 6
    assert 6 <= len(PLACEMENTS) <= 8
    assert {placement["kind"] for placement in PLACEMENTS} == set(NEEDED)
    assert all(3 <= len(placement["variants"]) <= 6 for placement in PLACEMENTS)


@pytest.mark.parametrize("placement", PLACEMENTS, ids=lambda placement: placement["id"])
def test_every_variant_has_exactly_what_its_kind_shows(placement: dict[str, Any]) -> None:
    needed = NEEDED[placement["kind"]]
    optional = {"attributes", "min_share", "max_share"}
    for variant in placement["variants"]:
        assert needed <= variant.keys()
        assert variant.keys() - optional - needed == {"id", "tags", "status"}


def test_every_placement_has_a_choice_to_make_and_statuses_are_known() -> None:
    assert {variant["status"] for variant in VARIANTS} <= {"draft", "live", "paused", "retired"}
    for placement in PLACEMENTS:
        assert sum(variant["status"] == "live" for variant in placement["variants"]) >= 3


def test_addresses_lead_to_nobody() -> None:
    for variant in VARIANTS:
        assert variant["target_url"].startswith("https://lantern.example/")
        assert variant.get("image_url", "https://images.example/").startswith(
            "https://images.example/"
        )


def test_shares_leave_room_for_a_choice() -> None:
    for placement in PLACEMENTS:
        least = [variant.get("min_share", 0.0) for variant in placement["variants"]]
        most = [variant.get("max_share", 1.0) for variant in placement["variants"]]
        assert all(0 <= low < high <= 1 for low, high in zip(least, most, strict=True))
        assert sum(least) < 1 < sum(most)


def test_creative_tags_recur_across_titles() -> None:
    titles = Counter(
        tag
        for placement in PLACEMENTS
        for tag in {
            tag for v in placement["variants"] if v["status"] == "live" for tag in v["tags"]
        }
    )
    alone = {tag for tag, count in titles.items() if count == 1}
    assert alone <= {"landscape"}, "its other bearers are paused or drafts, to be switched on"


def test_every_tag_of_the_audiences_taste_exists() -> None:
    tags = {tag for each in (*PLACEMENTS, *VARIANTS) for tag in each["tags"]}
    for persona, taste in TASTES.items():
        assert set(taste.affinities) <= tags, persona


def test_the_personas_are_those_of_the_audience() -> None:
    assert {persona["id"] for persona in PERSONAS} == set(TASTES)


def test_every_rule_asks_one_thing_and_a_tag_or_trait_that_exists() -> None:
    tags = {tag for placement in PLACEMENTS for tag in placement["tags"]}
    for rule in (rule for persona in PERSONAS for rule in persona["rules"]):
        assert rule["trait"] in {"genres", "favourites", "children"}
        assert len({"any", "tagged", "at_least"} & rule.keys()) == 1
        assert set(rule.get("tagged", ())) <= tags
        assert rule["weight"] > 0


@pytest.mark.parametrize("persona", TASTES)
def test_each_genre_alone_tells_its_persona(persona: str) -> None:
    for genre in TASTES[persona].genres:
        assert _resolved({"genres": [genre]}) == persona


def test_contradicting_genres_are_nobody_until_a_favourite_settles_it() -> None:
    assert _resolved({"genres": ["romance", "crime"]}) == "unknown"
    liked = {"genres": ["romance", "crime"], "favourites": ["the-long-summer"]}
    assert _resolved(liked) == "romantic"


def test_traits_that_say_nothing_of_taste_are_nobody() -> None:
    assert _resolved({"country": "PT"}) == "unknown"


def test_most_visitors_who_declare_anything_are_recognised_and_few_are_mistaken() -> None:
    # given
    audience = Audience(load_placements(CATALOG), seed=1)
    visitors = [audience.visit(number, at=NOON).visitor for number in range(5_000)]
    # when
    for persona in TASTES:
        mine = [v for v in visitors if v.persona == persona and "genres" in v.traits]
        told = Counter(_resolved(visitor.traits) for visitor in mine)
        # then
        assert told[persona] / len(mine) > 0.7
        assert 1 - (told[persona] + told["unknown"]) / len(mine) < 0.12


def _resolved(traits: Mapping[str, object]) -> str:
    """The rule at the head of the catalog, written out plainly."""
    fired = {
        persona["id"]: sum(rule["weight"] for rule in persona["rules"] if _fires(rule, traits))
        for persona in PERSONAS
    }
    best = max(fired, key=fired.__getitem__)
    return best if fired[best] / (sum(fired.values()) + 1.0) >= 0.5 else "unknown"


def _fires(rule: Mapping[str, Any], traits: Mapping[str, Any]) -> bool:
    value = traits.get(rule["trait"])
    if value is None:
        return False
    if "any" in rule:
        return bool({str(each).casefold() for each in value} & set(rule["any"]))
    if "tagged" in rule:
        tags = {tag for p in PLACEMENTS if p["id"] in value for tag in p["tags"]}
        return bool(tags & set(rule["tagged"]))
    return bool(value >= rule["at_least"])
