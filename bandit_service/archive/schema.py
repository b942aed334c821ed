"""What a row of the archive says: the entry as it was logged, and columns made from it.

``ms``, ``seq`` and ``entry`` are the log itself, to the byte; the program reads nothing else, so a
model that is rebuilt from the archive is the model that was learned. All other columns are derived
from ``entry`` for the people who ask questions of the archive, and are null where an entry has no
such thing. An entry that this version cannot read is kept all the same: its derived columns, its
``kind`` included, are null.

The version counts changes after which older programs could not read a file, or would read it
wrongly. Rejected: only the typed columns (a float would survive, a field that a later version adds
would not), only the bytes (nobody but this program could ask anything), and text instead of bytes
for ``entry`` (what cannot be read need not be text).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from bandit_service.errors import LogError
from bandit_service.events.entries import (
    Decision,
    Entry,
    Event,
    PersonasChanged,
    PlacementChanged,
    Position,
    decode,
)

SCHEMA_VERSION: Final = 1
LogRow = tuple[Position, bytes]
"""A place in the log and the entry there, as the log has it."""

_LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, beyond which no tool keeps a time."""
_INT64: Final = 2**63


class Column(NamedTuple):
    """One column: its name, its type, what it says, and where that comes from."""

    name: str
    type: pa.DataType
    help: str
    of: Callable[[Any], Any]
    """From an entry of ``kinds``."""
    kinds: tuple[type, ...]


_TIME: Final = pa.timestamp("ms", tz="UTC")
_TEXTS: Final = pa.list_(pa.string())
_DECISION: Final = (Decision,)
_EVENT: Final = (Event,)
_CATALOG: Final = (PlacementChanged, PersonasChanged)


def _time(ms: int | None) -> int | None:
    return ms if ms is not None and 0 <= ms <= _LATEST_MS else None


def _whole(number: int | None) -> int | None:
    return number if number is not None and -_INT64 <= number < _INT64 else None


def _placement(entry: Decision | PlacementChanged) -> str:
    return entry.placement if isinstance(entry, Decision) else entry.placement.id


def _revision(entry: Decision | PlacementChanged | PersonasChanged) -> int | None:
    if isinstance(entry, Decision):
        return _whole(entry.revision)
    changed = entry.placement if isinstance(entry, PlacementChanged) else entry.personas
    return _whole(changed.revision)


def _within(entry: Decision, values: Sequence[Any]) -> Any:
    return values[entry.chosen] if 0 <= entry.chosen < len(values) else None


DERIVED: Final = (
    Column(
        "kind",
        pa.string(),
        "`decision`, `event`, `placement`, `personas` or `tick`",
        lambda e: e.__struct_config__.tag,
        (object,),
    ),
    Column(
        "at",
        _TIME,
        "when it happened, by the server or the sender",
        lambda e: _time(e.at),
        (object,),
    ),
    Column("received", _TIME, "event: when it was heard of", lambda e: _time(e.received), _EVENT),
    Column(
        "decision",
        pa.string(),
        "the decision's id; event: that of its decision",
        lambda e: e.id if isinstance(e, Decision) else e.decision,
        (Decision, Event),
    ),
    Column(
        "placement",
        pa.string(),
        "the placement's id",
        _placement,
        (Decision, PlacementChanged),
    ),
    Column(
        "revision",
        pa.int64(),
        "of the placement, or of the personas that changed; 0: candidates came inline",
        _revision,
        (Decision, *_CATALOG),
    ),
    Column("visitor", pa.string(), "the visitor's pseudonym", lambda e: e.visitor, _DECISION),
    Column(
        "persona", pa.string(), "whom the visitor was taken for", lambda e: e.persona, _DECISION
    ),
    Column("confidence", pa.float64(), "how surely, 0 to 1", lambda e: e.confidence, _DECISION),
    Column("arms", _TEXTS, "the candidates, `variant@version`", lambda e: e.arms, _DECISION),
    Column(
        "probabilities",
        pa.list_(pa.float64()),
        "of each candidate, in the same order",
        lambda e: e.probabilities,
        _DECISION,
    ),
    Column(
        "chosen",
        pa.int32(),
        "index of the one drawn, from 0",
        lambda e: e.chosen if 0 <= e.chosen < len(e.arms) else None,
        _DECISION,
    ),
    Column("arm", pa.string(), "the one drawn", lambda e: _within(e, e.arms), _DECISION),
    Column(
        "propensity",
        pa.float64(),
        "the probability of the one drawn",
        lambda e: _within(e, e.probabilities),
        _DECISION,
    ),
    Column("snapshot", pa.string(), "what chose, by name", lambda e: e.snapshot, _DECISION),
    Column("reason", pa.string(), "as `/v1/decide` answered", lambda e: e.reason, _DECISION),
    Column("holdout", pa.bool_(), "whether drawn uniformly", lambda e: e.holdout, _DECISION),
    Column(
        "slot",
        _TIME,
        "when the stretch of time began within which the choice is stable",
        lambda e: _time(e.slot),
        _DECISION,
    ),
    Column("slot_ms", pa.int64(), "how long that is, ms", lambda e: _whole(e.slot_ms), _DECISION),
    Column(
        "context",
        pa.map_(pa.string(), pa.string()),
        "the situation, as used",
        lambda e: list(e.context.items()),
        _DECISION,
    ),
    Column(
        "traits",
        pa.map_(pa.string(), _TEXTS),
        "what the site said of the visitor, as used",
        lambda e: list(e.traits.items()),
        _DECISION,
    ),
    Column("exclude", _TEXTS, "variants not to be shown", lambda e: e.exclude, _DECISION),
    Column("type", pa.string(), "event: `impression`, `click` …", lambda e: e.type, _EVENT),
    Column("value", pa.float64(), "event: its value, if it has one", lambda e: e.value, _EVENT),
    Column("event_id", pa.string(), "event: the sender's own id", lambda e: e.id, _EVENT),
    Column(
        "flags",
        _TEXTS,
        "oddities that were accepted",
        lambda e: e.flags,
        (Decision, Event),
    ),
    Column("by", pa.string(), "catalog: the key that changed it", lambda e: e.by, _CATALOG),
)
"""The columns that are made from the entry."""

LOG_COLUMNS: Final = ("ms", "seq", "entry")
"""The columns that are the log."""
SCHEMA: Final = pa.schema(
    [
        pa.field("ms", pa.int64(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("logged", _TIME, nullable=False),
        *(pa.field(column.name, column.type) for column in DERIVED),
        pa.field("entry", pa.binary(), nullable=False),
    ]
)
LOG_HELP: Final = {
    "ms": "place in the log: ms of the log's own clock, UTC",
    "seq": "and a sequence within them",
    "logged": "`ms` as a time",
    "entry": "the entry as logged, the bytes of its JSON",
}
"""What the columns say that are not derived; the help of the others is in DERIVED."""


class Group(msgspec.Struct, frozen=True):
    """A row group: how many rows, where the last of them stands in the log, and their digest."""

    rows: int
    last: str
    digest: str


class SegmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of itself, under the key METADATA_KEY of its metadata, in JSON.

    It holds every entry of the log after ``after`` and up to ``last``, but for what was taken out.
    """

    schema: int
    site: str
    after: str
    last: str
    first: str | None
    """Where its first row stands in the log; None if it has no row."""
    rows: int
    groups: list[Group]
    missing: list[str] = []
    """Why entries of this stretch are not here: ``retention``, ``lost``. A visitor who was
    forgotten leaves no trace, so nothing is said of it."""


METADATA_KEY: Final = b"bandit-service"


def table_of(site: str, rows: Sequence[LogRow]) -> pa.Table:
    """Rows of the log as a table of this schema, which names the site."""
    entries = [_entry(data) for _, data in rows]
    arrays = {
        "ms": pa.array([position.ms for position, _ in rows], pa.int64()),
        "seq": pa.array([position.seq for position, _ in rows], pa.int64()),
        "logged": pa.array([position.ms for position, _ in rows], _TIME),
        "entry": pa.array([data for _, data in rows], pa.binary()),
    }
    for column in DERIVED:
        arrays[column.name] = pa.array([_value(column, entry) for entry in entries], column.type)
    metadata = {METADATA_KEY: msgspec.json.encode({"schema": SCHEMA_VERSION, "site": site})}
    return pa.table([arrays[name] for name in SCHEMA.names], SCHEMA.with_metadata(metadata))


def rows_of(table: pa.Table) -> list[LogRow]:
    """The rows of the log that a table holds, of which LOG_COLUMNS are enough."""
    columns = (table.column(name).to_pylist() for name in LOG_COLUMNS)
    return [(Position(ms, seq), data) for ms, seq, data in zip(*columns, strict=True)]


def digest_of(rows: Iterable[LogRow]) -> str:
    """A digest over positions and entries, in order; 32 hexadecimal digits."""
    digest = blake2b(digest_size=16)
    for (ms, seq), data in rows:
        digest.update(b"%d-%d %d " % (ms, seq, len(data)))
        digest.update(data)
    return digest.hexdigest()


def _entry(data: bytes) -> Entry | None:
    try:
        return decode(data)
    except LogError:
        return None


def _value(column: Column, entry: Entry | None) -> Any:
    return column.of(entry) if entry is not None and isinstance(entry, column.kinds) else None
