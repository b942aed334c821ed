"""The service as a player: what a site would send it, when it would, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from bandit_service.events.entries import START, Decision, Entry, Event, Position, decode
from bandit_service.folds.site import SiteFold
from bandit_service.policy.settings import PolicySettings, SiteSettings
from simulations.bandits import ours as module
from simulations.bandits.base import NEVER, Arm, Batch, Spot, Whole
from simulations.bandits.ours import Ours, entropies
from simulations.bandits.policies import without_holdout
from simulations.bandits.race import race
from simulations.bandits.rivals.simple import Uniform
from simulations.bandits.worlds.duel import RATES, Duel
from tests.simulations.bandits.script import START_MS, WINDOW_MS, Script, batch, spot

FAST = SiteSettings(
    policy=PolicySettings(typical_reward=0.17, learning_rate=0.05, gamma=30.0, holdout=0.0)
)


class Kept(Ours):
    """Ours, with what it chose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.chosen: list[int] = []

    def choose(self, batch: Batch) -> Whole:
        chosen = super().choose(batch)
        self.chosen += chosen.tolist()
        return chosen


def played(world: object, settings: SiteSettings = FAST, *, seed: int = 1) -> Kept:
    player = Kept(world, settings, seed=seed, least=1)
    race(world, player, policy="ours", seed=seed)  # type: ignore[arg-type]
    player._flush()
    return player


def entries(player: Ours) -> list[tuple[Position, Entry]]:
    return [(at, decode(data)) for at, data in player.log.read(START, limit=1_000_000)]


def of_kind(player: Ours, kind: type) -> Iterator[tuple[Position, Entry]]:
    return ((at, entry) for at, entry in entries(player) if isinstance(entry, kind))


def test_every_choice_is_a_decision_in_the_log_with_the_probability_of_its_draw() -> None:
    # given
    player = played(Duel("duel", impressions=400, seed=2))
    decisions = [entry for _, entry in of_kind(player, Decision) if isinstance(entry, Decision)]
    # then
    assert [entry.arm for entry in decisions] == [f"v{place}@1" for place in player.chosen]
    shown = np.eye(3)[player.chosen]
    given = np.array([entry.probabilities for entry in decisions])
    assert np.allclose(given.sum(axis=1), 1.0)
    assert given.std(axis=0).max() > 0.05, "nothing was learned"
    # 5 standard errors, of each variant
    error = np.sqrt((given * (1.0 - given)).sum(axis=0))
    assert np.all(np.abs((shown - given).sum(axis=0)) < 5 * error)


def test_requests_carry_persona_visitor_and_context_as_a_site_sends_them() -> None:
    # given
    asked = batch(
        [0, 0],
        [False, False],
        [1, 1],
        persona=[1, 0],
        visitor=[7, -1],
        context=[("tv", "no"), ("phone", "fr")],
    )
    # when
    player = played(Script([asked], ("romantic", "action"), ("device", "country")))
    first, second = (e for _, e in of_kind(player, Decision) if isinstance(e, Decision))
    # then
    assert (first.persona, second.persona) == ("action", "romantic")
    assert first.visitor is not None
    assert second.visitor is None
    assert second.context == {"device": "phone", "country": "fr"}
    assert first.context.items() >= {"device": "tv", "country": "no"}.items()


def test_who_is_unknown_to_the_site_is_named_by_nobody() -> None:
    # given
    asked = batch([0, 0], [False, False], [1, 1], persona=[0, 1])
    # when
    player = played(Script([asked], ("unknown", "romantic")))
    # then
    decisions = [e for _, e in of_kind(player, Decision) if isinstance(e, Decision)]
    assert [(e.persona, e.confidence > 0) for e in decisions] == [
        ("unknown", False), ("romantic", True),
    ]  # fmt: skip


def test_where_there_is_one_persona_the_site_names_none() -> None:
    player = played(Script([batch([0], [False], [1])]))
    assert [e.persona for _, e in of_kind(player, Decision) if isinstance(e, Decision)] == [
        "unknown"
    ]


def test_clicks_are_logged_at_their_time_between_the_impressions_of_other_batches() -> None:
    # given a click at 1.5 s, while the second batch is being answered
    first = batch([0], [True], [1_500])
    second = batch([1_000, 2_000], [False, False], [1, 1], of=spot(name="other"))
    third = batch([9_000], [False], [1])
    # when
    log = entries(played(Script([first, second, third])))
    # then
    told = [(at.ms - START_MS, type(e)) for at, e in log if isinstance(e, Decision | Event)]
    assert told == [(0, Decision), (1_000, Decision), (1_500, Event), (2_000, Decision),
                    (9_000, Decision)]  # fmt: skip


def test_a_click_at_the_very_end_of_the_window_counts_and_a_lost_one_does_not() -> None:
    # given
    batches = [
        batch([0, 0, 0], [True, True, False], [WINDOW_MS, NEVER, 1]),
        batch([3 * WINDOW_MS], [False], [1]),
    ]
    # when
    player = played(Script(batches))
    counts = player.learner.fold.join.counts
    # then
    assert (counts.rewarded, counts.defaulted, counts.late_events) == (1, 2, 0)


def test_no_click_is_known_to_the_service_when_it_is_known_to_rivals() -> None:
    # given a batch, and another placement's just after its window has ended
    first = batch([0] * 5, [False] * 5, [1] * 5)
    world = Script([first, batch([WINDOW_MS + 1], [False], [1], of=spot(name="other"))])
    # when
    player = played(world)
    # then
    assert player.learner.fold.join.counts.defaulted == 5
    assert player.learner.fold.trainer.outcomes == 5


def test_what_serves_is_the_fold_of_the_log() -> None:
    # given
    player = played(Duel("duel", impressions=300, seed=3))
    player._clock = player._told
    assert player.view.chooser is not None
    served = player.view.chooser.name
    # when
    fold = SiteFold(player.settings)
    names = []
    for position, entry in entries(player):
        fold.apply(position, entry)
        names.append(fold.snapshot().name if str(position) == served.split(".")[0] else "")
    # then
    assert served in names


def test_it_learns_what_each_persona_likes() -> None:
    # given
    world = Duel("duel", impressions=1_500, seed=6)
    # when
    (ground, ours), (_, uniform) = (
        race(world, player, policy="", seed=6) for player in (Ours(world, FAST, seed=6), Uniform())
    )
    # then it earns more than the best variant for everyone, which is the middle one or the first
    earned, n = sum(map(sum, ours.earned)), sum(map(sum, ground.impressions))
    blind = (np.array([0.6, 0.4]) @ RATES).max()
    assert earned / n > blind > sum(map(sum, uniform.earned)) / n


def test_variants_that_come_and_go_are_offered_and_taken_away() -> None:
    # given
    arms = tuple(Arm(f"v{n}", f"Headline {n}") for n in range(4))
    offers = [arms[:2], arms[2:], (arms[3], arms[0])]
    batches = [
        batch([at * 1_000] * 60, [False] * 60, [1] * 60, of=Spot("film", live))
        for at, live in enumerate(offers)
    ]
    # when
    player = played(Script(batches))
    decisions = [e for _, e in of_kind(player, Decision) if isinstance(e, Decision)]
    # then
    for place, live in enumerate(offers):
        mine = decisions[place * 60 : (place + 1) * 60]
        assert {e.arm for e in mine} == {f"{arm.id}@1" for arm in live}
        chosen = player.chosen[place * 60 : (place + 1) * 60]
        assert [e.arm for e in mine] == [f"{live[c].id}@1" for c in chosen]


def test_a_seed_gives_the_same_choices_and_another_gives_others() -> None:
    world = Duel("duel", impressions=200, seed=8)
    one, two, other = (played(world, seed=seed).chosen for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_the_log_does_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    world = Duel("duel", impressions=1_000, seed=9)
    untrimmed = played(world)
    monkeypatch.setattr(module, "TRIM", 300)
    # when
    trimmed = played(world)
    # then
    assert trimmed.log.length() < 700
    assert untrimmed.log.length() > 2_000
    assert trimmed.chosen == untrimmed.chosen
    assert trimmed.learner.fold.join.counts == untrimmed.learner.fold.join.counts


def test_small_batches_make_no_snapshot_each() -> None:
    # given 20 batches of 10, all told before the next
    batches = [
        batch([at] * 10, [False] * 10, [1] * 10) for at in range(0, 40 * WINDOW_MS, 2 * WINDOW_MS)
    ]
    # when
    player = Ours(Script(batches), FAST, seed=1)
    race(Script(batches), player, policy="", seed=1)
    # then: of 190 outcomes that were told, three times 50; and the snapshot of the empty log
    assert len(player.log.snapshots()) == 4
    assert player.learner.fold.trainer.outcomes == 150


def test_decision_ids_do_not_repeat() -> None:
    player = played(Duel("duel", impressions=300, seed=1))
    names = [e.id for _, e in of_kind(player, Decision) if isinstance(e, Decision)]
    assert len(set(names)) == len(names) == 600


def test_random_numbers_become_nine_bytes_each() -> None:
    several = entropies(np.array([2.0**-54, 0.5, 1.0 - 2.0**-53]))
    assert [len(one) for one in several] == [9, 9, 9]
    assert len(set(several)) == 3


def test_the_window_is_the_worlds_and_all_else_is_as_set() -> None:
    shipped = SiteSettings()
    player = Ours(Duel("duel", impressions=100, seed=1), shipped, seed=1)
    rewards = msgspec.structs.replace(shipped.rewards, window_seconds=600.0)
    assert player.settings == msgspec.structs.replace(shipped, rewards=rewards)
    assert without_holdout(shipped).policy.holdout == 0.0 < shipped.policy.holdout
    player.close()
