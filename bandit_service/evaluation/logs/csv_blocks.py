"""CSV cut into blocks of whole records, each of which knows its lines.

Records end at line breaks outside of quotes, as RFC 4180 has it: a quote within a value is written
twice, so the quotes of whole records pair up.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from bandit_service.errors import LogError
from bandit_service.evaluation.batch import Whole
from bandit_service.evaluation.logs.files import LONGEST_LINE, reading

BLOCK: Final = 4 * 1_048_576
"""Bytes of a block, if no record is longer."""


class Block(NamedTuple):
    """Whole records, and the line of the first."""

    line: int
    data: bytes


def header_of(path: Path, file: BinaryIO, delimiter: str) -> tuple[list[str], int]:
    """The names of the columns, and the line after them.

    Raises:
        LogError: if they cannot be read.
    """
    data, line = b"", 1
    while not data.strip() or data.count(b'"') % 2:
        with reading(path, after=line - 1):
            more = file.readline(LONGEST_LINE)
        if not more:
            break
        line += 1
        data = data + more if data.strip() else more
    try:
        names = next(csv.reader([data.decode("utf-8-sig")], delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error) as exc:
        raise LogError(
            f"{path}:1 is not the header of a table: {exc}", hint="is it CSV, in UTF-8?"
        ) from exc
    return [name.strip() for name in names], line


def blocks_of(path: Path, file: BinaryIO, line: int) -> Iterator[Block]:
    """All records, from a line on.

    Raises:
        LogError: if the file cannot be read, or a quote never ends.
    """
    rest = b""
    while True:
        with reading(path, after=line):
            more = file.read(BLOCK)
        data = rest + more
        cut = _last_record_end(data) if more else len(data)
        if cut:
            yield Block(line, data[:cut])
            line += data.count(b"\n", 0, cut)
        rest = data[cut:]
        if not more:
            return
        if len(rest) > LONGEST_LINE:
            raise LogError(
                f"{path}:{line} has a quote that does not end", hint='write a quote as ""'
            )


def _last_record_end(data: bytes) -> int:
    """Behind the last line break that is not within quotes; 0 where there is none."""
    end = len(data)
    odd = data.count(b'"') % 2
    while True:
        start = data.rfind(b"\n", 0, end) + 1
        odd ^= data.count(b'"', start, end) % 2
        if not start or not odd:
            return start
        end = start - 1


def record_lines(path: Path, block: Block, rows: int) -> Whole:
    """The line of each of the ``rows`` records of a block.

    Raises:
        LogError: if it does not have so many.
    """
    data = block.data
    if data.count(b"\n") + (not data.endswith(b"\n")) == rows:
        return np.arange(block.line, block.line + rows, dtype=np.int64)
    starts, odd = [], 0
    for number, line in enumerate(data.split(b"\n"), block.line):
        if not odd and line.strip(b"\r"):
            starts.append(number)
        odd ^= line.count(b'"') % 2
    if len(starts) != rows:
        raise LogError(
            f"{path}, from line {block.line}, has quotes that do not pair up",
            hint='put values with quotes, delimiters or line breaks in quotes, and write " as ""',
        )
    return np.array(starts, np.int64)


def check_text(path: Path, block: Block) -> None:
    """Refuse what is not UTF-8.

    Raises:
        LogError: naming the line.
    """
    try:
        block.data.decode()
    except UnicodeDecodeError as exc:
        line = block.line + block.data.count(b"\n", 0, exc.start)
        raise LogError(
            f"{path}:{line} cannot be read: {exc.reason} for UTF-8",
            hint="is it text? save it as CSV in UTF-8",
        ) from exc
