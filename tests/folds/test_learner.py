import copy

import pytest
import structlog

from bandit_service.errors import StorageError
from bandit_service.events.entries import Decision, Event, Tick, delayed, encode
from bandit_service.events.visits import decode_visit
from bandit_service.folds import learner as learning
from bandit_service.folds.learner import SiteLearner
from bandit_service.folds.rebuild import rebuild
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.policy.snapshot import SnapshotName
from bandit_service.storage.ports import Resumed
from tests.world import QUICK, World, busy_world


def run(learner: SiteLearner) -> None:
    """Step until nothing is new."""
    while learner.step():
        pass


def test_a_reward_that_closes_its_decision_reaches_serving_with_the_next_snapshot() -> None:
    world = World()
    learner = world.learner()
    learner.step()
    answer = world.decide()
    world.report(answer.decision, "click")
    world.pass_time(1)

    learner.step()

    head = world.log.head()
    assert head is not None
    assert head.position == world.log.tail()
    assert world.decide().snapshot == head.name != answer.snapshot


def test_nothing_new_publishes_nothing_new() -> None:
    world = busy_world(50)
    learner = world.learner()
    run(learner)
    world.pass_time(0.1)
    head = world.log.head()

    learner.step()

    assert world.log.head() == head


def test_a_learner_that_was_killed_is_followed_by_one_that_ends_where_it_would_have() -> None:
    world = busy_world(200)
    first = world.learner(publish_seconds=0.0)
    first.step()
    for _ in range(3):
        _more(world)
        world.pass_time(0.2)
        first.step()  # publishes; checkpoints only where one was due

    second = world.learner()
    run(second)
    world.pass_time(5)
    second.publish()

    whole = SiteFold(QUICK)
    for position, entry in world.entries():
        whole.apply(position, entry)
    head = world.log.head()
    assert head is not None
    assert head.name == whole.snapshot().name
    whole.close()


def test_two_learners_at_once_agree_and_the_one_behind_publishes_nothing() -> None:
    world = busy_world(200)
    ahead, behind = world.learner(), world.learner()
    run(ahead)
    world.pass_time(5)
    ahead.publish()
    head = world.log.head()
    assert head is not None

    behind.publish()
    assert world.log.head() == head
    run(behind)
    world.pass_time(5)
    behind.publish()

    assert world.log.head() == head


def test_a_rebuild_takes_over_from_the_running_learner_and_nothing_is_lost() -> None:
    world = busy_world(200)
    learner = world.learner()
    run(learner)
    other = SiteSettings(rewards=QUICK.rewards, policy=PolicySettings(gamma=55.0))

    rebuild(world.log, other, progress=lambda _: None)
    _more(world)
    world.pass_time(1)
    run(learner)
    world.pass_time(5)
    run(learner)  # appends a tick
    run(learner)  # reads it
    learner.publish()

    head = world.log.head()
    assert head is not None
    whole = SiteFold(other)
    for position, entry in world.entries():
        whole.apply(position, entry)
    assert head.name == whole.snapshot().name
    assert SnapshotName.parse(head.name).settings == other.id
    assert world.decide().snapshot == head.name
    whole.close()


def test_an_idle_log_gets_a_tick_so_that_windows_can_end_and_no_more_than_it_needs() -> None:
    world = World()
    learner = world.learner()
    world.decide()
    learner.step()
    world.pass_time(QUICK.rewards.window_seconds + 1)

    for _ in range(5):
        learner.step()
        world.pass_time(0.1)

    ticks = [entry for _, entry in world.entries() if isinstance(entry, Tick)]
    assert len(ticks) == 1
    head = world.log.head()
    assert head is not None
    assert world.decide().snapshot == head.name


def test_visits_are_remembered_once_however_often_the_log_is_read() -> None:
    world = World()
    for _ in range(3):
        world.decide(visitor="ann")
        world.pass_time(20)
    world.learner().step()
    pseudonym = world.view.secret.pseudonym("ann")
    once = world.log.visits(pseudonym)

    world.learner().step()

    assert world.log.visits(pseudonym) == once
    visit = decode_visit(once["film"])
    assert visit is not None
    assert visit.earlier == 2


def test_a_damaged_checkpoint_is_refused_and_learning_starts_from_the_log() -> None:
    world = busy_world(100)
    learner = world.learner()
    run(learner)
    learner.finish()
    kept = world.log.checkpoint()
    assert kept is not None
    world.log._checkpoint = kept[:-3] + b"bad"

    with structlog.testing.capture_logs() as logs:
        again = world.learner()
    run(again)
    again.publish()

    assert [line["event"] for line in logs] == ["checkpoint_refused"]
    whole = SiteFold(QUICK)
    for position, entry in world.entries():
        whole.apply(position, entry)
    head = world.log.head()
    assert head is not None
    assert head.name == whole.snapshot().name


def test_settings_that_changed_in_the_files_are_pointed_out_and_not_adopted() -> None:
    world = busy_world(20)
    learner = world.learner()
    run(learner)
    learner.finish()
    world.services.site_settings = SiteSettings(policy=PolicySettings(gamma=1.0))

    with structlog.testing.capture_logs() as logs:
        world.learner()

    (line,) = logs
    assert line["event"] == "settings_differ"
    assert "policy.gamma" in line["changed"]
    head = world.log.head()
    assert head is not None
    assert SnapshotName.parse(head.name).settings == QUICK.id


def _more(world: World) -> None:
    """A few more visits, one of them with a click."""
    for n in range(5):
        answer = world.decide(visitor=f"new-{world.random.random()}")
        if n == 2:
            world.report(answer.decision, "click")
    assert isinstance(world.entries()[-1][1], Decision)


def test_a_failure_while_resuming_never_publishes_the_old_fold_under_the_new_generation() -> None:
    world = busy_world(150)
    learner = world.learner()
    run(learner)
    other = SiteSettings(rewards=QUICK.rewards, policy=PolicySettings(gamma=55.0))
    rebuild(world.log, other, progress=lambda _: None)
    read = world.log.resumed
    failed: list[int] = []

    def fail_once() -> Resumed | None:
        if not failed:
            failed.append(1)
            raise StorageError("away for a moment")
        return read()

    world.log.resumed = fail_once  # type: ignore[method-assign]
    _more(world)
    world.pass_time(1)

    with pytest.raises(StorageError):
        run(learner)
    world.pass_time(5)
    run(learner)
    learner.publish()

    head = world.log.head()
    assert head is not None
    assert SnapshotName.parse(head.name).settings == other.id
    assert failed


def test_a_learner_whose_clock_is_ahead_ticks_no_more_than_it_needs() -> None:
    world = World()
    learner = world.learner()
    world.decide()
    learner._clock = lambda: world.now / 1000 + 60

    for _ in range(100):
        learner.step()
        world.pass_time(0.02)

    ticks = [entry for _, entry in world.entries() if isinstance(entry, Tick)]
    assert 1 <= len(ticks) <= 8


def test_large_models_are_kept_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "KEEP_BYTES", 20_000)
    world = busy_world(100)
    learner = world.learner()
    for _ in range(12):
        _more(world)
        world.pass_time(1)
        run(learner)

    kept = world.log._snapshots
    assert 2 <= len(kept) < 12
    assert world.log.head().name in kept  # type: ignore[union-attr]


def test_the_revision_of_a_decision_that_is_long_past_is_not_learned_from_leftovers() -> None:
    world = World()
    answer = world.decide()
    entry = next(e for _, e in world.entries() if isinstance(e, Decision))
    fold = SiteFold(QUICK)
    for position, known in world.entries():
        fold.apply(position, known)
    fold.trainer.learn(Outcome(entry, "defaulted", 0.0, 1, world.log.tail()))
    fold.history.restore([])

    assert not fold.trainer.learn(Outcome(entry, "defaulted", 0.0, 1, world.log.tail()))
    assert answer.decision == entry.id
    fold.close()


def state_of(world: World) -> dict[str, object]:
    """A copy of a site's store as it is."""
    kept = {name: value for name, value in vars(world.log).items() if name not in FIXED}
    return copy.deepcopy(kept)


FIXED = ("_clock", "_shared", "_changed", "site")
"""What a store stands on, rather than holds."""


def folded(world: World) -> str:
    """The name of the snapshot that the whole log makes."""
    fold = SiteFold(QUICK)
    for position, entry in world.entries():
        fold.apply(position, entry)
    name = fold.snapshot().name
    fold.close()
    return name


def test_a_log_that_was_set_back_is_learned_as_it_is_now() -> None:
    # given a copy of the store, put away while learning went on
    world = busy_world(100)
    learner = world.learner()
    run(learner)
    world.pass_time(30)
    older = state_of(world)
    _more(world)
    world.pass_time(30)
    run(learner)

    # when that copy takes the store's place, and visitors go on coming
    vars(world.log).update(older)
    world.pass_time(1)
    _more(world)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):  # it notices, it reads, it reads the tick that closes the last
            run(learner)
            world.pass_time(30)
        learner.finish()

    # then what is served is what the log as it is now makes
    head = world.log.head()
    assert head is not None
    assert head.name == folded(world)
    assert any(line["event"] == "log_was_set_back" for line in logs)


def test_a_store_in_the_place_of_the_one_that_was_learned_from_gets_none_of_that() -> None:
    # given a learner with something to publish
    world = busy_world(100)
    learner = world.learner(publish_seconds=1000.0)
    run(learner)
    _more(world)
    run(learner)

    # when an empty store with its first snapshot takes the place of its own, and it is stopped
    other = World()
    vars(world.log).update(state_of(other))
    learner.finish()

    # then
    head = world.log.head()
    assert head is not None
    assert head.position <= world.log.tail()
    assert world.log.checkpoint() is None or head.name == folded(world)


def test_an_entry_that_was_taken_out_costs_a_look_back_and_no_more() -> None:
    # given a learner that has just read what is then forgotten
    world = busy_world(60)
    learner = world.learner()
    run(learner)
    _more(world)
    run(learner)
    world.log.remove([world.log.tail()])

    # when
    world.pass_time(1)
    _more(world)
    run(learner)
    world.pass_time(30)
    run(learner)
    run(learner)

    # then it goes on
    head = world.log.head()
    assert head is not None
    assert head.position >= world.rows()[-2][0]


def test_time_is_not_moved_on_while_entries_wait_on_this_machine() -> None:
    # given a decision whose window is over, and a click that waits on disk
    world = World()
    waiting = [True]
    learner = SiteLearner(
        world.log,
        world.services.site_settings,
        clock=lambda: world.now / 1000,
        publish_seconds=0.0,
        waiting=lambda: bool(waiting),
    )
    answer = world.decide()
    run(learner)
    world.pass_time(3)
    click = Event(decision=answer.decision, type="click", at=world.now, received=world.now)
    world.pass_time(600)
    run(learner)

    # when the click reaches the log at last
    world.log.append(delayed(encode(click), 600_000))
    run(learner)
    waiting.clear()
    world.pass_time(600)
    run(learner)

    # then it was in time
    assert learner.fold.join.counts.rewarded == 1
    assert learner.fold.join.counts.late_events == 0
