"""The invariants of the design, each by its number; what each rests on has tests of its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from bandit_service.errors import StorageError
from bandit_service.evaluation.evaluate import EvaluationSettings, evaluated
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.targets.fixed import Fixed
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.evaluation.targets.logged import Logged, Uniform
from bandit_service.events.entries import Decision, decode, encode
from bandit_service.folds.explain import explain
from bandit_service.folds.rebuild import rebuild
from bandit_service.folds.site import SiteFold
from bandit_service.policy.chooser import Candidates, Chooser, draw
from bandit_service.policy.features import action_line, shared_line
from bandit_service.policy.snapshot import genesis, load_snapshot
from bandit_service.reporting.estimates import Estimate
from bandit_service.storage.memory import MemorySite
from bandit_service.storage.outbox import Outbox
from bandit_service.storage.spool import Spool
from tests.evaluation.targets.rows import closed_world, log_of, run
from tests.world import QUICK, World, busy_world, kept

ROOT = Path(__file__).parent.parent


def decisions(world: World) -> list[Decision]:
    return [entry for _, entry in world.entries() if isinstance(entry, Decision)]


# -- 1: the propensity in the log is the probability that the draw really used


@pytest.mark.parametrize(
    ("shares", "exclude"),
    [
        ({}, []),
        ({}, ["h2"]),
        ({"min_share": 0.2}, []),
        ({"max_share": 0.45}, ["h0"]),
        ({"min_share": 0.1, "max_share": 0.4}, []),
    ],
)
def test_1_draws_occur_with_the_logged_propensity(
    shares: dict[str, object], exclude: list[str]
) -> None:
    world = busy_world(300)
    world.put("film", 4, **shares)
    world.learner().step()
    world.decide(traits={"genres": ["comedy"]}, exclude=exclude)
    logged = decisions(world)[-1]
    chooser, secret = world.view.chooser, world.view.secret
    assert chooser is not None
    candidates = Candidates.of(world.editor.placement("film"), world.now, exclude)
    shared = shared_line(logged.persona, logged.traits, logged.context)
    given_p = chooser.distribution(candidates, shared)
    counts = [0] * len(logged.arms)

    for n in range(100_000):
        unit = f"another unit {n}"
        counts[draw(chooser.policy, secret.salt, unit, candidates, given_p).chosen] += 1

    assert given_p.overall == logged.probabilities
    assert len(set(logged.probabilities)) > 1
    assert chisquare(counts, [100_000 * p for p in logged.probabilities]).pvalue > 1e-3


def test_1_logged_probabilities_sum_to_one_and_are_never_zero_for_what_was_drawn() -> None:
    world = busy_world(300)

    for decision in decisions(world):
        assert abs(sum(decision.probabilities) - 1.0) < 1e-12
        assert 0.0 < decision.propensity <= 1.0
        floor = QUICK.policy.floor / len(decision.arms) * (1 - QUICK.policy.holdout)
        assert min(decision.probabilities) >= floor


def test_1_a_propensity_survives_the_log_to_the_bit() -> None:
    third = decisions(busy_world(5))[0]
    awkward = msgspec.structs.replace(third, probabilities=[1 / 3, 0.1 + 0.2, 5e-324, 1e-17])

    back = decode(encode(awkward))

    assert isinstance(back, Decision)
    assert back.probabilities == awkward.probabilities


# -- 2: before a visitor gets an answer its decision is acknowledged


def test_2_an_answer_whose_decision_nothing_took_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    def refuse(self: MemorySite, entry: bytes) -> None:
        raise StorageError("the log is away")

    monkeypatch.setattr(MemorySite, "append", refuse)
    answer = world.decide(visitor="ann")

    assert (answer.logged, answer.reason) == (False, "fallback")
    assert answer.variant.id in {"h0", "h1", "h2", "h3"}
    assert decisions(world) == []


def test_2_a_decision_waits_on_disk_while_the_log_is_away_and_then_is_in_it_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World()
    outbox = Outbox(
        world.store, Spool(tmp_path / "waiting", max_bytes=1_000_000), clock=lambda: world.now
    )
    world.view.append = partial(outbox.append, world.log)

    def refuse(self: MemorySite, entries: object) -> None:
        raise StorageError("the log is away")

    with monkeypatch.context() as patched:
        patched.setattr(MemorySite, "append_many", refuse)
        first = world.decide()
    second = world.decide()  # the log is well by now, but this one must not overtake
    assert first.logged
    assert decisions(world) == []
    outbox.tend()
    outbox.tend()

    assert [entry.id for entry in decisions(world)] == [first.decision, second.decision]


def test_2_every_answer_is_in_the_log_as_it_was_given() -> None:
    world = busy_world(20)

    answer = world.decide(visitor="ann", traits={"genres": ["comedy"]})

    logged = decisions(world)[-1]
    assert logged.id == answer.decision
    assert logged.arm == f"{answer.variant.id}@{answer.variant.version}"
    assert logged.propensity == answer.probability
    assert (logged.persona, logged.snapshot) == (answer.persona, answer.snapshot)


# -- 3: a decision closes exactly once


@given(st.randoms(use_true_random=False), st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_3_a_decision_closes_once_whatever_is_repeated_and_wherever_the_fold_was_killed(
    rng: object, cut: int
) -> None:
    world = busy_world(80)
    rows = world.rows()
    repeated = sorted([*rows, *rows[:: 1 + cut % 7]])
    fold, closed = SiteFold(QUICK), []
    stored = kept(fold)
    for n, (position, data) in enumerate(repeated):
        closed += fold.apply(position, decode(data))
        if n == cut:
            stored, closed_then = kept(fold), list(closed)
        if n == cut + 20:  # killed: what came after the checkpoint is folded again
            fold.close()
            fold, closed = SiteFold.restore(stored), closed_then
            for again, old in repeated[cut + 1 : n + 1]:
                closed += fold.apply(again, decode(old))

    ids = [outcome.decision.id for outcome in closed]
    assert len(ids) == len(set(ids))
    assert len(ids) == fold.trainer.outcomes
    fold.close()


# -- 4: fold(all) == fold(first part) → snapshot → restore → fold(rest)


def test_4_rebuilding_from_the_log_gives_the_snapshot_that_learning_live_gave() -> None:
    world = World()
    learner = world.learner()
    for n in range(120):
        world.pass_time(0.3)
        world.visit({"h1": 0.5}, visitor=f"v{n % 10}")
        if n % 5 == 0:
            learner.step()
    while learner.step():
        pass
    world.pass_time(5)
    learner.publish()
    live = world.log.head()

    rebuilt = rebuild(world.log, QUICK, progress=lambda _: None)

    assert live is not None
    assert rebuilt.name == live.name


# -- 5: time and randomness are arguments


def test_5_the_same_clock_and_entropy_give_the_same_log() -> None:
    one, other = busy_world(60), busy_world(60)

    assert [data for _, data in one.rows()] == [data for _, data in other.rows()]


def test_5_any_decision_is_derived_again_from_the_log_and_its_snapshot() -> None:
    world = busy_world(60)

    for decision in decisions(world):
        found = explain(world.log, decision.id, defaults=QUICK, progress=lambda _: None)
        assert found.agrees


def test_5_no_module_of_the_domain_reads_the_clock_or_draws_at_random() -> None:
    banned = {"time", "random", "secrets", "uuid"}
    for layer in ("catalog", "events", "outcomes", "policy", "learning", "reporting", "folds"):
        for path in (ROOT / "bandit_service" / layer).rglob("*.py"):
            name = path.relative_to(ROOT / "bandit_service").as_posix()
            assert not _imports(path) & banned, name


# -- 6: the offline path runs the same fold and the same policy code


def test_6_a_fold_offline_has_the_policy_that_served_live() -> None:
    world = busy_world(150)
    learner = world.learner()
    while learner.step():
        pass
    world.pass_time(5)
    learner.publish()
    world.view.refresh()
    offline = SiteFold(QUICK)
    for position, entry in world.entries():
        offline.apply(position, entry)

    snapshot = offline.snapshot()
    live = world.view.chooser
    assert live is not None
    assert live.name == snapshot.name
    chooser = Chooser(load_snapshot(snapshot.encoded, name=snapshot.name))
    candidates = Candidates.of(world.editor.placement("film"), world.now)
    shared = shared_line("comedy", {}, {"device": "tv"})
    assert chooser.distribution(candidates, shared) == live.distribution(candidates, shared)
    chooser.close()
    offline.close()


def test_6_a_policy_that_is_evaluated_learns_what_the_service_would_have() -> None:
    world = closed_world(300)
    policy = Learning("policy", QUICK, evaluated=QUICK)
    fold = SiteFold(QUICK)
    for position, entry in world.entries():
        fold.apply(position, entry)

    rows = sum(len(batch) for batch, _ in run(policy, log_of(world)))

    assert rows > 50
    assert policy.outcomes == fold.trainer.outcomes > 50
    assert policy.model() == fold.snapshot().model
    policy.close()
    fold.close()


# -- 7: layers


def test_7_serving_and_learning_never_meet_and_each_heavy_library_has_one_door() -> None:
    executable = Path(sys.executable).parent / "lint-imports"

    done = subprocess.run(
        [executable, "--no-cache"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )

    assert done.returncode == 0, done.stdout + done.stderr


# -- 8: nothing from outside reaches Vowpal Wabbit's text unescaped

hostile = st.text(st.sampled_from(list("|: \n\t\r%=/'\"\\\x00é\ud800a1")), max_size=12)


@given(hostile, hostile, hostile)
@settings(max_examples=60, deadline=None)
def test_8_no_input_changes_what_the_model_says_of_another_feature(
    name: str, value: str, tag: str
) -> None:
    from bandit_service.catalog.model import Variant

    chooser = Chooser(genesis(QUICK))
    candidates = Candidates.inline(
        "film",
        [Variant(id=f"v{value}", version=1, tags=(tag,)), Variant(id="other", version=1)],
    )

    given_p = chooser.distribution(candidates, shared_line(value, {name: [tag]}, {name: value}))

    assert len(given_p.overall) == 2
    assert given_p.overall == pytest.approx([0.5, 0.5])
    lines = [action_line(value, [tag], Variant(id=name, version=1, tags=(tag,)))]
    assert all("\n" not in line and line.count("|") == 2 for line in lines)
    chooser.close()


# -- 9: no estimate without its sample size, effective sample size, largest weight and interval


def test_9_every_rate_in_a_report_comes_with_what_one_needs_to_doubt_it() -> None:
    world = busy_world(300)
    learner = world.learner()
    while learner.step():
        pass
    learner.finish()
    world.services.refresh()
    reports = world.services.reports("main")

    answers = (reports.overview(), reports.placement("film"), reports.personas())
    shown = [one for answer in answers for one in estimates_in(answer)]

    assert len(shown) > 20
    assert any(estimate.rate is not None for estimate in shown)
    for estimate in shown:
        assert (estimate.rate is None) == (estimate.n == 0) == bool(estimate.held_back)
        if estimate.rate is not None and estimate.low is not None and estimate.high is not None:
            assert estimate.low <= estimate.rate <= estimate.high
            assert 0.0 < estimate.effective_n <= estimate.n * (1 + 1e-12)
            assert estimate.largest_weight >= 1.0


def estimates_in(value: object) -> list[Estimate]:
    """Every estimate within an answer."""
    if isinstance(value, Estimate):
        return [value]
    if isinstance(value, msgspec.Struct):
        return estimates_in(list(msgspec.structs.asdict(value).values()))
    if isinstance(value, list):
        return [found for one in value for found in estimates_in(one)]
    return []


def test_9_every_estimate_of_an_evaluation_comes_with_what_one_needs_to_doubt_it() -> None:
    log = log_of(closed_world(300))
    targets: list[Target] = [Logged("logged"), Uniform("uniform"), Fixed("fixed:h0", "h0")]
    unseen = nullcontext(lambda _: None)

    found = evaluated(
        log, targets, EvaluationSettings(), force=False, phase=lambda *_: unseen, now_ms=0
    )

    shown = [one for policy in found.policies for one in (*policy.estimates, policy.gain)]
    cells = [cell.estimate for policy in found.policies for cell in policy.by_persona]
    assert any(estimate.value is not None for estimate in shown)
    for estimate in (*shown, *cells):
        assert (estimate.value is None) == (not estimate.intervals)
        assert estimate.value is not None or estimate.why
        assert estimate.n == found.rows or estimate in cells
        assert 0.0 <= estimate.ess <= estimate.n * (1 + 1e-12)
        assert estimate.max_weight >= 0.0


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found
