"""Rings of keys: a new one signs once everybody knows it, an old one goes when nobody needs it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.access import NOTICED_SECONDS
from bandit_service.errors import Conflict, StorageError
from bandit_service.events.identity import SiteSecret
from bandit_service.events.mac_keys import (
    ACTIVATION_MS,
    FIRST_RING,
    MAX_MAC_KEYS,
    MacKey,
    Ring,
    decode_ring,
    encode_ring,
    rotated,
)

SECRET = bytes(range(32))
NOW = 1_900_000_000_000
LIFETIME_MS = 600_000
NOTICED_MS = round(NOTICED_SECONDS * 1000)


def rotate(ring: Ring, now: int, *, keep: int = MAX_MAC_KEYS, forced: bool = False) -> Ring:
    entropy = now.to_bytes(32, "big")
    return rotated(
        ring, now=now, entropy=entropy, lifetime_ms=LIFETIME_MS, keep=keep, forced=forced
    )


def issued(ring: Ring, at: int) -> str:
    return SiteSecret(SECRET, ring).new_decision(at, b"123456789")


def known(ring: Ring, decision: str) -> bool:
    return SiteSecret(SECRET, ring).decision_time(decision) is not None


def test_a_site_that_never_rotated_signs_with_a_key_of_its_secret() -> None:
    decision = issued(FIRST_RING, NOW)

    assert decision == SiteSecret(SECRET).new_decision(NOW, b"123456789")
    assert known(rotate(FIRST_RING, NOW), decision)


def test_a_new_key_verifies_at_once_and_signs_from_its_time_on() -> None:
    ring = rotate(FIRST_RING, NOW)
    new = (ring[-1],)

    before, after = issued(ring, NOW + ACTIVATION_MS - 1), issued(ring, NOW + ACTIVATION_MS)

    assert before == issued(FIRST_RING, NOW + ACTIVATION_MS - 1)
    assert after == issued(new, NOW + ACTIVATION_MS) != issued(FIRST_RING, NOW + ACTIVATION_MS)
    assert known(ring, before)
    assert known(ring, after)
    assert not known(FIRST_RING, after)


def test_a_new_key_vouches_for_nothing_that_claims_to_be_older() -> None:
    ring = rotate(FIRST_RING, NOW)
    early = issued((MacKey(key=ring[-1].key, since=0),), NOW)

    assert not known(ring, early)


def test_a_process_that_is_cut_off_and_signs_with_the_old_key_is_still_believed() -> None:
    ring = rotate(FIRST_RING, NOW)

    assert known(ring, issued(FIRST_RING, NOW + 10 * ACTIVATION_MS))


def test_pseudonyms_and_draws_do_not_depend_on_the_ring() -> None:
    first, second = SiteSecret(SECRET), SiteSecret(SECRET, rotate(FIRST_RING, NOW))

    assert first.salt == second.salt
    assert first.pseudonym("ann") == second.pseudonym("ann")


def test_a_ring_comes_back_from_the_store_as_it_was() -> None:
    ring = rotate(rotate(FIRST_RING, NOW), NOW + 1)

    assert decode_ring(encode_ring(ring)) == ring
    assert decode_ring(None) == FIRST_RING


@pytest.mark.parametrize("data", [b"", b"{}", b"[{}]", b'[{"key": 5, "since": 0}]', b"\xff"])
def test_a_ring_that_cannot_be_read_is_a_storage_error(data: bytes) -> None:
    with pytest.raises(StorageError) as caught:
        decode_ring(data)

    assert caught.value.hint


# -- dropping keys


def test_no_key_goes_while_its_decisions_may_be_reported() -> None:
    # given a full ring, whose oldest key has ended
    ring = FIRST_RING
    for n in range(MAX_MAC_KEYS - 1):
        ring = rotate(ring, NOW + n)
    ended = ring[1].since
    last = ended + LIFETIME_MS

    # then
    with pytest.raises(Conflict) as caught:
        rotate(ring, last - 1)
    assert "--force" in str(caught.value.hint)
    assert rotate(ring, last)[:-1] == ring[1:]
    assert len(rotate(ring, last - 1, forced=True)) == MAX_MAC_KEYS


def test_the_key_that_signs_is_never_dropped_not_even_by_force() -> None:
    ring = rotate(FIRST_RING, NOW)

    with pytest.raises(Conflict, match="taken effect"):
        rotate(ring, NOW + ACTIVATION_MS - 1, keep=2, forced=True)
    kept = rotate(ring, NOW + ACTIVATION_MS, keep=2, forced=True)
    assert kept[0] == ring[-1]
    assert not known(kept, issued(FIRST_RING, NOW))


@given(st.lists(st.integers(0, 2 * LIFETIME_MS), min_size=1, max_size=12))
def test_whatever_may_still_be_reported_is_known_however_often_one_rotates(
    waits: list[int],
) -> None:
    # given decisions at every moment around some rotations, of which some are refused
    ring, now = FIRST_RING, NOW
    decisions: list[tuple[int, str]] = []
    for wait in waits:
        decisions.append((now, issued(ring, now)))
        now += wait
        try:
            ring = rotate(ring, now)
        except Conflict:
            assert len(ring) == MAX_MAC_KEYS
        decisions.append((now, issued(ring, now)))

        # then
        assert 1 <= len(ring) <= MAX_MAC_KEYS
        assert [mac.since for mac in ring] == sorted({mac.since for mac in ring})
        for at, decision in decisions:
            if now <= at + LIFETIME_MS:
                assert known(ring, decision)


# -- many processes

NOTICED_AFTER = (0, 1, NOTICED_MS // 2, NOTICED_MS - 1, NOTICED_MS)
MOMENTS = (0, NOTICED_MS // 2, NOTICED_MS, ACTIVATION_MS // 2, ACTIVATION_MS)
"""When something may go wrong, in ms after a rotation."""


@given(st.data())
def test_no_process_refuses_what_another_has_just_issued(data: st.DataObject) -> None:
    """Each notices a rotation when it likes, within what is promised."""
    # given a rotation, and processes that notice it at different moments
    steps = data.draw(st.lists(st.integers(1, 2 * ACTIVATION_MS), min_size=1, max_size=3))
    rings: list[tuple[int, Ring]] = [(0, FIRST_RING)]
    now = NOW
    for step in steps:
        now += step
        rings.append((now, rotate(rings[-1][1], now)))
    delays = [
        [0, *(data.draw(st.sampled_from(NOTICED_AFTER)) for _ in steps)]  # of each process
        for _ in range(3)
    ]

    def ring_of(process: int, at: int) -> Ring:
        heard = (r for (t, r), d in zip(rings, delays[process], strict=True) if t + d <= at)
        return list(heard)[-1]

    # when any of them decides at any moment, and an event comes at once to any other
    moments = [t + d + odd for t, _ in rings[1:] for d in MOMENTS for odd in (-1, 0, 1)]
    for at in moments:
        for signer in range(3):
            decision = issued(ring_of(signer, at), at)

            # then
            assert all(known(ring_of(other, at), decision) for other in range(3))
