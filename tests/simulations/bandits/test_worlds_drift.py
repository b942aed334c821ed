"""Changes of truth: what changes, when, and that nothing else does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from simulations.bandits.base import Batch, Floats
from simulations.bandits.worlds.drift import KINDS, PERSONAS, Drift

PLACEMENTS = 6


def a_site(kind: str, *, seed: int = 1) -> Drift:
    return Drift(f"drift:{kind}", kind, placements=PLACEMENTS, impressions=60_000, seed=seed)


def tables(batches: Sequence[Batch], persona: int = 0) -> dict[str, Floats]:
    """Of each placement the truth (n x arms) of one persona's impressions, in time."""
    rows: defaultdict[str, list[Floats]] = defaultdict(list)
    for batch in batches:
        rows[batch.spot.id].append(batch.truth[batch.persona == persona])
    return {place: np.concatenate(several) for place, several in rows.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_have_the_same_visitors_with_the_same_luck(kind: str) -> None:
    for one, two in zip(a_site("still").batches(), a_site(kind).batches(), strict=True):
        assert one.spot.id == two.spot.id
        for name in ("at", "persona", "luck", "draw", "delay"):
            assert np.array_equal(getattr(one, name), getattr(two, name))


def test_nothing_changes_where_it_is_still() -> None:
    world = a_site("still")
    assert not world.changes
    for persona in range(len(PERSONAS)):
        for truth in tables(list(world.batches()), persona).values():
            assert np.all(truth == truth[0])


@pytest.mark.parametrize("kind", ["flip", "break"])
def test_until_its_change_a_placement_is_as_if_nothing_would_change(kind: str) -> None:
    # given
    world = a_site(kind)
    assert len(set(world.changes.values())) == PLACEMENTS
    # then
    for one, two in zip(a_site("still").batches(), world.batches(), strict=True):
        before = two.at < world.changes[two.spot.id]
        assert np.array_equal(one.truth[before], two.truth[before])
        assert np.all(np.any(one.truth[~before] != two.truth[~before], axis=1))


def test_a_flip_reverses_every_personas_ranking_and_keeps_its_rates() -> None:
    # given
    world = a_site("flip")
    for one, two in zip(a_site("still").batches(), world.batches(), strict=True):
        after = two.at >= world.changes[two.spot.id]
        was, now = one.truth[after], two.truth[after]
        # then
        assert np.allclose(np.sort(was, axis=1), np.sort(now, axis=1))
        assert np.array_equal(np.argsort(was, axis=1), np.argsort(now, axis=1)[:, ::-1])


def test_changes_come_after_two_fifths_and_before_three_fifths_of_the_time() -> None:
    world = a_site("flip")
    at = np.concatenate([batch.at for batch in world.batches()])
    share = (np.array(list(world.changes.values())) - at[0]) / (at[-1] - at[0])
    assert np.all((share > 0.39) & (share < 0.61))


def test_what_breaks_was_the_best_and_then_earns_nothing() -> None:
    # given
    world = a_site("break")
    mean: defaultdict[str, list[Floats]] = defaultdict(list)
    for batch in world.batches():
        ids = [arm.id for arm in batch.spot.arms]
        column = ids.index(world.broken[batch.spot.id])
        after = batch.at >= world.changes[batch.spot.id]
        # then
        assert np.all(batch.truth[after, column] == 0.0)
        assert np.all(np.delete(batch.truth[after], column, axis=1) > 0.0)
        mean[batch.spot.id].append(batch.truth[~after])
    for place, rows in mean.items():
        best = int(np.argmax(np.concatenate(rows).mean(axis=0)))
        assert world.broken[place] == f"v{best + 1}"


def test_what_fades_changes_places_but_stays_as_far_apart() -> None:
    # given the first and the last tenth of many placements
    world = Drift("drift:fade", "fade", placements=60, impressions=60_000, seed=1)
    found = tables(list(world.batches()))
    first = np.array([np.log(truth[: len(truth) // 10]).mean(axis=0) for truth in found.values()])
    last = np.array([np.log(truth[-len(truth) // 10 :]).mean(axis=0) for truth in found.values()])
    # then the spread of 60 x 4 rates is known to a tenth or so; the best is another for many
    assert first.std(axis=1).mean() == pytest.approx(last.std(axis=1).mean(), rel=0.3)
    changed = np.argmax(first, axis=1) != np.argmax(last, axis=1)
    assert 0.25 < changed.mean() < 0.85
    # and no day brings a jump: rates move by less than 1 in logarithms from row to row
    assert max(np.abs(np.diff(np.log(truth), axis=0)).max() for truth in found.values()) < 0.5


def test_in_a_season_the_context_tells_which_variant_is_best() -> None:
    # given the mean truth of each placement in each situation
    world = a_site("season")
    assert world.keys == ("band", "weekend")
    found: defaultdict[str, defaultdict[tuple[str, ...], list[Floats]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for batch in world.batches():
        for situation, truth in zip(batch.context, batch.truth, strict=True):
            found[batch.spot.id][situation].append(truth)
    # then in the eight situations there are several best variants, but for a few placements where
    # one leads by more than a season can take away
    best = []
    for situations in found.values():
        assert len(situations) == 8
        best.append({int(np.argmax(np.mean(rows, axis=0))) for rows in situations.values()})
    assert sum(len(variants) >= 2 for variants in best) >= PLACEMENTS - 2


def test_the_context_is_the_hour_and_the_weekend_of_the_impression() -> None:
    bands = ("night", "morning", "afternoon", "evening")
    for batch in a_site("season").batches():
        times = batch.at.astype("datetime64[ms]")
        hours = (times - times.astype("datetime64[D]")).astype("timedelta64[h]").astype(int)
        days = (times.astype("datetime64[D]").astype(int) + 3) % 7  # 1970 began on a Thursday
        told = [
            (bands[hour // 6], "yes" if day >= 5 else "no")
            for hour, day in zip(hours, days, strict=True)
        ]
        assert list(batch.context) == told


def test_the_bonus_of_what_is_new_wears_off() -> None:
    # given
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    live: defaultdict[str, set[int]] = defaultdict(set)
    for batch in a_site("novelty").batches():
        live[batch.spot.id].add(len(batch.spot.arms))
        for arm, column in zip(batch.spot.arms, batch.truth.T, strict=True):
            found[batch.spot.id, arm.id].extend(column[batch.persona == 0])
    # then each placement gets two more
    assert all(counts == {4, 5, 6} for counts in live.values())
    for (_, joined), rates in found.items():
        fall = np.log(rates[0] / rates[-1])
        if joined in ("v5", "v6"):
            # it starts within hours of joining with 0.8 in logarithms, and has 8 days or more
            assert fall == pytest.approx(0.8, abs=0.1)
            assert np.all(np.diff(rates) <= 0.0)
        else:
            assert fall == 0.0
