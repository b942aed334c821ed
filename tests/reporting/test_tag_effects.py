"""What goes with a tag: a known effect is found, and tags that do nothing are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandit_service.catalog.model import Placement
from bandit_service.reporting.sequences import ALPHA, radius
from bandit_service.reporting.stored import StoredSums
from bandit_service.reporting.tag_effects import (
    LEAST,
    SPREAD,
    TagEffect,
    shared,
    tag_effects,
)
from tests.reporting.counting import placement
from tests.reporting.tables import Shown, stored, table

Counted = tuple[Placement, StoredSums]


def counted(name: str, rates: dict[str, float], tags: dict[str, tuple[str, ...]]) -> Counted:
    """A placement whose variants earned with romantics as told, and with nobody else."""
    cells = {arm: {"romantic": Shown(2_000, 2_000 * rate)} for arm, rate in rates.items()}
    return placement(name, list(rates), tags_of=tags), stored(table(cells))


def of(found: list[TagEffect], tag: str, persona: str | None = None) -> TagEffect:
    (one,) = [one for one in found if (one.tag, one.persona) == (tag, persona)]
    return one


def with_faces(rng: np.random.Generator, effect: float, count: int) -> list[Counted]:
    """Placements of four variants, of which two have faces and earn so much more."""
    made = []
    for n in range(count):
        base = 0.1 * math.exp(rng.normal(0.0, 0.3))
        quality = np.exp(rng.normal(0.0, 0.2, 4)) * np.array([1 + effect, 1 + effect, 1.0, 1.0])
        rates = {arm: base * one for arm, one in zip("abcd", quality.tolist(), strict=True)}
        tags: dict[str, tuple[str, ...]] = {"a": ("faces",), "b": ("faces",)}
        tags[str(rng.choice(list("abcd")))] = (*tags.get("a", ()), "text")
        made.append(counted(f"p{n}", rates, {**tags, "c": tags.get("c", ())}))
    return made


def test_a_tag_that_earns_more_everywhere_is_found() -> None:
    placements = with_faces(np.random.default_rng(1), 0.6, 40)

    found = tag_effects(placements, ["faces", "text"], ["romantic"])

    faces = of(found, "faces")
    assert (faces.effect, faces.placements) == ("more", 40)
    assert faces.relative is not None
    assert faces.relative.low < 0.6 / 1.3 < faces.relative.high
    assert faces.says.startswith("Variants with faces earn +")
    assert of(found, "faces", "romantic").effect == "more"
    assert of(found, "text").effect == "no_difference"
    assert [one.tag for one in found[:2]] == ["faces", "faces"]


def test_the_effect_of_placements_that_agree_is_their_difference() -> None:
    placements = [counted(f"p{n}", {"a": 0.12, "b": 0.08}, {"a": ("faces",)}) for n in range(LEAST)]

    found = of(tag_effects(placements, ["faces"], []), "faces")

    assert found.relative is not None
    assert found.relative.value == pytest.approx(0.4)
    assert (found.placements, found.variants) == (LEAST, LEAST)
    assert found.effective_placements == pytest.approx(LEAST)
    assert (found.shown_with, found.shown_without) == (2_000 * LEAST, 2_000 * LEAST)
    sampled = (0.1 * 0.9) / 0.1**2 / 2_000
    variance = 2.0 * (sampled + SPREAD**2) / LEAST
    half = float(radius(np.array(variance), np.array(float(LEAST)), ALPHA / 2.0))
    assert found.relative.high - found.relative.value == pytest.approx(half)


def test_effects_that_differ_from_placement_to_placement_make_the_interval_wider() -> None:
    alike = [counted(f"p{n}", {"a": 0.1, "b": 0.1}, {"a": ("x",)}) for n in range(8)]
    apart = [
        counted(f"p{n}", {"a": 0.1 * (1 + 0.9 * (-1) ** n), "b": 0.1}, {"a": ("x",)})
        for n in range(8)
    ]

    narrow, wide = (of(tag_effects(some, ["x"], []), "x").relative for some in (alike, apart))

    assert narrow is not None
    assert wide is not None
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_fewer_placements_than_the_least_say_nothing() -> None:
    placements = with_faces(np.random.default_rng(1), 3.0, LEAST - 1)

    found = of(tag_effects(placements, ["faces"], []), "faces")

    assert (found.effect, found.relative, found.placements) == ("too_few", None, LEAST - 1)
    assert found.says == "Too little is known yet of faces for everybody."


def test_variants_without_siblings_that_lack_the_tag_say_nothing() -> None:
    every = counted("p", {"a": 0.1, "b": 0.2}, {"a": ("x",), "b": ("x",)})
    none = counted("q", {"a": 0.1, "b": 0.2}, {})
    silent = counted("r", {"a": 0.0, "b": 0.0}, {"a": ("x",)})

    assert tag_effects([every, none, silent], ["x"], ["romantic"]) == []
    assert tag_effects([], ["x"], []) == []
    assert tag_effects([every], [], ["romantic"]) == []


def test_older_versions_whose_tags_nobody_kept_are_on_neither_side() -> None:
    now, sums = counted("p", {"a": 0.1, "b": 0.2}, {"a": ("x",)})
    older = sums.lineups[0]
    older.arms = ("a@1", "b@0")
    sums.arms[1] = "b@0"

    assert tag_effects([(now, sums)], ["x"], []) == []


def test_the_more_is_asked_the_wider_intervals_are_and_half_is_for_everybody() -> None:
    alphas = shared(4, 10)

    assert alphas[0, 0] == pytest.approx(ALPHA / 2.0 / 10)
    assert alphas[1:, 0] == pytest.approx([ALPHA / 2.0 / 30] * 3)
    assert 10 * alphas.sum() == pytest.approx(ALPHA)
    assert shared(1, 1)[0, 0] == pytest.approx(ALPHA / 2.0)


def test_a_placement_that_no_persona_of_the_list_met_is_of_everybody() -> None:
    some = [counted(f"p{n}", {"a": 0.15, "b": 0.1}, {"a": ("x",)}) for n in range(6)]

    found = tag_effects(some, ["x"], ["romantic", "comedy"])

    assert {one.persona for one in found} == {None, "romantic"}
