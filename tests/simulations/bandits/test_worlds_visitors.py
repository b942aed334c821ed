"""Returning visitors: the same tastes every time, personas that become known, late outcomes."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby

import numpy as np
import pytest

from bandit_service.events.entries import START, Decision, decode
from bandit_service.policy.settings import SiteSettings
from simulations.bandits.base import NEVER, Batch, Floats
from simulations.bandits.ours import Ours
from simulations.bandits.policies import without_holdout
from simulations.bandits.race import race
from simulations.bandits.worlds.traffic import DAY_MS, MINUTE_MS
from simulations.bandits.worlds.visitors import LOST, MISTAKEN, Visitors


@pytest.fixture(scope="module")
def world() -> Visitors:
    return Visitors("visitors", people=1_000, moments=1_600, seed=1)


@pytest.fixture(scope="module")
def batches(world: Visitors) -> list[Batch]:
    return list(world.batches())


def test_a_page_shows_several_placements_to_the_same_visitors_at_the_same_time(
    batches: list[Batch],
) -> None:
    for _, slots in groupby(batches, key=lambda batch: int(batch.at[0])):
        page = list(slots)[:3]  # two moments may share a millisecond
        assert len({batch.spot.id for batch in page}) == 3
        for batch in page:
            assert np.all(batch.at == page[0].at[0])
            assert np.array_equal(batch.visitor, page[0].visitor)
            assert np.array_equal(batch.persona, page[0].persona)


def test_a_visitor_likes_the_same_every_time_and_others_like_other_things(
    batches: list[Batch],
) -> None:
    # given
    liked: dict[tuple[str, int], Floats] = {}
    again = 0
    for batch in batches:
        for visitor, truth in zip(batch.visitor.tolist(), batch.truth, strict=True):
            again += (batch.spot.id, visitor) in liked
            # then
            assert np.array_equal(truth, liked.setdefault((batch.spot.id, visitor), truth))
    assert again > 10_000
    best: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for (place, _), truth in liked.items():
        best[place][int(np.argmax(truth))] += 1
    assert all(len(counts) >= 2 for counts in best.values())


def test_a_persona_starts_unknown_becomes_known_once_and_stays(batches: list[Batch]) -> None:
    # given
    reported: defaultdict[int, list[int]] = defaultdict(list)
    for batch in batches:
        for visitor, persona in zip(batch.visitor.tolist(), batch.persona.tolist(), strict=True):
            reported[visitor].append(persona)
    # then
    for personas in reported.values():
        assert len({persona for persona in personas if persona}) <= 1
        assert sorted(personas, key=bool) == personas
    # and 30 % declare themselves: 1,000 visitors say so within 5 standard errors
    known_at_once = np.mean([personas[0] > 0 for personas in reported.values()])
    assert known_at_once == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / 1_000))
    assert np.mean([personas[-1] > 0 for personas in reported.values()]) > 0.95


def test_the_site_is_mistaken_in_some(world: Visitors) -> None:
    # given the tastes of those who are taken for a persona average to that persona's, so that
    # visitors lie nearest the centre of their own
    people = world._people
    centres = np.array(
        [np.median(people.tastes[people.taken_for == persona], axis=0) for persona in (1, 2, 3, 4)]
    )
    far = np.linalg.norm(people.tastes[:, None] - centres, axis=2)
    # then the persona taken is the nearest for more than by chance, and not for all
    right = np.mean(np.argmin(far, axis=1) + 1 == people.taken_for)
    assert 0.4 < right < 1.0 - MISTAKEN / 2


def test_active_visitors_come_more_often(batches: list[Batch]) -> None:
    pages = Counter(batch_visitor for batch in batches[::3] for batch_visitor in batch.visitor)
    first, last = (sum(pages[number] for number in part) for part in (range(100), range(900, 1000)))
    # shares fall with the square root of the rank: 100 against about 950, summed over each hundred
    assert 2.5 < first / last < 7.0


def test_outcomes_take_minutes_to_days_and_some_never_come(
    world: Visitors, batches: list[Batch]
) -> None:
    # given
    delay = np.concatenate([batch.delay for batch in batches])
    told = delay[delay != NEVER]
    # then
    error = 5 * np.sqrt(LOST * (1 - LOST) / len(delay))
    assert np.mean(delay == NEVER) == pytest.approx(LOST, abs=error)
    assert np.median(told) == pytest.approx(5 * MINUTE_MS, rel=0.1)
    assert np.mean(told > 60 * MINUTE_MS) > 0.05
    assert np.mean(told > DAY_MS) > 0.001
    assert told.max() < world.window_ms == 2 * DAY_MS


def test_the_service_is_told_the_personas_that_are_known_and_that_others_are_not() -> None:
    # given
    world = Visitors("visitors", people=100, moments=40, seed=1)
    player = Ours(world, without_holdout(SiteSettings()), seed=1)
    # when
    race(world, player, policy="ours", seed=1)
    player._flush()
    # then
    entries = [decode(data) for _, data in player.log.read(START, limit=100_000)]
    said = [entry.persona for entry in entries if isinstance(entry, Decision)]
    names = np.array(world.personas)
    assert said == [str(name) for batch in world.batches() for name in names[batch.persona]]
    assert "unknown" in said
    player.close()
