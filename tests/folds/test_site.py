import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_service.errors import SnapshotError
from bandit_service.events.entries import Decision, decode
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.reporting.columns import SHOWN, counts
from bandit_service.reporting.stored import StoredSums
from bandit_service.reporting.stored import decode as stored_as
from bandit_service.storage.ports import Resumed
from tests.world import QUICK, World, busy_world, kept


@pytest.fixture(scope="module")
def world() -> World:
    return busy_world(300)


def units_shown(fold: SiteFold) -> int:
    """How many units were counted as shown."""
    sums = [stored_as(data, StoredSums) for data in fold.counters.parts().sums.values()]
    return sum(int(counts(one.row_array())[..., SHOWN].sum()) for one in sums)


def folded(world: World, *cuts: int) -> SiteFold:
    """The fold of the world's log, stopped, kept and restored at each cut."""
    fold = SiteFold(QUICK)
    for n, (position, data) in enumerate(world.rows()):
        if n in cuts:
            stored = kept(fold)
            fold.close()
            fold = SiteFold.restore(stored)
        fold.apply(position, decode(data))
    return fold


def test_the_fold_learns_counts_and_remembers_what_is_open(world: World) -> None:
    fold = folded(world)

    counts = fold.join.counts
    assert fold.trainer.outcomes == counts.rewarded + counts.defaulted > 100
    assert units_shown(fold) == fold.trainer.outcomes + fold.join.open_units
    units = counts.decisions - counts.repeated_views - counts.switched_views
    assert fold.join.open_units == units - fold.trainer.outcomes
    fold.close()


@given(st.lists(st.integers(1, 900), max_size=3))
@settings(max_examples=15, deadline=None)
def test_stopping_and_restoring_anywhere_gives_the_same_state_to_the_byte(
    cuts: list[int],
) -> None:
    world = busy_world(300)
    whole, pieces = folded(world), folded(world, *cuts)

    one, other = whole.snapshot(), pieces.snapshot()

    assert other.name == one.name
    assert other.encoded == one.encoded
    assert pieces.checkpoint(other) == whole.checkpoint(one)
    assert pieces.counters.parts() == whole.counters.parts()
    whole.close()
    pieces.close()


def test_a_snapshot_in_the_middle_does_not_change_what_follows(world: World) -> None:
    quiet, watched = SiteFold(QUICK), SiteFold(QUICK)

    for n, (position, data) in enumerate(world.rows()):
        quiet.apply(position, decode(data))
        watched.apply(position, decode(data))
        if n % 50 == 0:
            watched.snapshot()

    assert watched.snapshot().encoded == quiet.snapshot().encoded
    quiet.close()
    watched.close()


def test_a_checkpoint_of_another_kind_is_refused() -> None:
    with pytest.raises(SnapshotError):
        SiteFold.restore(Resumed(b"x" * 100, None, {}, {}))


def test_counters_that_are_not_those_of_the_checkpoint_are_refused(world: World) -> None:
    fold = folded(world)
    stored = kept(fold)
    fold.close()
    other = {name: sums[:-1] + bytes([sums[-1] ^ 1]) for name, sums in stored.sums.items()}

    for wrong in (
        stored._replace(sums=other),
        stored._replace(sums={}),
        stored._replace(series={}),
    ):
        with pytest.raises(SnapshotError, match="counters of placement 'film'"):
            SiteFold.restore(wrong)
    SiteFold.restore(stored).close()


def test_outcomes_of_old_revisions_are_learned_with_the_candidates_of_their_time() -> None:
    world = World()
    before = world.decide()
    world.put("film", 3)
    world.report(before.decision, "click")

    fold = folded(world)

    assert fold.trainer.outcomes == 1
    fold.close()


def test_pausing_and_resuming_a_variant_keeps_what_was_learned_of_it() -> None:
    world = busy_world(400)
    fold = folded(world)
    position = world.rows()[-1][0]
    learned = fold.snapshot().model

    world.put("film", 4, status="paused")
    world.put("film", 4, status="live")
    for at, data in world.log.read(position, limit=10):
        fold.apply(at, decode(data))

    assert fold.snapshot().model == learned
    assert world.editor.variant("film", "h1").version == 1
    fold.close()


def test_censored_decisions_are_neither_learned_nor_counted() -> None:
    seen = msgspec.structs.replace(QUICK, rewards=RewardSettings(window_seconds=5, counts="seen"))
    world = World(seen)
    world.decide()
    shown = world.decide()
    world.report(shown.decision, "impression")
    world.pass_time(60)
    world.log.append(b'{"t":"tick","at":0}')

    fold = SiteFold(seen)
    for position, data in world.rows():
        fold.apply(position, decode(data))

    assert fold.trainer.outcomes == 1
    assert units_shown(fold) == 1
    fold.close()


def test_inline_candidates_are_learned_without_a_catalog() -> None:
    world = World()
    answer = world.decide(
        placement="anywhere",
        candidates=[{"id": "x", "headline": "A", "tags": ["t"]}, {"id": "y", "headline": "B"}],
    )
    world.report(answer.decision, "click")

    fold = folded(world)

    assert fold.trainer.outcomes == 1
    logged = [e for _, e in world.entries() if isinstance(e, Decision)]
    assert [variant.id for variant in logged[0].inline or []] == ["x", "y"]
    fold.close()
