"""Replay equals live, and what was tampered with is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bandit_service.archive.archiver import SiteArchiver
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.errors import ArchiveError, NotFound, SnapshotError
from bandit_service.events.entries import Decision, Event, Tick, encode
from bandit_service.folds.rebuild import rebuild
from bandit_service.folds.replay import Replayed, replay
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.reporting.stored import Day, StoredSeries, StoredSite, StoredSums
from bandit_service.reporting.stored import decode as stored
from bandit_service.reporting.stored import encode as encoded
from bandit_service.storage.memory import MemorySite, MemoryStore
from tests.world import QUICK, World

OTHER = SiteSettings(rewards=QUICK.rewards, policy=PolicySettings(typical_reward=0.5))


def nothing(_: int) -> None:
    """Is told of progress."""


def learned_world(visits: int = 70) -> World:
    """A world in which learning went on between visits, and was resumed half-way."""
    world = World()
    learner = world.learner()
    for n in range(visits):
        world.pass_time(0.7)
        answer = world.visit(
            {"h1": 0.6}, visitor=f"v{n % 9}", traits={"genres": ["comedy"]}, context={"hour": 3}
        )
        if n % 11 == 0:
            world.report(answer.decision, "click", id="again")
            world.report(answer.decision, "click", id="again")
        if n == visits // 2:
            learner.finish()
            learner = world.learner()
        while learner.step():
            pass
    learner.finish()
    return world


def replayed(world: World, **options: int) -> Replayed:
    return replay(world.log, History(world.log, None), progress=nothing, **options)


def differing(found: Replayed) -> list[str]:
    return [check.what for check in found.checks if not check.agrees]


def test_everything_that_was_published_live_is_what_the_log_makes() -> None:
    world = learned_world()
    head = world.log.head()
    assert head is not None

    found = replayed(world)

    assert found.agrees
    assert differing(found) == []
    assert found.snapshots == len(world.log.snapshots()) > 40
    assert found.name == head.name
    assert found.entries == sum(position <= head.position for position, _ in world.rows())
    assert found.outcomes > 20
    assert any(check.what == f"snapshot {head.name}" for check in found.checks)
    what = [check.what.split(" at ")[0] for check in found.checks]
    for expected in ("counters", "counts of outcomes", "open decisions", "catalog"):
        assert expected in what


def test_only_as_many_snapshots_are_compared_as_were_asked_for_the_one_that_serves_first() -> None:
    world = learned_world(40)
    head = world.log.head()
    assert head is not None

    found = replayed(world, snapshots=3)

    assert found.snapshots == 3
    assert any(check.what == f"snapshot {head.name}" for check in found.checks)


def test_what_was_archived_and_trimmed_is_replayed_from_the_archive(tmp_path: Path) -> None:
    world = learned_world()
    live = replayed(world)
    folder = ArchiveFolder(tmp_path)
    SiteArchiver(
        world.log,
        folder,
        archive=folder.ensure("an archive"),
        clock=lambda: world.now + 60_000,
        stream_ms=0,
        settle_ms=0,
    ).step()
    assert world.log.length() < live.entries // 10

    assert replay(world.log, History(world.log, folder), progress=nothing) == live
    with pytest.raises(ArchiveError):
        replayed(world)


def test_after_a_rebuild_under_other_settings_snapshots_of_before_are_left_out() -> None:
    world = learned_world(60)
    rebuilt = rebuild(world.log, OTHER, progress=nothing)

    found = replayed(world)

    assert found.agrees
    assert (found.name, found.snapshots) == (rebuilt.name, 1)


def changed_entry(world: World, kind: type[Decision | Event], change: Callable[..., bytes]) -> str:
    """Change an entry in the middle of the log, of decisions a first view; its position."""
    at, units = [], set()
    for n, (_, entry) in enumerate(world.entries()):
        if isinstance(entry, kind) and not (isinstance(entry, Decision) and entry.unit in units):
            at.append(n)
        if isinstance(entry, Decision):
            units.add(entry.unit)
    position, entry = world.entries()[at[len(at) // 2]]
    world.log._entries[at[len(at) // 2]] = change(entry)
    return str(position)


def test_a_decision_that_was_changed_is_found_from_there_on() -> None:
    world = learned_world()
    position = changed_entry(
        world,
        Decision,
        lambda d: encode(msgspec.structs.replace(d, chosen=(d.chosen + 1) % len(d.arms))),
    )

    found = replayed(world)

    assert not found.agrees
    assert f"snapshot {found.name}" in differing(found)
    earliest = min(name.split()[1].split(".")[0] for name in differing(found) if name[:4] == "snap")
    assert earliest >= position
    assert sum(check.agrees for check in found.checks) > 15


def test_an_event_that_was_removed_is_found() -> None:
    world = learned_world()
    changed_entry(world, Event, lambda event: encode(Tick(at=event.at)))

    found = replayed(world)

    assert [name for name in differing(found) if name.startswith("counts of outcomes at")]


def test_a_propensity_that_was_changed_is_found_while_the_decision_is_open() -> None:
    world = World()
    learner = world.learner()
    world.decide(visitor="ann")
    learner.step()
    learner.finish()
    changed_entry(
        world,
        Decision,
        lambda d: encode(msgspec.structs.replace(d, probabilities=[0.1, 0.2, 0.3, 0.4])),
    )

    assert [name.split(" at ")[0] for name in differing(replayed(world))] == ["open decisions"]


def changed_sums(world: World, change: Callable[[StoredSums], StoredSums]) -> None:
    """Change what the store has counted of the film."""
    world.log._sums["film"] = encoded(change(stored(world.log._sums["film"], StoredSums)))


def one_more(sums: StoredSums) -> StoredSums:
    rows = sums.row_array()
    rows[0, 2] += 1.0
    return msgspec.structs.replace(sums, rows=rows.tobytes())


def test_a_counter_that_was_changed_is_found_and_named() -> None:
    world = learned_world(60)
    assert world.log._report is not None
    site = stored(world.log._report, StoredSite)
    site.join.late_events += 5
    site.days[0] = Day(shown=1)
    world.log._report = encoded(site)
    changed_sums(world, one_more)

    found = replayed(world)

    said = [check for check in found.checks if not check.agrees]
    what = [check.what.split(" at ")[0] for check in said]
    assert what == ["counters", "counts of outcomes", "days"]
    assert "1 of 1 placements differ; h" in said[0].says
    assert " of film for comedy: the log makes [" in said[0].says
    assert "late_events: the log makes " in said[1].says


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log._sums.pop("film"), "the store has nothing of 'film'"),
        (lambda log: log._sums.update(ghost=log._sums["film"]), "the log has nothing of 'ghost'"),
        (
            lambda log: log._series.update(film=encoded(StoredSeries(1, [], []))),
            "what it showed and earned over time",
        ),
    ],
)
def test_placements_and_series_that_were_changed_are_found(
    change: Callable[[MemorySite], object], said: str
) -> None:
    world = learned_world(60)
    change(world.log)

    (check,) = [check for check in replayed(world).checks if not check.agrees]

    assert check.what.startswith("counters at")
    assert said in check.says


def test_a_variant_that_was_renamed_in_the_counters_is_found() -> None:
    world = learned_world(60)
    changed_sums(world, lambda sums: msgspec.structs.replace(sums, last=sums.last + 1))

    (check,) = [check for check in replayed(world).checks if not check.agrees]

    assert "what its rows are of" in check.says


def test_a_snapshot_whose_bytes_were_changed_is_found() -> None:
    world = learned_world(60)
    name = world.log.snapshots()[5]
    data = bytearray(world.log._snapshots[name])
    data[-1] ^= 1
    world.log._snapshots[name] = bytes(data)

    found = replayed(world)

    assert differing(found) == [f"snapshot {name}"]


def test_an_entry_that_is_gone_from_under_a_snapshot_is_found() -> None:
    world = learned_world(60)
    head = world.log.head()
    assert head is not None
    world.log.remove([head.position])

    found = replayed(world)

    assert f"snapshot {head.name}" in differing(found)
    assert any("has no entry at" in check.says for check in found.checks)


def test_what_cannot_be_compared_is_refused() -> None:
    empty = MemoryStore().site("none")
    with pytest.raises(NotFound, match="has no snapshot"):
        replay(empty, empty, progress=nothing)

    world = learned_world(10)
    world.log._report = b"\xc1"
    with pytest.raises(SnapshotError, match="counters in the store"):
        replayed(world)
    world.log._checkpoint = b"damaged"
    with pytest.raises(SnapshotError, match="checkpoint is damaged"):
        replayed(world)


def test_a_new_site_agrees_with_its_empty_log() -> None:
    world = World()

    found = replayed(world)

    assert found.agrees
    assert (found.entries, found.outcomes, found.snapshots) == (0, 0, 1)
