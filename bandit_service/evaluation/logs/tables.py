"""Tables of others, CSV or Parquet, in chunks of columns: the gateway to pyarrow.

A chunk gives its columns as numbers and codes of numpy, converted whole; only where a value is not
what it should be is each looked at. What cannot be converted is marked, not raised: the reader of
the chunk knows whether it matters, and the chunk knows the line.

CSV is cut into blocks of whole records here, and not by pyarrow, so that every row knows its line
as an editor shows it, also after blank lines, broken rows and values with line breaks. All of it is
read as text: guessing types from a first block would read the same file differently when cut
differently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from bandit_service.archive.schema import METADATA_KEY
from bandit_service.errors import LogError
from bandit_service.evaluation.batch import Floats, Mask, Whole
from bandit_service.evaluation.logs.base import Blame, Violation
from bandit_service.evaluation.logs.csv_blocks import (
    Block,
    blocks_of,
    check_text,
    header_of,
    record_lines,
)
from bandit_service.evaluation.logs.files import PARQUET, magic, opened, reading
from bandit_service.evaluation.logs.mapping import TimeFormat

CHUNK_ROWS: Final = 16_384
"""Rows of a chunk, at most."""
_NUMBER: Final = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?$"
_MARKS: Final = (";", "\t", "|", ",")
"""What else divides columns."""
_PER_MS: Final = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FARTHEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, as far as calendars go; the beginning is 1970."""


class Coded(NamedTuple):
    """Texts as codes; a missing one is empty."""

    codes: Whole
    texts: list[str]
    """By code."""

    def at(self, row: int) -> str:
        """The text of a row."""
        return self.texts[int(self.codes[row])]


class Places(Sequence[str]):
    """Where rows are, written when they are asked for."""

    def __init__(self, file: str, numbers: Whole, join: str) -> None:
        self._file = file
        self._numbers = numbers
        self._join = join

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Places(self._file, self._numbers[index], self._join)
        return f"{self._file}{self._join}{self._numbers[index]}"

    def __len__(self) -> int:
        return len(self._numbers)


class Chunk:
    """Some rows of a table."""

    def __init__(self, path: Path, numbers: Whole, columns: dict[str, pa.Array], join: str) -> None:
        """``numbers`` are lines, or rows counted from 1; ``join`` stands before them."""
        self.numbers = numbers
        self.places = Places(str(path), numbers, join)
        self._path = path
        self._columns = columns

    def __len__(self) -> int:
        return len(self.numbers)

    def text(self, column: str) -> Coded:
        """A column as codes of texts."""
        with self._converting(column):
            return _coded(self._columns[column])

    def number(self, column: str) -> Floats:
        """A column as numbers; NaN for what is none."""
        with self._converting(column):
            return _numbers(self._columns[column])

    def time(self, column: str, form: TimeFormat) -> tuple[Whole, Mask]:
        """A column as ms since the epoch, and where it is a time at all."""
        with self._converting(column):
            ms = _times(self._columns[column], form)
        good = np.isfinite(ms) & (ms >= 0) & (ms <= _FARTHEST_MS)
        return np.where(good, ms, 0).astype(np.int64), good

    def texts(self, column: str, separator: str) -> tuple[Whole, Coded]:
        """A column of lists: how long each is, and all their texts one after another."""
        with self._converting(column):
            counts, values = _lists(self._columns[column], separator)
            return counts, _coded(values)

    def numbers_of(self, column: str, separator: str) -> tuple[Whole, Floats]:
        """The same of numbers."""
        with self._converting(column):
            counts, values = _lists(self._columns[column], separator)
            return counts, _numbers(values)

    @contextmanager
    def _converting(self, column: str) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, ValueError, TypeError) as exc:
            raise LogError(
                f"{self._path}, column {column!r}, has values of type "
                f"{self._columns[column].type}, which cannot be read: {_first_line(exc)}",
                hint="does the mapping name the right column?",
            ) from exc


def is_export(path: Path) -> bool:
    """Whether a Parquet file is one of this program's.

    Raises:
        LogError: if it is not Parquet, or damaged.
    """
    with _reading(path):
        return METADATA_KEY in (pq.read_metadata(path).metadata or {})


def chunks(
    path: Path,
    columns: dict[str, str],
    *,
    delimiter: str,
    blame: Blame,
    rows: int = CHUNK_ROWS,
) -> Iterator[Chunk]:
    """The rows of a table, so many at a time, of some columns.

    ``columns`` say which key of the mapping asks for each.

    Raises:
        LogError: if the file cannot be read or lacks a column.
    """
    if magic(path).startswith(PARQUET):
        yield from _parquet_chunks(path, columns, rows)
    else:
        yield from _csv_chunks(path, columns, delimiter, blame, rows)


def row_count(path: Path) -> int | None:
    """How many rows a table has, where it says so itself."""
    if not magic(path).startswith(PARQUET):
        return None
    with _reading(path):
        return int(pq.read_metadata(path).num_rows)


# -- Parquet


def _parquet_chunks(path: Path, columns: dict[str, str], rows: int) -> Iterator[Chunk]:
    row = 0
    with _reading(path):
        file = pq.ParquetFile(
            path, buffer_size=1_048_576, pre_buffer=False, page_checksum_verification=True
        )
    try:
        _check_columns(path, file.schema_arrow.names, columns)
        batches = file.iter_batches(rows, columns=list(columns), use_threads=False)
        while True:
            with _reading(path, after=row):
                batch = next(batches, None)
            if batch is None:
                return
            numbers = np.arange(row + 1, row + 1 + batch.num_rows, dtype=np.int64)
            row += batch.num_rows
            found = {name: batch.column(name) for name in columns}
            yield Chunk(path, numbers, found, " row ")
    finally:
        file.close(force=True)


def _check_columns(path: Path, present: Sequence[str], columns: dict[str, str]) -> None:
    for column, key in columns.items():
        if present.count(column) != 1:
            what = "has no column" if column not in present else "has more than one column"
            raise LogError(
                f"{path} {what} {column!r}, which the mapping names as `{key}`",
                hint=_present(present),
            )


def _present(names: Sequence[str]) -> str:
    """What columns there are instead, and why it may be a single one."""
    if not any(names):
        return "its first line is blank: put the names of the columns there"
    said = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    other = next((mark for mark in _MARKS if len(names) == 1 and mark in names[0]), None)
    if other is None:
        return f"its columns are {said}"
    return f"its one column is {said}: write `delimiter = {json.dumps(other)}` in the mapping"


# -- CSV


def _csv_chunks(
    path: Path, columns: dict[str, str], delimiter: str, blame: Blame, rows: int
) -> Iterator[Chunk]:
    with reading(path), opened(path) as file:
        header, line = header_of(path, file, delimiter)
        _check_columns(path, header, columns)
        for block in blocks_of(path, file, line):
            table, numbers = _parsed(path, block, header, columns, delimiter, blame)
            for start in range(0, table.num_rows, rows):
                part = table.slice(start, rows)
                found = {name: part.column(name).combine_chunks() for name in columns}
                yield Chunk(path, numbers[start : start + rows], found, ":")


def _parsed(
    path: Path,
    block: Block,
    header: list[str],
    columns: dict[str, str],
    delimiter: str,
    blame: Blame,
) -> tuple[pa.Table, Whole]:
    """The rows of a block, and their lines."""
    broken: dict[int, str] = {}
    check_text(path, block)  # pyarrow hands broken rows over as text, and cannot if they are none

    def skip(row: Any) -> str:
        broken[row.number - 1] = f"it has {row.actual_columns} columns, not {row.expected_columns}"
        return "skip"

    try:
        table = pa_csv.read_csv(
            pa.py_buffer(block.data),
            read_options=pa_csv.ReadOptions(
                column_names=header, use_threads=False, block_size=len(block.data) + 1
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(columns),
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, ValueError) as exc:
        if not block.data.strip():
            return pa.table({name: pa.array([], pa.string()) for name in columns}), np.zeros(0, int)
        raise LogError(
            f"{path}, from line {block.line}, cannot be read: {_first_line(exc)}",
            hint="is it CSV, with the columns divided as the mapping says?",
        ) from exc
    lines = record_lines(path, block, table.num_rows + len(broken))
    for row, why in sorted(broken.items()):
        blame(Violation("row_unreadable", f"{path}:{lines[row]}", why))
    return table, np.delete(lines, list(broken))


# -- values


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _coded(array: pa.Array) -> Coded:
    array = _plain(array)
    if not _is_text(array.type):
        array = array.cast(pa.string())
    encoded = pc.fill_null(array, "").dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Coded(codes, encoded.dictionary.to_pylist())


def _numbers(array: pa.Array) -> Floats:
    array = _plain(array)
    if _is_text(array.type):
        array = pc.utf8_lower(pc.utf8_trim_whitespace(array))
        array = pc.replace_substring_regex(array, "^true$", "1")
        array = pc.replace_substring_regex(array, "^false$", "0")
        numeric = pc.fill_null(pc.match_substring_regex(array, _NUMBER), False)  # noqa: FBT003
        array = pc.if_else(numeric, array, None)
    values = array.cast(pa.float64(), safe=False)
    found: Floats = pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False)
    return found


def _times(array: pa.Array, form: TimeFormat) -> Floats:
    """Ms since the epoch; NaN for what is no time."""
    array = _plain(array)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        return _stamped(array)
    if form != "iso":
        return np.floor(_numbers(array) / _PER_MS[form])
    if not _is_text(array.type):
        raise TypeError("a time in ISO 8601 is a text; for numbers, set time.format to their unit")
    array = pc.utf8_trim_whitespace(array)
    for kind in (pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
        try:
            return _stamped(array.cast(kind))
        except pa.ArrowInvalid:
            continue  # with offsets, without, or not all alike
    return np.array([_moment(text) for text in array.to_pylist()], np.float64)


def _stamped(array: pa.Array) -> Floats:
    # By way of ns, or us for what is beyond them, so that a part of a ms is cut off downwards.
    array = array.cast(pa.timestamp("us"), safe=False)
    known = pc.is_valid(array).to_numpy(zero_copy_only=False)
    us = pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return np.where(known, np.floor_divide(us, 1_000).astype(np.float64), np.nan)


def _moment(text: str | None) -> float:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return np.nan
    known = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return float((known - _EPOCH).total_seconds() * 1000 // 1)


def _lists(array: pa.Array, separator: str) -> tuple[Whole, pa.Array]:
    if _is_text(_plain(array).type):
        array = pc.utf8_trim_whitespace(_plain(array))
        array = pc.split_pattern(pc.if_else(pc.equal(array, ""), None, array), separator)
    elif pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    elif not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
        raise TypeError("neither lists nor texts")
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64), pc.list_flatten(array)


# -- errors


@contextmanager
def _reading(path: Path, after: int | None = None) -> Iterator[None]:
    where = "" if after is None else f" after row {after}"
    try:
        with reading(path):
            try:
                yield
            except OSError as exc:
                if exc.errno is None:  # pyarrow's own, of bytes that it cannot make sense of
                    raise pa.ArrowInvalid(str(exc)) from exc
                raise
    except (pa.ArrowException, ValueError, TypeError, KeyError) as exc:
        raise LogError(
            f"{path} is damaged{where}, or not Parquet: {_first_line(exc)}",
            hint="was it cut short when it was copied?",
        ) from exc


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
