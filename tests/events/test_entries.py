"""What is written into the log is what is read from it; what cannot be read says so."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_service.catalog.model import Persona, Personas, Placement, Rule, Variant
from bandit_service.errors import LogError
from bandit_service.events.entries import (
    START,
    Decision,
    Entry,
    Event,
    PersonasChanged,
    PlacementChanged,
    Position,
    Tick,
    decode,
    encode,
    unit_of,
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
huge = st.integers(-(10**300), 10**300)
texts = st.text(max_size=20) | st.sampled_from(
    ["\x00", "\n", "\u2028", '"}', "\\", "a|b:c d", "🎬"]
)
scalars = texts | st.booleans() | whole | huge | numbers
names = st.none() | texts
variants = st.builds(
    Variant,
    id=texts,
    version=st.integers(0, 2**32),
    headline=names,
    image_url=names,
    alt=names,
    target_url=names,
    tags=st.lists(texts, max_size=3).map(tuple),
    attributes=st.dictionaries(texts, scalars, max_size=3),
    status=st.sampled_from(["draft", "live", "paused", "retired"]),
    min_share=numbers,
    max_share=numbers,
)
placements = st.builds(
    Placement,
    id=texts,
    revision=whole,
    kind=st.sampled_from(["thumbnail", "headline", "card"]),
    name=texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    retired=st.booleans(),
    variants=st.lists(variants, max_size=2).map(tuple),
)
rules = st.builds(
    Rule,
    trait=texts,
    weight=numbers,
    any=st.none() | st.lists(scalars, max_size=3).map(tuple),
    tagged=st.none() | st.lists(texts, max_size=3).map(tuple),
    at_least=st.none() | numbers,
    at_most=st.none() | numbers,
)
personas = st.builds(
    Personas,
    revision=whole,
    threshold=numbers,
    prior_weight=numbers,
    personas=st.lists(
        st.builds(
            Persona,
            id=texts,
            name=texts,
            description=texts,
            rules=st.lists(rules, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)
decisions = st.builds(
    Decision,
    id=texts,
    at=whole,
    placement=texts,
    revision=whole,
    arms=st.lists(texts, min_size=1, max_size=4),
    probabilities=st.lists(numbers, min_size=1, max_size=4),
    chosen=st.just(0),
    snapshot=texts,
    reason=st.sampled_from(["learned", "explored", "sticky", "holdout", "fallback", "only"]),
    persona=texts,
    confidence=numbers,
    visitor=names,
    slot=st.none() | whole,
    holdout=st.booleans(),
    context=st.dictionaries(texts, texts, max_size=3),
    traits=st.dictionaries(texts, st.lists(texts, max_size=3), max_size=3),
    exclude=st.lists(texts, max_size=3),
    inline=st.none() | st.lists(variants, max_size=2),
    slot_ms=whole,
    flags=st.lists(texts, max_size=2),
)
events = st.builds(
    Event,
    decision=texts,
    type=texts,
    at=whole,
    received=whole,
    value=st.none() | numbers,
    id=names,
    flags=st.lists(texts, max_size=2),
)
entries = st.one_of(
    decisions,
    events,
    st.builds(PlacementChanged, placement=placements, at=whole, by=texts),
    st.builds(PersonasChanged, personas=personas, at=whole, by=texts),
    st.builds(Tick, at=whole),
)

DECISION = Decision(
    id="d",
    at=1,
    placement="film",
    revision=1,
    arms=["a@1", "b@2"],
    probabilities=[0.1, 0.9],
    chosen=1,
    snapshot="s",
    reason="learned",
    persona="unknown",
    confidence=0.0,
)


def exactly(value: Any) -> Any:
    """The value with floats as their bits, and everything beside its type."""
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return type(value), exactly(fields)
    if isinstance(value, dict):
        return {key: exactly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [exactly(item) for item in value]
    return type(value), struct.pack(">d", value) if isinstance(value, float) else value


@given(entries)
def test_an_entry_comes_back_as_it_was_written_floats_to_the_bit(entry: Entry) -> None:
    assert exactly(decode(encode(entry))) == exactly(entry)


@given(entries)
def test_an_entry_is_one_line_of_json_that_names_its_kind(entry: Entry) -> None:
    data = encode(entry)

    assert b"\n" not in data
    assert msgspec.json.decode(data)["t"] in ("decision", "event", "placement", "personas", "tick")


def read_again(data: bytes) -> None:
    """Bytes are no entry, and say so, or one that survives being written and read."""
    try:
        entry = decode(data)
    except LogError:
        return
    assert exactly(decode(encode(entry))) == exactly(entry)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_a_log_error(data: bytes) -> None:
    read_again(data)


DAMAGE = st.sampled_from(
    [
        *(b"", b"\x00", b"\xff", b"\\ud800", b'"', b"{", b"}", b"[", b",", b":", b"null", b"true"),
        *(b"-0.0", b"1e999", b"1e-400", b"9" * 40, b"9" * 5_000, b"0.1", b"[" * 2_000, b'{"t":'),
    ]
)


@given(entries, st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 9), DAMAGE), max_size=3))
@settings(max_examples=300)
def test_a_damaged_entry_is_another_entry_or_a_log_error(
    entry: Entry, damages: list[tuple[int, int, bytes]]
) -> None:
    data = encode(entry)
    for at, length, piece in damages:
        start = at % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]

    read_again(data)


@pytest.mark.parametrize(
    "probability", [5e-324, 2.2250738585072014e-308, 0.1, 1 / 3, 1 - 2**-53, 1.0]
)
def test_a_propensity_is_never_rounded(probability: float) -> None:
    written = msgspec.structs.replace(DECISION, probabilities=[0.0, probability])

    read = decode(encode(written))

    assert isinstance(read, Decision)
    assert struct.pack(">d", read.propensity) == struct.pack(">d", probability)


@pytest.mark.parametrize("text", ["", "\x00", "\n\r\t", '"\\', "é", "🎬", "\u2028", "\uffff", "ﷺ"])
def test_any_text_survives(text: str) -> None:
    read = decode(encode(Event(decision=text, type=text, at=0, received=0, id=text)))

    assert read == Event(decision=text, type=text, at=0, received=0, id=text)


def test_a_lone_surrogate_is_refused_rather_than_garbled() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode(Event(decision="\ud800", type="click", at=0, received=0))


def test_fields_of_a_newer_version_are_passed_over() -> None:
    assert decode(b'{"t":"tick","at":5,"mood":"new"}') == Tick(at=5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"{",
        b"[]",
        b"null",
        b'"tick"',
        b"{}",
        b'{"at":5}',
        b'{"t":"tock","at":5}',
        b'{"t":5,"at":5}',
        b'{"t":"tick"}',
        b'{"t":"tick","at":"5"}',
        b'{"t":"tick","at":5.5}',
        b'{"t":"tick","at":5}{}',
        encode(DECISION)[:-1],
        encode(DECISION).replace(b'"learned"', b'"guessed"'),
        encode(DECISION).replace(b"0.9", b"NaN"),
        encode(DECISION).replace(b"0.9", b"null"),
        encode(DECISION).replace(b"0.9", b"1e999"),
        b'{"t":"event","decision":"\\ud800","type":"click","at":1,"received":1}',
    ],
)
def test_what_is_no_entry_is_a_log_error_that_says_what_to_do(data: bytes) -> None:
    with pytest.raises(LogError) as caught:
        decode(data)

    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b'{"t":"event","decision":"\xff","type":"click","at":1,"received":1}',
        b'{"t":"tick","x":' + b"[" * 100_000 + b"]" * 100_000 + b',"at":1}',
    ],
    ids=["not UTF-8", "nested too deeply"],
)
def test_what_json_itself_cannot_carry_is_a_log_error_too(data: bytes) -> None:
    with pytest.raises(LogError):
        decode(data)


# -- what a decision says of itself


def test_a_decision_knows_its_arm_and_its_propensity() -> None:
    assert (DECISION.arm, DECISION.propensity) == ("b@2", 0.9)


def test_the_unit_of_a_decision_is_the_visitors_slot_or_the_decision_alone() -> None:
    of_visitor = msgspec.structs.replace(DECISION, visitor="v", slot=3)

    assert DECISION.unit == "d"
    assert of_visitor.unit == unit_of("v", "film", 3) == "v|film|3"


# -- positions


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_a_position_is_read_as_it_is_shown(ms: int, seq: int) -> None:
    assert Position.parse(str(Position(ms, seq))) == (ms, seq)


def test_positions_are_ordered_by_time_and_then_by_sequence() -> None:
    shuffled = [Position(10, 0), Position(9, 11), Position(9, 2), START]

    assert sorted(shuffled) == [START, Position(9, 2), Position(9, 11), Position(10, 0)]


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-b", "1-2-3", "1_2", "1.5-0"])
def test_what_is_no_position_is_a_log_error(text: str) -> None:
    with pytest.raises(LogError, match="position"):
        Position.parse(text)
