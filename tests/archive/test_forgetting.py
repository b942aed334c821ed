"""Forgetting a visitor, in the stream and in the archive, stopped anywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bandit_service.archive import segments
from bandit_service.archive.archiver import SiteArchiver
from bandit_service.archive.forgetting import Forgotten, forget
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.errors import ArchiveError, StorageError
from bandit_service.events.entries import START, Decision, Event, decode
from bandit_service.folds.rebuild import rebuild
from bandit_service.folds.site import SiteFold
from bandit_service.storage.ports import entries_of
from tests.archive.sites import Row, checkpoint
from tests.world import QUICK, World, busy_world

VISITOR = "visitor-3"
ID = "an archive"


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 40)


def archiver(world: World, folder: ArchiveFolder, *, hours: float) -> SiteArchiver:
    return SiteArchiver(
        world.log,
        folder,
        archive=folder.ensure(ID),
        clock=lambda: world.now,
        stream_ms=round(hours * 3_600_000),
        settle_ms=0,
    )


def archived_world(path: Path, *, hours: float = 0.01) -> tuple[World, ArchiveFolder, list[Row]]:
    """A world whose log is in several files, and its last half minute in the stream as well."""
    world, folder = busy_world(60), ArchiveFolder(path)
    rows = world.rows()
    for _ in range(4):
        archiver(world, folder, hours=9_999).step()
        for _ in range(25):
            world.pass_time(0.7)
            world.visit({"h1": 0.5}, visitor=f"visitor-{world.random.randrange(8)}")
        rows = world.rows()
    learner = world.learner()
    while learner.step():
        pass
    learner.finish()
    checkpoint(world.log, rows[-1][0])
    archiver(world, folder, hours=hours).step()
    return world, folder, rows


def pseudonym(world: World, visitor: str = VISITOR) -> str:
    return world.view.secret.pseudonym(visitor)


def without(rows: Sequence[Row], who: str) -> list[Row]:
    """A log in which a visitor never was."""
    entries = [(position, data, decode(data)) for position, data in rows]
    ids = {e.id for _, _, e in entries if isinstance(e, Decision) and e.visitor == who}
    assert ids
    return [
        (position, data)
        for position, data, e in entries
        if not (isinstance(e, Decision) and e.id in ids)
        and not (isinstance(e, Event) and e.decision in ids)
    ]


def whole(world: World, folder: ArchiveFolder | None) -> list[Row]:
    history = History(world.log, folder)
    return list(entries_of(history, after=START, upto=history.tail()))


def test_a_visitor_is_gone_from_profile_stream_and_archive_and_nobody_else_is(
    tmp_path: Path,
) -> None:
    world, folder, rows = archived_world(tmp_path)
    who = pseudonym(world)
    kept = without(rows, who)
    streamed = world.log.length()
    others = world.log.visits(pseudonym(world, "visitor-2"))
    assert world.log.visits(who)
    assert 0 < streamed < len(rows)

    gone = forget(world.log, folder, who)

    assert whole(world, folder) == kept
    assert world.log.read(START, limit=9_999) == kept[-world.log.length() :]
    assert gone.stream == streamed - world.log.length() > 0
    assert gone.archive == len(rows) - len(kept)
    assert gone.placements == 1
    assert world.log.visits(who) == {}
    assert world.log.visits(pseudonym(world, "visitor-2")) == others != {}
    raw = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert who.encode() not in raw
    assert forget(world.log, folder, who) == Forgotten(0, 0, 0, 0)


def test_a_rebuilt_model_is_that_of_a_log_without_the_visitor(tmp_path: Path) -> None:
    world, folder, rows = archived_world(tmp_path)
    fold = SiteFold(QUICK)
    for position, data in without(rows, pseudonym(world)):
        fold.apply(position, decode(data))
    never = fold.snapshot().name
    fold.close()
    with_the_visitor = rebuild(
        world.log, QUICK, progress=lambda _: None, history=History(world.log, folder)
    )

    forget(world.log, folder, pseudonym(world))
    rebuilt = rebuild(world.log, QUICK, progress=lambda _: None, history=History(world.log, folder))

    assert rebuilt.name == never != with_the_visitor.name


class Stopped(BaseException):
    """The process was killed here."""


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("name", ["remove", "replace", "unlink", "fsync", "forget_visits"])
def test_forgetting_that_was_stopped_anywhere_is_completed_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    monkeypatch.setattr("bandit_service.archive.forgetting.REMOVE_BATCH", 3)
    world, folder, rows = archived_world(tmp_path)
    who = pseudonym(world)
    place: Any = {"remove": world.log, "forget_visits": world.log, "fsync": os}.get(name, Path)
    real, count = getattr(place, name), 0

    def stopping(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == call:
            raise Stopped
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, stopping)
        try:
            forget(world.log, folder, who)
        except Stopped:
            pass
        else:
            assert call > 1

    forget(world.log, folder, who)

    assert whole(world, folder) == without(rows, who)
    assert world.log.visits(who) == {}
    assert not list(tmp_path.glob("forgetting/*"))
    assert not list(tmp_path.glob("tmp/*"))


def test_an_event_that_stands_before_its_decision_goes_too(tmp_path: Path) -> None:
    world, folder = World(), ArchiveFolder(tmp_path)
    answer = world.decide(visitor=VISITOR)
    world.report(answer.decision, "click")
    decision, event = (data for _, data in world.rows()[-2:])
    world.log.remove([position for position, _ in world.rows()[-2:]])
    world.log.append(event)
    world.pass_time(86_400)
    world.log.append(decision)
    archiver(world, folder, hours=0).step()

    assert forget(world.log, folder, pseudonym(world)).archive == 2
    assert {type(decode(data)).__name__ for _, data in whole(world, folder)} == {
        "PlacementChanged",
        "PersonasChanged",
    }


def test_a_log_that_was_never_archived_is_searched_alone(tmp_path: Path) -> None:
    world = busy_world(100)
    rows, who = world.rows(), pseudonym(world)
    world.learner().step()

    gone = forget(world.log, ArchiveFolder(tmp_path / "none"), who)

    assert world.rows() == without(rows, who)
    assert (gone.archive, gone.stream) == (0, len(rows) - world.log.length())
    assert not (tmp_path / "none").exists()


def test_without_the_sites_archive_nothing_is_forgotten_by_halves(tmp_path: Path) -> None:
    world, _, _ = archived_world(tmp_path / "a")
    other = ArchiveFolder(tmp_path / "b")
    for folder in (other, ArchiveFolder(tmp_path / "none")):
        with pytest.raises(ArchiveError, match="is archived elsewhere"):
            forget(world.log, folder, pseudonym(world))
        other.ensure("another")
    assert world.log.visits(pseudonym(world))


def test_a_store_that_fails_leaves_what_the_next_call_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, folder, rows = archived_world(tmp_path)

    def away(visitor: str) -> int:
        raise StorageError("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.log, "forget_visits", away)
        with pytest.raises(StorageError):
            forget(world.log, folder, pseudonym(world))

    assert forget(world.log, folder, pseudonym(world)).placements == 1
    assert whole(world, folder) == without(rows, pseudonym(world))


def test_what_was_forgotten_stays_so_when_the_archiver_goes_on(tmp_path: Path) -> None:
    world, folder, rows = archived_world(tmp_path)
    forget(world.log, folder, pseudonym(world))
    world.pass_time(90_000)
    world.decide(visitor="someone else")
    rows = [*without(rows, pseudonym(world)), world.rows()[-1]]
    checkpoint(world.log, rows[-1][0])

    archiver(world, folder, hours=0).step()

    assert whole(world, folder) == rows


def test_a_decision_that_is_open_in_the_learner_closes_without_the_events_that_are_gone(
    tmp_path: Path,
) -> None:
    world = World()
    learner = world.learner()
    answer = world.decide(visitor=VISITOR)
    learner.step()
    rows = world.rows()
    world.report(answer.decision, "click")

    forget(world.log, ArchiveFolder(tmp_path / "none"), pseudonym(world))
    world.pass_time(QUICK.rewards.window_seconds + QUICK.policy.slot_seconds + 1)
    for _ in range(4):
        learner.step()
        world.pass_time(0.5)

    unseen = SiteFold(QUICK)
    for position, data in [*rows, *world.rows()[len(rows) - 1 :]]:
        unseen.apply(position, decode(data))
    assert learner.fold.trainer.outcomes == 1
    assert learner.fold.snapshot().name == unseen.snapshot().name
    unseen.close()
