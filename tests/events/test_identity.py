"""Decision ids that cannot be forged, pseudonyms that cannot be traced, slots that do not jump."""

from __future__ import annotations

import string
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.events.identity import (
    DECISION_ENTROPY,
    DECISION_LENGTH,
    SiteSecret,
    slot_of,
)

SECRET = SiteSecret(bytes(range(32)))
OTHER = SiteSecret(bytes(range(1, 33)))
NOW = 1_900_000_000_123
ID = SECRET.new_decision(NOW, b"entropy!!")

times = st.integers(0, 2**48 - 1)
entropies = st.binary(min_size=DECISION_ENTROPY, max_size=DECISION_ENTROPY)


@given(times, entropies)
def test_a_decision_id_carries_its_time_to_the_millisecond(at: int, entropy: bytes) -> None:
    decision = SECRET.new_decision(at, entropy)

    assert len(decision) == DECISION_LENGTH
    assert set(decision) <= set(string.ascii_letters + string.digits + "-_")
    assert SECRET.decision_time(decision) == at


@given(times, entropies)
def test_another_site_does_not_know_it(at: int, entropy: bytes) -> None:
    assert OTHER.decision_time(SECRET.new_decision(at, entropy)) is None


@given(st.integers(0, 23), st.integers(1, 255))
def test_one_altered_byte_makes_it_a_forgery(index: int, flip: int) -> None:
    raw = bytearray(urlsafe_b64decode(ID))
    raw[index] ^= flip

    assert SECRET.decision_time(urlsafe_b64encode(raw).decode()) is None


@given(st.integers(0, DECISION_LENGTH - 1), st.characters(codec="utf-8"))
def test_one_altered_character_makes_it_a_forgery(index: int, character: str) -> None:
    forged = ID[:index] + character + ID[index + 1 :]

    assert (SECRET.decision_time(forged) is None) == (forged != ID)


@given(st.integers(0, DECISION_LENGTH - 1))
def test_a_part_of_it_is_no_id(length: int) -> None:
    assert SECRET.decision_time(ID[:length]) is None
    assert SECRET.decision_time(ID[length + 1 :]) is None


@given(st.text())
def test_any_text_is_no_id_and_no_error(text: str) -> None:
    assert SECRET.decision_time(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID + "A",
        ID + "=",
        ID + "\n",
        " " + ID,
        "é" * DECISION_LENGTH,
        "🎬" * (DECISION_LENGTH // 4),
        "\ud800" * DECISION_LENGTH,
        "\x00" * DECISION_LENGTH,
        "=" * DECISION_LENGTH,
        "A" * DECISION_LENGTH,
        "!" * DECISION_LENGTH,
        ID[:-4] + "====",
        ID[:-1] + "=",
        ID * 1000,
    ],
    ids=lambda text: f"{text[:8]!r} of {len(text)}",
)
def test_what_nobody_issued_is_no_id(text: str) -> None:
    assert SECRET.decision_time(text) is None


def test_the_same_bytes_in_another_alphabet_are_no_id() -> None:
    # given ids with a character in which the alphabets differ
    issued = [SECRET.new_decision(NOW, bytes([n]) * DECISION_ENTROPY) for n in range(50)]
    alike = [i.replace("-", "+").replace("_", "/") for i in issued if set(i) & set("-_")]

    # then
    assert alike
    assert [SECRET.decision_time(forged) for forged in alike] == [None] * len(alike)


def test_the_keys_of_a_site_say_nothing_of_each_other() -> None:
    visitor = SECRET.pseudonym("ann")

    assert SECRET.salt != OTHER.salt
    assert visitor not in ID
    assert SECRET.salt not in urlsafe_b64decode(ID)


# -- visitors


@given(st.text(max_size=300))
def test_a_visitor_has_one_pseudonym_on_a_site_and_another_elsewhere(visitor: str) -> None:
    pseudonym = SECRET.pseudonym(visitor)

    assert len(pseudonym) == 16
    assert pseudonym.isascii()
    assert SiteSecret(bytes(range(32))).pseudonym(visitor) == pseudonym
    assert OTHER.pseudonym(visitor) != pseudonym


def test_pseudonyms_do_not_collide() -> None:
    assert len({SECRET.pseudonym(f"visitor {n}") for n in range(10_000)}) == 10_000


def test_a_visitor_named_by_a_lone_surrogate_has_a_pseudonym_too() -> None:
    assert SECRET.pseudonym("\ud800") != SECRET.pseudonym("\ud801")


# -- slots


@given(st.text(max_size=20), times, st.integers(1_000, 86_400_000))
def test_a_slot_lasts_as_long_as_it_should(visitor: str, at: int, slot_ms: int) -> None:
    slot = slot_of(visitor, at, slot_ms)

    assert slot <= at < slot + slot_ms
    assert slot_of(visitor, at + slot_ms, slot_ms) == slot + slot_ms
    assert slot_of(visitor, at + slot_ms - 1, slot_ms) in (slot, slot + slot_ms)
    assert slot_of(visitor, slot, slot_ms) == slot_of(visitor, slot + slot_ms - 1, slot_ms) == slot


def test_a_visitor_changes_slot_exactly_once_in_the_length_of_one() -> None:
    slots = [slot_of("ann", NOW + n, 1_000) for n in range(1_000)]

    assert slots == sorted(slots)
    assert slots[-1] - slots[0] == 1_000 * (len(set(slots)) - 1)
    assert len(set(slots)) in (1, 2)


def test_the_slots_of_visitors_do_not_all_begin_at_once() -> None:
    begins = {
        next(n for n in range(1, 101) if slot_of(v, NOW + n, 100) > slot_of(v, NOW + n - 1, 100))
        for v in map(str, range(300))
    }

    assert len(begins) > 80
