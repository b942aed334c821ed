"""Which snapshot serves where the newest cannot: the one before, and in the end none."""

from __future__ import annotations

import msgspec
import pytest
import structlog

from bandit_service.policy.snapshot import FORMAT, Snapshot, SnapshotName
from bandit_service.serving.view import SiteView
from bandit_service.storage.memory import MemorySite
from tests.world import World


@pytest.fixture
def world() -> World:
    """A world in which three snapshots were published after the first."""
    world = World()
    learner = world.learner()
    for _ in range(3):
        for _ in range(20):
            world.pass_time(0.1)
            world.visit({"h1": 0.9})
        world.pass_time(6)
        learner.step()
        learner.step()
    assert len(world.log.snapshots()) >= 4
    return world


def spoil(world: World, name: str, *, how: str) -> None:
    """Change the stored bytes of a snapshot."""
    stored = world.log._snapshots
    data = stored[name]
    if how == "damaged":
        stored[name] = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    elif how == "truncated":
        stored[name] = data[: len(data) // 2]
    elif how == "of another version":
        snapshot = msgspec.msgpack.decode(data, type=Snapshot)
        later = msgspec.structs.replace(snapshot, format=FORMAT + 1)
        stored[name] = later.encoded
    else:
        stored[name] = b""


def served(view: SiteView) -> str | None:
    return None if view.chooser is None else view.chooser.name


HOWS = ["damaged", "truncated", "of another version", "emptied"]


@pytest.mark.parametrize("how", HOWS)
def test_a_process_that_serves_keeps_its_snapshot_when_the_next_cannot_be_used(
    world: World, how: str
) -> None:
    # given
    newest, before, *_ = world.log.snapshots()
    view = SiteView(world.log, world.services.site_settings)
    head = world.log.head()
    assert head is not None
    world.log._head = head._replace(name=before)
    view.refresh()
    assert served(view) == before

    # when
    spoil(world, newest, how=how)
    world.log._head = head
    with structlog.testing.capture_logs() as logs:
        view.refresh()
        view.refresh()

    # then it is refused by name, once
    assert served(view) == before
    (line,) = [line for line in logs if line["event"] == "snapshot_refused"]
    assert line["snapshot"] == newest


@pytest.mark.parametrize("how", HOWS)
def test_a_new_process_takes_the_newest_that_can_be_used(world: World, how: str) -> None:
    # given
    newest, second, third, *_ = world.log.snapshots()
    spoil(world, newest, how=how)
    spoil(world, second, how=how)

    # when
    view = SiteView(world.log, world.services.site_settings)
    with structlog.testing.capture_logs() as logs:
        view.refresh()
        view.refresh()

    # then
    assert served(view) == third
    assert [line["snapshot"] for line in logs] == [newest, second]


def test_where_no_snapshot_can_be_used_the_choice_is_uniform_and_says_so(world: World) -> None:
    # given
    for name in world.log.snapshots():
        spoil(world, name, how="damaged")

    # when
    world.view = SiteView(world.log, world.services.site_settings)
    answer = world.decide(visitor="ann")

    # then
    assert served(world.view) is None
    assert (answer.snapshot, answer.logged) == ("none", True)
    assert answer.reason in ("fallback", "holdout")
    assert answer.probability == pytest.approx(0.25)


def test_a_process_without_a_snapshot_takes_the_next_that_is_published(world: World) -> None:
    # given
    for name in world.log.snapshots():
        spoil(world, name, how="damaged")
    view = SiteView(world.log, world.services.site_settings)
    view.refresh()
    assert served(view) is None

    # when
    learner = world.learner()
    for _ in range(5):
        world.pass_time(1)
        world.visit({})
    world.pass_time(6)
    learner.step()
    learner.step()
    view.refresh()

    # then
    assert served(view) == world.log.snapshots()[0]
    assert SnapshotName.parse(served(view) or "").position > SnapshotName.parse("1-0.a.b").position


def test_a_head_whose_bytes_are_gone_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = SiteView(world.log, world.services.site_settings)
    with monkeypatch.context() as patched:
        patched.setattr(MemorySite, "snapshot", lambda *_: None)
        view.refresh()
    assert served(view) is None

    view.refresh()
    assert served(view) == world.log.snapshots()[0]
