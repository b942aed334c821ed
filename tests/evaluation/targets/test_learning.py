import random
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_service.catalog.model import Variant
from bandit_service.errors import EvaluationError
from bandit_service.evaluation.batch import Asked, Batch, hash_of
from bandit_service.evaluation.targets import replay
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.evaluation.targets.named import make_target
from bandit_service.events.entries import Decision, Event, PlacementChanged, Tick, encode
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.chooser import Candidates, Chooser, ModelPolicy
from bandit_service.policy.features import shared_line
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.model import open_model
from bandit_service.policy.settings import PolicySettings, SiteSettings
from tests.evaluation.targets.rows import (
    TableLog,
    a_batch,
    asked_of,
    closed_world,
    log_of,
    run,
    watch_all,
)
from tests.world import QUICK, World, a_decision

SEEN = SiteSettings(
    rewards=RewardSettings(
        window_seconds=2.0,
        counts="seen",
        aggregation="sum",
        worth={"impression": 0.1, "click": 1.0},
    ),
    policy=QUICK.policy,
)
"""Rewards that close other decisions than those of the log's own settings, and elsewhere."""


SQUARECB = SiteSettings(
    rewards=QUICK.rewards, policy=msgspec.structs.replace(QUICK.policy, exploration="squarecb")
)
EXPLORATIONS = pytest.mark.parametrize("base", [QUICK, SQUARECB], ids=["thompson", "squarecb"])


def learning(settings: SiteSettings = QUICK, *, blind: bool = False) -> Learning:
    return Learning("policy", settings, evaluated=QUICK, blind=blind)


def folded(world: World, settings: SiteSettings) -> SiteFold:
    fold = SiteFold(settings)
    for position, entry in world.entries():
        fold.apply(position, entry)
    return fold


@pytest.mark.parametrize("settings", [QUICK, SEEN, SQUARECB])
def test_replay_ends_with_the_very_model_that_the_service_would_have(
    settings: SiteSettings,
) -> None:
    world = closed_world(600)
    target = learning(settings)

    rows = sum(len(batch) for batch, _ in run(target, log_of(world)))

    fold = folded(world, settings)
    assert target.model() == fold.snapshot().model
    assert target.outcomes == fold.trainer.outcomes > 100
    assert rows > 100
    assert target.as_logged == 0
    target.close()
    fold.close()


@pytest.mark.parametrize("settings", [QUICK, SEEN, SQUARECB])
def test_a_prediction_is_that_of_everything_before_the_decision_and_of_nothing_after(
    settings: SiteSettings,
) -> None:
    world = closed_world(250)
    target = learning(settings)
    said = {asked.decision.id: (asked, p) for asked, p in asked_of(run(target, log_of(world)))}
    fold = SiteFold(settings)
    compared = 0
    for position, entry in world.entries():
        if isinstance(entry, Decision) and entry.id in said:
            asked, given = said[entry.id]
            chooser = Chooser(fold.snapshot())
            assert given == chooser.distribution(asked.candidates, asked.shared).overall
            chooser.close()
            compared += 1
        fold.apply(position, entry)
    assert compared == len(said) > 100
    assert len({tuple(given) for _, given in said.values()}) > 20
    fold.close()
    target.close()


def test_replay_gives_the_probabilities_that_were_served_where_learning_kept_up() -> None:
    world = World()
    learner = world.learner()
    for number in range(150):
        world.pass_time(world.random.choice((0.0, 0.2, 1.5)))
        while learner.fold.position != world.log.tail():
            learner.step()
        world.visit({"h1": 0.5}, visitor=f"v{number % 20}", context={"hour": number % 24})
    world.pass_time(3600)
    world.log.append(encode(Tick(at=world.now)))
    target = learning()

    pairs = asked_of(run(target, log_of(world)))

    assert len(pairs) > 100
    assert len({asked.decision.snapshot for asked, _ in pairs}) > 50
    assert all(given == asked.decision.probabilities for asked, given in pairs)
    learner.finish()
    target.close()


def test_an_event_that_came_before_its_decision_does_not_help_to_predict_it() -> None:
    world = World()
    decisions = [world.decide() for _ in range(40)]
    entries = world.entries()
    made = [(p, e) for p, e in entries if isinstance(e, Decision)]
    others = [(p, e) for p, e in entries if isinstance(e, PlacementChanged)]
    target, blank = learning(), learning()
    position, decision = made[0]
    click = Event(decision=decision.id, type="click", at=decision.at, received=decision.at)

    watch_all(target, [*others, (position, click), (position, decision)])
    watch_all(blank, [*others, (position, decision)])

    key = hash_of(decision.id)
    assert target.outcomes == 1
    assert target._replay.take(key) == blank._replay.take(key)
    assert decisions[0].decision == decision.id
    target.close()
    blank.close()


def a_table(count: int, *, persona_matters: bool = False) -> list[Batch]:
    """Rows that ask about three arms, cut into batches of different sizes."""
    rng = random.Random(3)
    three = Candidates.inline("film", [Variant(id=v, version=1) for v in "abc"])
    rows: list[dict[str, object]] = []
    for number in range(count):
        persona = rng.choice(("romantic", "comedy"))
        traits = {"genres": [persona]}
        context = {"device": rng.choice(("phone", "tv"))}
        decision = a_decision(
            id=f"d{number}",
            arms=three.arms,
            probabilities=[1 / 3] * 3,
            chosen=rng.randrange(3),
            persona=persona,
            traits=traits,
            context=context,
        )
        likes = persona == "comedy" if persona_matters else context["device"] == "tv"
        rate = 0.6 if likes and decision.chosen == 1 else 0.1
        rows.append(
            {
                "arms": three.arms,
                "chosen": decision.chosen,
                "persona": persona,
                "reward": float(rng.random() < rate),
                "asked": Asked(decision, shared_line(persona, traits, context), three),
            }
        )
    cuts = [0, 1, 50, count]
    return [a_batch(rows[a:b]) for a, b in pairwise(cuts)]


@EXPLORATIONS
def test_rows_of_a_table_are_each_predicted_and_then_learned_from(base: SiteSettings) -> None:
    batches = a_table(400)
    target = learning(base)

    pairs = asked_of(run(target, TableLog(*batches)))

    model = open_model(base.policy)
    rewards = [reward for batch in batches for reward in batch.reward.tolist()]
    policy = ModelPolicy(base.policy, open_model(base.policy))
    for (asked, given), reward in zip(pairs, rewards, strict=True):
        assert given == policy.distribution(asked.candidates, asked.shared).overall
        for each in (model, policy._model):
            decision = asked.decision
            each.show(asked.shared, asked.candidates.lines, decision.chosen)
            each.learn(
                Lesson(
                    asked.shared,
                    asked.candidates.lines,
                    decision.chosen,
                    reward,
                    decision.probabilities,
                )
            )
    assert target.model() == model.save()
    assert target.outcomes == 400
    model.close()
    policy.close()
    target.close()


def test_rows_that_teach_nothing_or_are_not_described_stop_nothing() -> None:
    (_, _, batch) = a_table(100)
    asked = batch.asked[0]
    arms = ["a@1", "b@1", "c@1"]
    odd = a_batch(
        [
            {"arms": arms, "asked": asked, "chosen": -1},
            {"arms": arms, "asked": asked, "reward": float("nan")},
            {"arms": arms, "logged": [0.7, 0.2, 0.1]},
            {"arms": arms, "asked": asked},
        ]
    )
    target = learning()

    given = target.probabilities(odd)

    assert target.outcomes == 1
    assert target.as_logged == 1
    assert given[6:9].tolist() == [0.7, 0.2, 0.1]
    assert np.allclose(odd.row_sums(given), 1.0)
    target.close()


def test_decisions_that_did_not_choose_among_their_candidates_are_passed_over() -> None:
    world = closed_world(100)
    target, damaged = learning(), learning()
    entries = world.entries()
    broken = [
        (position, msgspec.structs.replace(entry, id=f"{entry.id}x", visitor=None, **wrong))
        for position, entry in entries
        if isinstance(entry, Decision)
        for wrong in ({"chosen": 7}, {"chosen": -1}, {"probabilities": [1.0]})
    ]

    watch_all(target, entries)
    watch_all(damaged, sorted([*entries, *broken], key=lambda row: row[0]))

    assert damaged.model() == target.model()
    target.close()
    damaged.close()


def told_apart(given: list[tuple[Asked, list[float]]], persona: str) -> float:
    """The mean probability of the second arm for a persona, in the second half."""
    late = given[len(given) // 2 :]
    return float(np.mean([p[1] for asked, p in late if asked.decision.persona == persona]))


def test_a_blind_policy_tells_no_personas_apart_and_keeps_the_context() -> None:
    policy = msgspec.structs.replace(SQUARECB.policy, holdout=0.0)
    settings = SiteSettings(rewards=QUICK.rewards, policy=policy)
    sighted, blind = learning(settings), learning(settings, blind=True)
    batches = a_table(1_500, persona_matters=True)

    seen = asked_of(run(sighted, TableLog(*batches)))
    unseen = asked_of(run(blind, TableLog(*batches)))

    assert told_apart(seen, "comedy") > 1.5 * told_apart(seen, "romantic")
    assert told_apart(unseen, "comedy") == pytest.approx(told_apart(unseen, "romantic"), rel=0.1)
    sighted.close()
    blind.close()
    situated = learning(settings, blind=True)
    by_device: dict[str, list[float]] = {"phone": [], "tv": []}
    for asked, p in asked_of(run(situated, TableLog(*a_table(1_500))))[750:]:
        by_device[asked.decision.context["device"]].append(p[1])
    assert np.mean(by_device["tv"]) > np.mean(by_device["phone"]) + 0.1
    situated.close()


def test_a_blind_policy_is_the_policy_of_a_log_that_never_knew_personas_or_traits() -> None:
    world = closed_world(400)
    blind, uncrossed = learning(blind=True), learning(replay.blind_settings(QUICK))

    run(blind, log_of(world))
    watch_all(
        uncrossed,
        [
            (position, replay.blinded(entry) if isinstance(entry, Decision) else entry)
            for position, entry in world.entries()
        ],
    )

    assert blind.model() == uncrossed.model()
    assert replay.blind_settings(QUICK).policy.cross == ("visitor", "situation")
    blind.close()
    uncrossed.close()


def test_a_row_that_was_not_seen_being_decided_is_refused() -> None:
    world = closed_world(60)
    (batch,) = list(
        log_of(world).batches(blame=lambda _: None, progress=lambda _: None, watch=None)
    )
    target = learning()
    watch_all(target, world.entries()[:1])

    with pytest.raises(EvaluationError, match=f"row {batch.places[0]}") as refused:
        target.probabilities(batch)

    assert "from its beginning" in (refused.value.hint or "")
    target.close()


def test_what_is_never_asked_for_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_CLOSED", 10)
    world = closed_world(300)
    target = learning()
    world.log.append(encode(Tick(at=world.now)))

    watch_all(target, world.entries())

    assert target.outcomes > 100
    assert len(target._replay._predicted) == 10
    assert not target._replay._open
    target.close()


def test_a_row_is_the_same_however_the_log_is_cut() -> None:
    world = closed_world(300)
    whole, halves = learning(), learning()
    log = log_of(world)

    together = [given for _, given in asked_of(run(whole, log))]
    (batch,) = list(log.batches(blame=lambda _: None, progress=lambda _: None, watch=halves.watch))
    apart = [
        value
        for rows in np.array_split(np.arange(len(batch)), 7)
        for value in halves.probabilities(batch.take(rows)).tolist()
    ]

    assert [p for given in together for p in given] == apart
    whole.close()
    halves.close()


def test_candidates_that_the_log_does_not_describe_are_left_as_logged() -> None:
    world = closed_world(40)
    target = learning()
    entries = [row for row in world.entries() if not isinstance(row[1], PlacementChanged)]
    watch_all(target, entries)
    (batch,) = list(log_of(world).batches(blame=lambda _: None, progress=lambda _: None))

    given = target.probabilities(batch)

    assert given.tolist() == batch.logged.tolist()
    assert target.as_logged == len(batch)
    assert target.outcomes == 0
    target.close()


def test_settings_come_from_a_file_and_whole_numbers_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "greedy.toml"
    path.write_text(
        "[rewards]\nwindow_seconds = 5\n"
        "[policy]\ntypical_reward = 0.2\nlearning_rate = 0.05\ngamma = 30\nslot_seconds = 10\n",
        encoding="utf-8",
    )
    context = TargetContext(settings=QUICK)
    world = closed_world(200)
    target = make_target(f"policy:{path}", context)
    same = learning(QUICK)

    given = [p for _, p in asked_of(run(target, log_of(world)))]

    assert given == [p for _, p in asked_of(run(same, log_of(world)))]
    assert target.learns
    assert isinstance(target, Learning)
    assert target._replay._lessons is None  # the same rewards: one join does for both
    target.close()
    same.close()


@pytest.mark.parametrize("exploration", ["thompson", "squarecb", "softmax", "epsilon"])
def test_every_exploration_gives_distributions(exploration: str) -> None:
    policy = msgspec.convert(
        {**msgspec.to_builtins(QUICK.policy), "exploration": exploration}, PolicySettings
    )
    target = learning(SiteSettings(rewards=QUICK.rewards, policy=policy))

    for batch, given in run(target, log_of(closed_world(150))):
        assert np.allclose(batch.row_sums(given), 1.0, rtol=0, atol=1e-12)
        assert (given > 0).all()
    target.close()
