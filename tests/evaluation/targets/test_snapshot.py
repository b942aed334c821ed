from pathlib import Path

import pytest

from bandit_service.catalog.model import Variant
from bandit_service.errors import NotFound, SnapshotError
from bandit_service.evaluation.batch import Asked
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import make_target
from bandit_service.policy.chooser import Candidates, Chooser
from bandit_service.policy.snapshot import Snapshot, load_snapshot
from tests.evaluation.targets.rows import a_batch, asked_of, by_row, closed_world, log_of, run
from tests.world import World, a_decision


def context_of(world: World) -> TargetContext:
    def snapshot(name: str) -> Snapshot:
        data = world.log.snapshot(name)
        if data is None:
            raise NotFound(f"no snapshot {name}")
        return load_snapshot(data, name=name)

    return TargetContext(snapshot=snapshot)


def test_a_snapshot_gives_the_logged_probabilities_of_its_decisions_bit_for_bit() -> None:
    world = closed_world(600, learn=True)
    names = [row.decision.snapshot for row, _ in asked_of(run_logged(world))]
    compared = 0
    for name in sorted(set(names)):
        target = make_target(f"snapshot:{name}", context_of(world))
        for asked, given in asked_of(run(target, log_of(world))):
            if asked.decision.snapshot == name:
                assert given == asked.decision.probabilities
                compared += 1
        target.close()

    assert compared == len(names) > 300
    assert len(set(names)) > 10


def run_logged(world: World) -> list:  # type: ignore[type-arg]
    return run(make_target("logged", TargetContext()), log_of(world))


def test_without_its_holdout_a_snapshot_gives_what_it_learned(tmp_path: Path) -> None:
    world = closed_world(600, learn=True)
    head = world.log.head()
    assert head is not None
    snapshot = context_of(world).snapshot(head.name)
    path = tmp_path / "model.snapshot"
    path.write_bytes(snapshot.encoded)

    target = make_target(f"snapshot:{path},learned", TargetContext())

    chooser = Chooser(snapshot)
    for asked, given in asked_of(run(target, log_of(world))):
        distribution = chooser.distribution(asked.candidates, asked.shared)
        assert given == distribution.learned != distribution.overall
    assert "without its holdout" in target.words
    chooser.close()
    target.close()


def test_rows_whose_candidates_are_not_described_are_as_logged_and_counted() -> None:
    world = closed_world(50)
    head = world.log.head()
    assert head is not None
    target = make_target(f"snapshot:{head.name}", context_of(world))
    two = Candidates.inline("film", [Variant(id=v, version=1) for v in "ab"])
    asked = Asked(a_decision(arms=two.arms, probabilities=[0.5, 0.5]), "shared |p x", two)
    batch = a_batch([{"logged": [0.9, 0.1]}, {"asked": asked, "logged": [0.9, 0.1]}])

    given = by_row(batch, target.probabilities(batch))

    assert given[0] == [0.9, 0.1]
    assert given[1] == pytest.approx([0.5, 0.5])
    assert target.as_logged == 1
    target.close()


def test_a_snapshot_that_is_not_there_or_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file '1-0"):
        make_target("snapshot:1-0.x.y", TargetContext())
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(SnapshotError):
        make_target(f"snapshot:{tmp_path / 'junk'}", TargetContext())
