"""What the wiring promises: sites keep out of each other's way, and processes go on looking."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import structlog

from bandit_service.catalog.model import Placement
from bandit_service.errors import NotAuthenticated, StorageError
from bandit_service.folds.learner import SiteLearner
from bandit_service.opening import opened_store
from bandit_service.services import DEAF_SECONDS, KEYS_SECONDS, Services
from bandit_service.serving.view import SiteView
from bandit_service.settings import ServiceSettings
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import Amendment, Document
from tests.e2e.processes import until
from tests.world import World


def test_a_site_whose_log_cannot_be_read_keeps_no_other_from_learning() -> None:
    world = World()
    broken = world.store.site("broken")
    broken.append(b"not an entry")
    answer = world.decide()
    world.report(answer.decision, "click")
    stop = threading.Event()

    with structlog.testing.capture_logs() as logs:
        thread = threading.Thread(target=world.services.learn, args=(stop,))
        thread.start()
        until(lambda: (head := world.log.head()) is not None and head.position.ms > 0, 10)
        stop.set()
        thread.join(10)

    assert not thread.is_alive()
    stopped = [line for line in logs if line["event"] == "learning_stopped"]
    assert {line["site"] for line in stopped} == {"broken"}
    assert stopped[0]["hint"]


def authenticate(services: Services, key: str) -> str:
    """Whether a key gets in."""
    try:
        services.authenticate(f"Bearer {key}", "site")
    except NotAuthenticated:
        return "refused"
    return "in"


def test_a_flood_of_wrong_keys_reads_no_keys_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    keys, reads = world.store.keys, []

    def read() -> dict[str, bytes]:
        reads.append(1)
        return keys()

    monkeypatch.setattr(world.store, "keys", read)
    started = time.monotonic()

    answers = {authenticate(world.services, f"bk_main_{n:043}") for n in range(2_000)}

    took = time.monotonic() - started
    assert answers == {"refused"}
    assert len(reads) <= 1 + took / KEYS_SECONDS


def test_a_wrong_key_does_not_wait_for_a_store_that_is_known_to_be_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a process whose watcher has not reached the store for long
    world = World()
    key, _ = world.services.keys.create("main", "site")
    assert authenticate(world.services, key) == "in"
    monkeypatch.setattr(world.store, "keys", pytest.fail)
    monkeypatch.setattr(world.services, "_threads", [threading.current_thread()])
    monkeypatch.setattr(Services, "staleness", DEAF_SECONDS + 1)

    # then a wrong key is refused without asking it, and a right one gets in
    assert authenticate(world.services, "bk_main_" + "x" * 43) == "refused"
    assert authenticate(world.services, key) == "in"


def test_learning_waits_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    sites, calls = world.store.sites, []

    def away_at_first() -> list[str]:
        calls.append(1)
        if len(calls) == 1:
            raise StorageError("away")
        return sites()

    monkeypatch.setattr(world.store, "sites", away_at_first)
    monkeypatch.setattr("bandit_service.folds.learning_loop.REST_SECONDS", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=world.services.learn, args=(stop,))
    thread.start()

    until(lambda: len(calls) > 3, 10)

    stop.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("broken", ["step", "finish"])
def test_learning_that_is_stopped_waits_once_for_a_store_that_is_away(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    # given several sites, and a store that goes away when learning is told to stop
    services = Services(ServiceSettings(), MemoryStore())
    for site in ("a", "b", "c"):
        services.ensure_snapshot(site)
    stop, waited, steps = threading.Event(), [], []

    def away(_: SiteLearner) -> int:
        stop.set()
        waited.append(1)
        raise StorageError("away")

    def idle(_: SiteLearner) -> int:
        steps.append(1)
        if len(steps) == 3:
            stop.set()
        return 0

    monkeypatch.setattr(SiteLearner, "step", idle)
    monkeypatch.setattr(SiteLearner, "finish", away)
    monkeypatch.setattr(SiteLearner, broken, away)

    # when
    services.learn(stop)

    # then
    assert waited == [1]


def test_the_watcher_goes_on_whatever_a_look_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    services = Services(ServiceSettings(poll_seconds=0.02), store)
    services.refresh()
    looks: list[int] = []

    def broken(self: SiteView, pulse: object = None, *, swap: bool = True) -> None:
        looks.append(1)
        if len(looks) < 3:
            raise ZeroDivisionError

    monkeypatch.setattr(SiteView, "refresh", broken)
    with structlog.testing.capture_logs() as logs:
        services.start_watching()
        until(lambda: len(looks) > 4, 10)
        services.close()

    assert [line["event"] for line in logs] == ["refresh_failed", "refresh_failed"]


def test_a_key_made_elsewhere_is_known_with_its_first_use_and_a_wrong_one_costs_little() -> None:
    store = MemoryStore()
    here, elsewhere = Services(ServiceSettings(), store), Services(ServiceSettings(), store)
    here.refresh()
    key, record = elsewhere.keys.create("main", "site")

    assert here.authenticate(f"Bearer {key}", "site") == record

    reads: list[int] = []

    def counted() -> dict[str, bytes]:
        reads.append(1)
        return {}

    store.keys = counted  # type: ignore[method-assign]
    for _ in range(50):
        with pytest.raises(NotAuthenticated):
            here.authenticate("Bearer bk_main_guess", "site")
    assert not reads


@pytest.mark.redis
def test_an_embedded_redis_that_dies_is_brought_up_again(tmp_path: Path) -> None:
    settings = ServiceSettings(data_dir=str(tmp_path), fsync="always")

    with opened_store(settings, guarded=True) as store:
        site = store.site("main")
        position = site.append(b"before")
        pid = int((store._client.info("server"))["process_id"])
        os.kill(pid, signal.SIGKILL)

        def answers() -> bool:
            try:
                return site.tail() == position
            except StorageError:
                return False

        time.sleep(0.1)
        until(answers, 20)
        with pytest.raises(StorageError):
            site.append(b"on the dead connection")
        site.append(b"after")
        assert site.length() == 2


@pytest.mark.redis
def test_who_attached_to_another_ones_redis_takes_it_over_when_that_one_leaves(
    tmp_path: Path,
) -> None:
    settings = ServiceSettings(data_dir=str(tmp_path))
    first = opened_store(settings)
    owner = first.__enter__()
    owner.site("main").append(b"kept")

    with opened_store(settings, guarded=True) as store:
        first.__exit__(None, None, None)

        def answers() -> bool:
            try:
                return store.site("main").length() == 1
            except StorageError:
                return False

        until(answers, 20)


def test_a_site_that_cannot_be_read_keeps_no_other_from_its_news() -> None:
    store = MemoryStore()
    services = Services(ServiceSettings(), store)
    services.refresh()
    services.view("broken")
    services.view("whole")
    store.site("broken").commit([Amendment(Document("film", 1, b"not a document"), 0, b"x")])
    placement = Placement(id="film", revision=1, kind="headline")
    data = msgspec.json.encode(placement)
    store.site("whole").commit([Amendment(Document("film", 1, data), 0, b"x")])

    with pytest.raises(msgspec.DecodeError):
        services.refresh()

    assert "film" in services.view("whole").shelves


# -- the catalog of an empty site


def seeded(tmp_path: Path, **more: Any) -> tuple[Services, list[str]]:
    """Services that filled a site, and the addresses of its pictures."""
    settings = ServiceSettings(data_dir=str(tmp_path / "data"), **more)
    services = Services(settings, MemoryStore())
    assert services.seed("main", address="https://bandit.example/sub/") > 0
    placements = services.editor("main", by="test").placements()
    found = [variant.image_url for place in placements for variant in place.variants]
    return services, [address for address in found if address is not None]


def test_a_site_that_serve_fills_has_pictures_that_a_page_can_load(tmp_path: Path) -> None:
    services, addresses = seeded(tmp_path)

    folder = "https://bandit.example/sub/media/"
    pictures = {services.media.get(address.removeprefix(folder)) for address in addresses}

    assert len(pictures) == len(addresses) > 10, "each is another"
    assert None not in pictures


def test_a_site_is_filled_also_where_no_picture_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    _, addresses = seeded(tmp_path, media_url=str(tmp_path / "file" / "media"))

    assert {urlsplit(address).hostname for address in addresses} == {"images.example"}


def test_pictures_of_ones_own_stay_where_they_are(tmp_path: Path) -> None:
    own = "https://images.shop.com/a.jpg"
    text = f"""
        [[placements]]
        id = "a"
        kind = "thumbnail"
        variants = [{{ id = "v", image_url = "{own}", status = "live" }}]
        """
    (tmp_path / "catalog.toml").write_text(text)

    _, addresses = seeded(tmp_path, config_dir=str(tmp_path))

    assert addresses == [own]
