"""Rotating what signs decision ids, as the command does it and as serving processes hear of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bandit_service.errors import Conflict, InvalidInput, StorageError
from bandit_service.events.mac_keys import ACTIVATION_MS, FIRST_RING, MAX_MAC_KEYS, decode_ring
from bandit_service.services import Services
from bandit_service.serving.mac_keys import lifetime_ms
from tests.world import QUICK, World


def test_a_rotation_is_heard_of_at_the_next_look_and_signs_in_its_time() -> None:
    # given two processes that serve one site
    world = World()
    second = Services(
        world.services.settings, world.store, clock=lambda: world.now, site_settings=QUICK
    )
    second.refresh()
    before = world.decide().decision

    # when
    world.services.mac_keys.rotate("main", QUICK)
    second.refresh()
    world.pass_time(ACTIVATION_MS / 1000)
    after = world.decide().decision

    # then both know both ids, and the salt and pseudonyms are what they were
    for view in (world.view, second.view("main")):
        assert view.secret.decision_time(before) == world.now - ACTIVATION_MS
        assert view.secret.decision_time(after) == world.now
    fresh = Services(world.services.settings, world.store, site_settings=QUICK).view("main")
    assert fresh.secret.decision_time(after) == world.now
    assert fresh.secret.salt == world.view.secret.salt
    assert world.report(before, "click").accepted == 1
    assert world.report(after, "click").accepted == 1


def test_a_process_that_is_cut_off_refuses_the_new_key_until_it_hears_of_it() -> None:
    # given a process that does not look at the store
    world = World()
    cut_off = Services(
        world.services.settings, world.store, clock=lambda: world.now, site_settings=QUICK
    )
    cut_off.refresh()
    world.services.mac_keys.rotate("main", QUICK)

    # when
    world.pass_time(ACTIVATION_MS / 1000 - 1)
    before = world.decide().decision
    world.pass_time(1)
    after = world.decide().decision

    # then
    assert cut_off.view("main").secret.decision_time(before) is not None
    assert cut_off.view("main").secret.decision_time(after) is None
    cut_off.refresh()
    assert cut_off.view("main").secret.decision_time(after) == world.now


def test_rotating_one_site_leaves_the_others_as_they_are() -> None:
    world = World()
    world.store.register("other")

    world.services.mac_keys.rotate("main", QUICK)

    assert world.store.site("other").mac_keys() == (0, None)
    assert len(decode_ring(world.log.mac_keys()[1])) == 2


def test_rotating_leaves_at_most_so_many_keys_each_another() -> None:
    world = World()
    for _ in range(10):
        ring = world.services.mac_keys.rotate("main", QUICK)
        world.pass_time(lifetime_ms(QUICK) / 1000 + ACTIVATION_MS / 1000)

    assert len(ring) == MAX_MAC_KEYS
    assert len({mac.key for mac in ring}) == MAX_MAC_KEYS
    assert all(len(mac.key or b"") == 32 for mac in ring)
    assert all(a.since < b.since for a, b in pairwise(ring))


def test_the_window_that_a_key_waits_for_is_that_of_the_settings() -> None:
    assert lifetime_ms(QUICK) == 10_000 + 2 * 5_000


@pytest.mark.parametrize("keep", [0, 1, MAX_MAC_KEYS + 1, -1])
def test_no_less_than_two_keys_and_no_more_than_the_limit_are_kept(keep: int) -> None:
    world = World()

    with pytest.raises(InvalidInput) as caught:
        world.services.mac_keys.rotate("main", QUICK, keep=keep, forced=True)

    assert caught.value.field == "keep"
    assert world.log.mac_keys() == (0, None)


@pytest.mark.parametrize("site", ["nowhere", "Not A Site"])
def test_a_site_that_is_not_there_is_not_made_by_rotating(site: str) -> None:
    world = World()

    with pytest.raises(InvalidInput):
        world.services.mac_keys.rotate(site, QUICK)

    assert world.store.sites() == ["main"]


def test_of_two_who_rotate_at_once_one_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # given somebody who rotates after we have looked
    world = World()
    stale = world.log.mac_keys()
    world.services.mac_keys.rotate("main", QUICK)
    present = world.log.mac_keys()
    monkeypatch.setattr(world.log, "mac_keys", lambda: stale)

    # when
    with pytest.raises(Conflict):
        world.services.mac_keys.rotate("main", QUICK)

    # then
    monkeypatch.undo()
    assert world.log.mac_keys() == present


def test_a_ring_that_cannot_be_read_leaves_the_one_before_it() -> None:
    world = World()
    before = world.decide().decision
    world.log.replace_mac_keys(b"not a ring", replaces=0)

    with pytest.raises(StorageError):
        world.view.refresh()

    assert world.view.secret.decision_time(before) == world.now
    assert decode_ring(None) == FIRST_RING
