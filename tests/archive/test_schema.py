from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.archive.schema import (
    DERIVED,
    LOG_HELP,
    METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
    LogRow,
    digest_of,
    rows_of,
    table_of,
)
from bandit_service.events.entries import Decision, Event, Position, Tick, decode, encode
from tests.world import busy_world

ROWS = busy_world(60).rows()

positions = st.lists(
    st.builds(Position, st.integers(0, 2**41), st.integers(0, 2**31)), unique=True
).map(sorted)


@given(positions, st.randoms(use_true_random=False))
def test_whatever_the_log_holds_comes_back_to_the_byte(places: list[Position], rng: object) -> None:
    entries = [rng.randbytes(rng.randrange(200)) for _ in places]  # type: ignore[attr-defined]
    rows = list(zip(places, entries, strict=True))

    assert rows_of(table_of("main", rows)) == rows


def test_a_real_log_comes_back_to_the_byte_with_every_derived_column_filled_somewhere() -> None:
    table = table_of("main", ROWS)

    assert rows_of(table) == ROWS
    assert table.schema.equals(SCHEMA)
    empty = {name for name in SCHEMA.names if table.column(name).null_count == table.num_rows}
    assert empty == {"value", "event_id"}  # its visitors send neither


def test_the_columns_of_a_decision_say_what_its_entry_says() -> None:
    rows = [row for row in ROWS if isinstance(decode(row[1]), Decision)]
    told = table_of("main", rows).to_pylist()

    for (position, data), row in zip(rows, told, strict=True):
        decision = decode(data)
        assert isinstance(decision, Decision)
        assert (row["ms"], row["seq"]) == position
        assert (row["kind"], row["decision"]) == ("decision", decision.id)
        assert row["propensity"] == decision.propensity
        assert row["probabilities"] == decision.probabilities
        assert (row["arm"], row["arms"]) == (decision.arm, decision.arms)
        assert dict(row["context"]) == decision.context
        assert dict(row["traits"]) == decision.traits
        assert row["visitor"] == decision.visitor
        assert round(row["at"].timestamp() * 1000) == decision.at
        assert row["received"] is row["type"] is None


def test_the_columns_of_an_event_say_what_its_entry_says() -> None:
    event = Event(
        decision="d", type="watch", at=1, received=2_000, value=0.25, id="x", flags=["unknown_type"]
    )
    (row,) = table_of("main", [(Position(5, 0), encode(event))]).to_pylist()

    assert (row["kind"], row["decision"], row["type"]) == ("event", "d", "watch")
    assert (row["value"], row["event_id"], row["flags"]) == (0.25, "x", ["unknown_type"])
    assert row["received"].timestamp() == 2.0
    assert row["arms"] is row["holdout"] is row["visitor"] is None


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b'{"t":"later","x":1}', b'{"t":"event"}'])
def test_an_entry_that_cannot_be_read_is_kept_and_says_nothing(data: bytes) -> None:
    table = table_of("main", [(Position(5, 0), data)])

    assert rows_of(table) == [(Position(5, 0), data)]
    (row,) = table.to_pylist()
    assert [row[column.name] for column in DERIVED] == [None] * len(DERIVED)


@pytest.mark.parametrize("at", [-1, 10**17, 2**70])
def test_a_time_that_no_tool_can_hold_is_null_and_kept_in_the_entry(at: int) -> None:
    data = msgspec.json.encode({"t": "tick", "at": at})

    table = table_of("main", [(Position(5, 0), data)])

    assert table.to_pylist()[0]["at"] is None
    assert rows_of(table)[0][1] == data


def test_an_index_outside_of_the_candidates_is_null() -> None:
    (position, data) = next(row for row in ROWS if isinstance(decode(row[1]), Decision))
    odd = msgspec.json.decode(data) | {"chosen": -1}

    (row,) = table_of("main", [(position, msgspec.json.encode(odd))]).to_pylist()

    assert row["chosen"] is row["arm"] is row["propensity"] is None


def test_a_table_names_its_site_and_the_version_of_its_schema() -> None:
    said = msgspec.json.decode(table_of("shop", ROWS[:2]).schema.metadata[METADATA_KEY])

    assert said == {"schema": SCHEMA_VERSION, "site": "shop"}


def test_the_digest_tells_every_change_of_place_order_and_bytes() -> None:
    a, b = (Position(1, 0), b"ab"), (Position(2, 0), b"c")
    moved: list[list[LogRow]] = [
        [a, b],
        [b, a],
        [a],
        [],
        [(Position(1, 0), b"a"), (Position(2, 0), b"bc")],
        [(Position(1, 1), b"ab"), b],
    ]

    assert len({digest_of(rows) for rows in moved}) == len(moved)


def test_every_column_says_what_it_is() -> None:
    told = {column.name: column.help for column in DERIVED} | LOG_HELP

    assert sorted(told) == sorted(SCHEMA.names)
    assert all(told.values())


@pytest.mark.parametrize("name", SCHEMA.names)
def test_every_column_is_documented(name: str) -> None:
    told = {column.name: column.help for column in DERIVED} | LOG_HELP
    told_of = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [line for line in told_of.splitlines() if line.startswith(f"| `{name}` | ")]

    assert any(line.endswith(f"| {told[name]} |") for line in rows)


def test_the_smallest_entry_is_a_row_too() -> None:
    (row,) = table_of("main", [(Position(5, 0), encode(Tick(at=5)))]).to_pylist()

    assert row["kind"] == "tick"


def test_the_schema_has_not_changed_without_its_version() -> None:
    assert SCHEMA_VERSION == 1
    assert [str(SCHEMA.field(n).type) for n in ("ms", "logged", "arms", "context", "entry")] == [
        "int64",
        "timestamp[ms, tz=UTC]",
        "list<item: string>",
        "map<string, string>",
        "binary",
    ]
    assert pa.types.is_map(SCHEMA.field("traits").type)
    assert len(SCHEMA.names) == 31
