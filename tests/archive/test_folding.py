"""What folds the log folds archive and stream as one, on a real Redis and in memory."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bandit_service.archive import segments
from bandit_service.archive.archiver import SiteArchiver
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.errors import ArchiveError
from bandit_service.events.entries import (
    START,
    Decision,
    PersonasChanged,
    PlacementChanged,
    Position,
    decode,
)
from bandit_service.folds import learner as learning
from bandit_service.folds.explain import explain
from bandit_service.folds.learner import SiteLearner
from bandit_service.folds.rebuild import rebuild
from bandit_service.folds.site import SiteFold
from bandit_service.storage.ports import SiteStore
from bandit_service.storage.redis_store import RedisStore
from tests.archive.sites import Row, checkpoint
from tests.world import QUICK, World, busy_world


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 40)


def trimmed(store: SiteStore, path: Path, upto: Position, *, now: int) -> ArchiveFolder:
    """Archive a log and trim it up to a position."""
    folder = ArchiveFolder(path)
    checkpoint(store, upto)
    SiteArchiver(
        store,
        folder,
        archive=folder.ensure("an archive"),
        clock=lambda: now,
        stream_ms=0,
        settle_ms=0,
    ).step()
    return folder


def fold_of(rows: list[Row]) -> str:
    fold = SiteFold(QUICK)
    for position, data in rows:
        fold.apply(position, decode(data))
    name = fold.snapshot().name
    fold.close()
    return name


def nothing(_: int) -> None:
    """Is told of progress."""


@pytest.mark.redis
def test_a_rebuild_over_archive_and_stream_is_that_of_the_untrimmed_log_to_the_byte(
    redis_store: RedisStore, tmp_path: Path
) -> None:
    store = redis_store.site("main")
    store.append_many([data for _, data in busy_world(300).rows()])
    rows = store.read(START, limit=9_999)
    untrimmed = rebuild(store, QUICK, progress=nothing)
    folder = trimmed(store, tmp_path, rows[len(rows) // 2][0], now=4_000_000_000_000)
    assert store.length() == len(rows) - len(rows) // 2 - 1

    again = rebuild(store, QUICK, progress=nothing, history=History(store, folder))

    assert again.name == untrimmed.name == fold_of(rows)
    assert again.encoded == untrimmed.encoded
    with pytest.raises(ArchiveError, match="is in the archive"):
        rebuild(store, QUICK, progress=nothing)


def test_a_learner_without_a_usable_checkpoint_begins_with_the_archive(tmp_path: Path) -> None:
    world = busy_world(200)
    rows = world.rows()
    folder = trimmed(world.log, tmp_path, rows[-20][0], now=world.now + 1)
    world.log._checkpoint = b"damaged"
    world.log._settings["5e771265"] = msgspec.json.encode(QUICK)

    learner = SiteLearner(
        world.log,
        QUICK,
        clock=lambda: world.now / 1000,
        publish_seconds=0.0,
        history=History(world.log, folder),
    )
    while learner.step():
        pass

    assert learner.fold.snapshot().name == fold_of(rows)
    lost = world.learner()
    with pytest.raises(ArchiveError):
        lost.step()


def test_a_learner_that_was_overtaken_by_a_trim_reads_on_in_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "BATCH", 50)
    world = busy_world(200)
    rows = world.rows()
    folder = ArchiveFolder(tmp_path)
    learner = SiteLearner(
        world.log,
        QUICK,
        clock=lambda: world.now / 1000,
        publish_seconds=9_999.0,
        history=History(world.log, folder),
    )
    learner._published_at = world.now / 1000
    learner.step()
    trimmed(world.log, tmp_path, rows[-20][0], now=world.now + 1)

    while learner.step():
        pass

    assert learner.fold.snapshot().name == fold_of(rows)


def test_decisions_in_the_archive_are_explained_bit_for_bit(tmp_path: Path) -> None:
    world = World()
    learner = world.learner()
    for n in range(80):
        world.pass_time(0.7)
        world.visit({"h1": 0.6}, visitor=f"v{n % 9}")
        while learner.step():
            pass
    decisions = [e for _, e in world.entries() if isinstance(e, Decision)]
    folder = trimmed(world.log, tmp_path, world.rows()[-30][0], now=world.now + 1)
    history = History(world.log, folder)
    world.log._snapshots.clear()

    for decision in (decisions[3], decisions[40], decisions[-1]):
        found = explain(world.log, decision.id, defaults=QUICK, progress=nothing, history=history)
        assert found.agrees
        assert found.refolded
    with pytest.raises(ArchiveError):
        explain(world.log, decisions[3].id, defaults=QUICK, progress=nothing)


def test_what_retention_leaves_can_be_folded_and_is_said_not_to_be_whole(tmp_path: Path) -> None:
    world = busy_world(100)
    world.pass_time(5 * 86_400)
    first = world.log.tail()
    for n in range(60):
        world.pass_time(1)
        world.visit({"h1": 0.6}, visitor=f"v{n}")
    rows = world.rows()
    kept = [
        (position, data)
        for position, data in rows
        if position > first or isinstance(decode(data), PlacementChanged | PersonasChanged)
    ]
    folder = ArchiveFolder(tmp_path)
    checkpoint(world.log, rows[-1][0])
    SiteArchiver(
        world.log,
        folder,
        archive=folder.ensure("an archive"),
        clock=lambda: world.now + 1,
        stream_ms=0,
        keep_days=2,
        settle_ms=0,
    ).step()
    history = History(world.log, folder)

    snapshot = rebuild(world.log, QUICK, progress=nothing, history=history)

    assert snapshot.name == fold_of(kept)
    assert snapshot.outcomes > 20
    assert [missing.reasons for missing in history.missing()] == [("retention",)]
    assert history.length() == len(kept) < len(rows)
