"""The catalogue: unequal traffic, tags that carry over, a cold start that can be told apart."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest

from simulations.bandits.base import Batch, Floats
from simulations.bandits.worlds.catalogue import COLD, PERSONAS, Catalogue


def a_catalogue(report: str = "", *, seed: int = 1, impressions: int = 60_000) -> list[Batch]:
    world = Catalogue("catalogue", titles=300, impressions=impressions, report=report, seed=seed)
    return list(world.batches())


def known_rates(batches: list[Batch]) -> dict[str, dict[str, tuple[tuple[str, ...], Floats]]]:
    """Of each placement and variant its tags, and its rate for each persona that came."""
    found: dict[str, dict[str, tuple[tuple[str, ...], Floats]]] = defaultdict(dict)
    for batch in batches:
        for column, arm in enumerate(batch.spot.arms):
            unknown = (arm.tags, np.full(len(PERSONAS), np.nan))
            _, rates = found[batch.spot.id].setdefault(arm.id, unknown)
            rates[batch.persona] = batch.truth[:, column]
    return found


def explained(batches: list[Batch], persona: int) -> float:
    """R² of log rates within placements on dummies of tags, adjusted for their number."""
    rows, targets = [], []
    tags = sorted({tag for batch in batches for arm in batch.spot.arms for tag in arm.tags})
    for variants in known_rates(batches).values():
        seen = [(t, np.log(r[persona])) for t, r in variants.values() if np.isfinite(r[persona])]
        if len(seen) < 2:
            continue
        x = np.array([[tag in shown for tag in tags] for shown, _ in seen], float)
        y = np.array([rate for _, rate in seen])
        rows.append(x - x.mean(axis=0))
        targets.append(y - y.mean())
    x, y = np.concatenate(rows), np.concatenate(targets)
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    free = len(y) - len(rows)
    return float(1.0 - (left @ left / (free - len(tags))) / (y @ y / free))


def test_tags_explain_about_half_of_the_variance_within_placements() -> None:
    # given four personas of three seeds; 24 tags vary by chance by a third of their variance
    found = [
        explained(batches, persona)
        for seed in range(3)
        for batches in [a_catalogue(seed=seed, impressions=30_000)]
        for persona in range(len(PERSONAS))
    ]
    # then the mean is well within 0.4 to 0.6, and none is nothing or all
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)
    assert min(found) > 0.2
    assert max(found) < 0.8


def test_personas_agree_on_the_best_variant_of_some_placements_and_not_of_others() -> None:
    variants = [list(one.values()) for one in known_rates(a_catalogue()).values()]
    rates = [np.array([rates for _, rates in several]) for several in variants]
    full = [table for table in rates if np.isfinite(table).all()]
    agree = np.mean([len(set(np.argmax(table, axis=0))) == 1 for table in full])
    assert 0.1 < agree < 0.7


def test_click_rates_of_placements_lie_between_a_third_and_ten_percent() -> None:
    # given the placement's own level is drawn within bounds, its genre and variants move it
    means = [
        np.nanmean([rates for _, rates in variants.values()])
        for variants in known_rates(a_catalogue()).values()
    ]
    # then
    assert 0.0015 < min(means) < 0.006
    assert 0.05 < max(means) < 0.2


def test_few_placements_have_most_of_the_traffic() -> None:
    shown: defaultdict[str, int] = defaultdict(int)
    for batch in a_catalogue():
        shown[batch.spot.id] += len(batch.at)
    counts = np.sort(list(shown.values()))[::-1]
    assert counts[:30].sum() > 0.4 * counts.sum()
    assert counts.sum() == pytest.approx(60_000, rel=0.03)  # 7 standard deviations


def test_variants_come_and_go_but_two_are_always_left() -> None:
    # given
    live: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for batch in a_catalogue(impressions=200_000):
        ids = frozenset(arm.id for arm in batch.spot.arms)
        if not live[batch.spot.id] or live[batch.spot.id][-1] != ids:
            live[batch.spot.id].append(ids)
    # then
    changes = [(one, two) for several in live.values() for one, two in pairwise(several)]
    assert any(two > one for one, two in changes)
    assert any(two < one for one, two in changes)
    assert any(len(several[0]) == 2 and len(several[-1]) > 2 for several in live.values())
    assert min(len(ids) for several in live.values() for ids in several) == 2


@pytest.mark.parametrize("report", ["new", "cold"])
def test_what_counts_changes_nothing_else(report: str) -> None:
    for one, two in zip(a_catalogue(), a_catalogue(report), strict=True):
        assert one.spot == two.spot._replace(reported=True)
        assert np.array_equal(one.luck, two.luck)
        assert np.array_equal(one.truth, two.truth)


def test_new_counts_placements_that_start_in_the_second_half() -> None:
    # given
    batches = a_catalogue("new", impressions=200_000)
    middle = (batches[0].at[0] + batches[-1].at[-1]) / 2
    first = {batch.spot.id: batch.at[0] for batch in reversed(batches)}
    # then a small placement may be seen late without having started late
    counted = {batch.spot.id for batch in batches if batch.spot.reported}
    assert len(counted) > 30
    assert all(first[placement] >= middle for placement in counted)
    assert not any(b.spot.reported for b in batches if first[b.spot.id] < middle)


def test_cold_counts_the_first_impressions_of_a_placement_and_after_a_variant_joins() -> None:
    # given
    known: defaultdict[str, set[str]] = defaultdict(set)
    since: defaultdict[str, int] = defaultdict(int)
    joined = 0
    # then
    for batch in a_catalogue("cold", impressions=200_000):
        place, ids = batch.spot.id, {arm.id for arm in batch.spot.arms}
        if ids - known[place]:
            joined += bool(known[place])
            known[place] |= ids
            since[place] = 0
        assert batch.spot.reported == (since[place] < COLD)
        since[place] += len(batch.at)
    assert joined > 50
