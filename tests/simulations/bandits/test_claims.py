"""How soon a policy adapts, and what readiness costs: measured on players whose ways are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from bandit_service.errors import EvaluationError
from simulations.bandits.base import Batch, Floats, Whole
from simulations.bandits.claims import (
    BLOCK,
    HOLD,
    Record,
    adaptation,
    price,
    retreat,
    watched,
)
from simulations.bandits.worlds.drift import Drift

SEEDS = (1, 2)


def a_world(kind: str, seed: int, *, impressions: int = 60_000) -> Drift:
    return Drift(f"drift:{kind}", kind, placements=6, impressions=impressions, seed=seed)


class Scripted:
    """Shows what a rule says, which is told how many impressions of the placement came before."""

    def __init__(self, rule: Callable[[Batch, Whole], Whole]) -> None:
        self._rule = rule
        self._seen: defaultdict[str, int] = defaultdict(int)
        self.closed = False

    def choose(self, batch: Batch) -> Whole:
        n = len(batch.at)
        numbers = self._seen[batch.spot.id] + np.arange(n)
        self._seen[batch.spot.id] += n
        return self._rule(batch, numbers)

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        assert len(rows) == len(chosen) == len(rewards)

    def refresh(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def evenly(batch: Batch) -> Whole:
    return (batch.draw * len(batch.spot.arms)).astype(np.int64)


def best(batch: Batch) -> Whole:
    column: Whole = np.argmax(batch.truth, axis=1)
    return column


def played(world: Drift, rule: Callable[[Batch, Whole], Whole], seed: int = 1) -> Record:
    return watched(world, Scripted(rule), policy="scripted", seed=seed)


class Slow:
    """Needs ``learns`` impressions to find the best, and ``relearns`` after a change of it."""

    def __init__(self, world: Drift, *, learns: int, relearns: int) -> None:
        self._changes = world.changes
        self._learns = learns
        self._relearns = relearns
        self._changed: dict[str, int] = {}

    def __call__(self, batch: Batch, numbers: Whole) -> Whole:
        place = batch.spot.id
        after = batch.at >= self._changes[place]
        if after.any():
            self._changed.setdefault(place, int(numbers[after][0]))
        since = numbers - self._changed.get(place, np.iinfo(np.int64).max)
        worst = np.argmin(batch.truth, axis=1)
        known = np.where(after & (since < self._relearns), worst, best(batch))
        return np.where(numbers < self._learns, evenly(batch), known)


def adapted(learns: int, relearns: int) -> list[tuple[Record, dict[str, int]]]:
    worlds = [(a_world("flip", seed), seed) for seed in SEEDS]
    return [
        (played(world, Slow(world, learns=learns, relearns=relearns), seed), dict(world.changes))
        for world, seed in worlds
    ]


def test_adaptation_counts_what_it_took_to_learn_and_to_learn_anew() -> None:
    # given players who find the best after 1,000 impressions, and again after 2,000
    changes = adapted(1_000, 2_000)
    # when
    found = adaptation(changes, rng=np.random.default_rng(1))
    # then the level counts as reached once 80 % of HOLD blocks that follow earn it
    assert found.level == pytest.approx(1.0)
    assert found.learned == pytest.approx(1_000, abs=2 * BLOCK)
    assert found.recovered == pytest.approx(2_000, abs=2 * BLOCK)
    assert found.multiple is not None
    assert found.multiple.units == 12
    assert 1.8 < found.multiple.low <= found.multiple.value <= found.multiple.high < 2.3


def test_who_never_recovers_is_said_to_take_for_ever() -> None:
    found = adaptation(adapted(1_000, 10**9), rng=np.random.default_rng(1))
    assert found.learned is not None
    assert found.recovered is None
    assert found.multiple is not None
    assert found.multiple.value == found.multiple.low == np.inf


def test_who_never_learned_has_nothing_to_learn_anew() -> None:
    found = adaptation(adapted(10**9, 0), rng=np.random.default_rng(1))
    assert abs(found.level) < 0.1
    assert (found.learned, found.recovered, found.multiple) == (None, None, None)


def test_adaptation_is_refused_where_nothing_changes_or_too_little_came() -> None:
    # given
    still, small = a_world("still", 1), a_world("flip", 1, impressions=6_000)
    rng = np.random.default_rng(1)
    # then
    with pytest.raises(EvaluationError, match="nothing changes"):
        adaptation([(played(still, lambda batch, _: best(batch)), still.changes)], rng=rng)
    with pytest.raises(EvaluationError, match=f"{BLOCK * HOLD:,} of each are needed"):
        adaptation([(played(small, lambda batch, _: best(batch)), small.changes)], rng=rng)


def broken_for(world: Drift, displays: int) -> Callable[[Batch, Whole], Whole]:
    """Shows what will break, until it did so ``displays`` times after the break; then another."""
    shown: defaultdict[str, int] = defaultdict(int)

    def rule(batch: Batch, _: Whole) -> Whole:
        place = batch.spot.id
        broken = [arm.id for arm in batch.spot.arms].index(world.broken[place])
        after = batch.at >= world.changes[place]
        count = shown[place] + np.cumsum(after)
        shown[place] += int(after.sum())
        return np.where(after & (count > displays), (broken + 1) % 4, broken)

    return rule


def test_retreat_counts_displays_of_what_broke_until_its_share_fell() -> None:
    # given players who give up after 300 displays
    worlds = [a_world("break", seed) for seed in SEEDS]
    changes = [(played(world, broken_for(world, 300)), world.changes) for world in worlds]
    broken = [world.broken for world in worlds]
    # when
    half = retreat(changes, broken, below=lambda usual: usual / 2)
    floor = retreat(changes, broken, below=lambda _: 0.02)
    # then all of them were shown by when less than half of the window is left
    for found in (half, floor):
        assert (found.units, found.left_out, found.never) == (12, 0, 0)
        assert found.median == found.worst_tenth == 300


def test_who_never_retreats_is_counted_and_who_never_liked_it_is_left_out() -> None:
    # given
    world = a_world("break", 1)
    stays = [(played(world, broken_for(world, 10**9)), world.changes)]
    mixed = [(played(world, lambda batch, _: evenly(batch)), world.changes)]
    # when
    never = retreat(stays, [world.broken], below=lambda usual: usual / 2)
    unliked = retreat(mixed, [world.broken], below=lambda usual: usual / 2)
    # then
    assert (never.units, never.never, never.median) == (6, 6, np.inf)
    assert unliked.units + unliked.left_out == 6
    assert unliked.units <= 1
    assert np.isnan(unliked.median) == (unliked.units == 0)


def test_price_is_the_headroom_that_the_reference_captures_besides() -> None:
    # given one who explores a tenth, and one who never does
    ours, reference = [], []
    for seed in SEEDS:
        world = a_world("still", seed, impressions=12_000)
        explore = lambda batch, numbers: np.where(numbers % 10, best(batch), evenly(batch))  # noqa: E731
        ours.append(played(world, explore, seed))
        reference.append(played(world, lambda batch, _: best(batch), seed))
    # when
    found = price(ours, reference, rng=np.random.default_rng(1))
    nothing = price(ours, ours, rng=np.random.default_rng(1))
    # then a tenth of impressions earns nothing over uniform choice, give or take luck
    assert found.units == 12
    assert found.low < 0.1 < found.high
    assert found.value == pytest.approx(0.1, abs=0.02)
    assert nothing == (0.0, 0.0, 0.0, 12)


def test_price_is_refused_between_worlds_that_differ() -> None:
    # given
    one, two = (
        played(a_world("still", seed, impressions=3_000), lambda batch, _: best(batch), seed)
        for seed in SEEDS
    )
    # then
    with pytest.raises(EvaluationError, match="did not meet the same impressions"):
        price([one], [two], rng=np.random.default_rng(1))


def test_a_record_keeps_reported_impressions_alone_and_numbers_variants_as_they_came() -> None:
    # given variants that join
    world = a_world("novelty", 1, impressions=6_000)
    record = Record()
    for batch in world.batches():
        last = np.full(len(batch.at), len(batch.spot.arms) - 1)
        record.add(batch._replace(spot=batch.spot._replace(reported=False)), last)
        assert batch.spot.id not in record.placements
        break
    # when
    record = played(world, lambda batch, _: np.full(len(batch.at), len(batch.spot.arms) - 1))
    # then
    for place in record.placements:
        shown = record.shown(place)
        assert [shown.arms[arm] for arm in sorted(set(shown.arm.tolist()))] == ["v4", "v5", "v6"]
        assert np.all(np.diff(shown.arm) >= 0)
        assert np.all(shown.gained <= shown.room)


def test_the_player_is_closed_and_told_its_outcomes_though_it_is_watched() -> None:
    player = Scripted(lambda batch, _: best(batch))
    watched(a_world("still", 1, impressions=600), player, policy="scripted", seed=1)
    assert player.closed
