"""From the bytes of a CSV file to its cells, as text.

*Encoding.* A byte order mark decides; else it is UTF-8 if it can be, else Windows-1252, which is
what western Excel writes. Which of them it was is said, so that a person can see a wrong guess in
the preview. Guessing among more (``charset-normalizer``) was rejected: two code pages differ in a
few letters, and a short text does not tell them apart.

*Delimiter.* Comma, semicolon or tab: the one with which the first row names the most columns that
are known. ``csv.Sniffer`` was rejected: it counts characters, and headlines are full of commas.

*Rows* are numbered as spreadsheets do, line breaks within quotation marks notwithstanding. A file
is read row by row; one of more than MAX_ROWS is refused before any row is looked at.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from bandit_service.catalog.sheets.columns import COLUMNS, column_of
from bandit_service.catalog.sheets.problems import Problems
from bandit_service.errors import InvalidInput, PayloadTooLarge

MAX_BYTES: Final = 20 * 1_048_576
"""Largest file, in bytes."""
MAX_ROWS: Final = 50_000
"""Most rows beside the header: 500 placements of 100 variants."""
DELIMITERS: Final = (",", ";", "\t")
_SAVE: Final = "save it as 'CSV UTF-8'"
_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8"),
    (b"\xff\xfe", "utf-16", "UTF-16"),
    (b"\xfe\xff", "utf-16", "UTF-16"),
)
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_PATTERN_BYTES: Final = 200
"""How many of the first bytes tell whether text has two bytes a character."""


class Table(NamedTuple):
    """A file as text, its header, and how it was understood."""

    header: list[str]
    encoding: str
    """``UTF-8``, ``UTF-16`` or ``Windows-1252``."""
    delimiter: str
    text: str

    def rows(self, problems: Problems) -> Iterator[tuple[int, list[str]]]:
        """Each row with its number; blank ones are left out.

        It ends where the file cannot be read on, which is added to ``problems``.
        """
        reader = _reader(self.text, self.delimiter)
        next(reader)
        number = 1
        while True:
            number += 1
            try:
                cells = next(reader, None)
            except csv.Error as exc:
                problems.add(number, None, *_unreadable(exc))
                return
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield number, cells


def read_table(data: bytes) -> Table:
    """The table in a file.

    Raises:
        PayloadTooLarge: if the file is over MAX_BYTES, or has more than MAX_ROWS.
        InvalidInput: if it is no text, or its first row names no column.
    """
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge(
            f"the file has {len(data) / 1_048_576:.1f} MB",
            field="file",
            hint=f"at most {MAX_BYTES // 1_048_576} MB: split it",
        )
    text, encoding = _decoded(data)
    if text[:4].casefold() == "sep=":
        text = text.partition("\n")[2]
    header, delimiter = _header(text)
    _check_length(text, delimiter)
    return Table(header, encoding, delimiter, text)


def _check_length(text: str, delimiter: str) -> None:
    """Raise PayloadTooLarge if there are too many rows, as far as they can be read."""
    with suppress(csv.Error):
        reader = islice(_reader(text, delimiter), MAX_ROWS + 2)
        if sum(1 for _ in reader) > MAX_ROWS + 1:
            raise PayloadTooLarge(
                f"the file has more than {MAX_ROWS:,} rows",
                field="file",
                hint="split it; placements that a file does not name stay as they are",
            )


def _decoded(data: bytes) -> tuple[str, str]:
    if data.startswith(_WORKBOOKS):
        raise InvalidInput("this is a workbook, not a CSV file", field="file", hint=_SAVE)
    tried = [(codec, name) for bom, codec, name in _BOMS if data.startswith(bom)]
    for codec, name in tried or _likely(data):
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text, name
    raise InvalidInput("this is no text in UTF-8, UTF-16 or Windows-1252", field="file", hint=_SAVE)


def _likely(data: bytes) -> list[tuple[str, str]]:
    """What text without a byte order mark may be, the likeliest first."""
    head = data[:_PATTERN_BYTES]
    for codec, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) * 2 > len(zeros) > 0:
            return [(codec, "UTF-16")]
    return [("utf-8", "UTF-8"), ("cp1252", "Windows-1252")]


def _header(text: str) -> tuple[list[str], str]:
    """The first row, and the delimiter with which it names the most columns."""
    best: list[str] = []
    chosen, most = ",", 0
    for delimiter in DELIMITERS:
        try:
            names = next(_reader(text, delimiter), [])
        except csv.Error:
            continue
        known = sum(column_of(name) is not None for name in names)
        if known > most:
            best, chosen, most = names, delimiter, known
    if not most:
        raise InvalidInput(
            "the first row names no column that is known",
            field="file",
            hint=f"begin with a row of names: {', '.join(COLUMNS)}",
        )
    return best, chosen


def _reader(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _unreadable(error: csv.Error) -> tuple[str, str]:
    if "field limit" in str(error):
        said = f"a cell is longer than {csv.field_size_limit():,} characters"
    else:
        said = f"the file cannot be read from here on: {error}"
    return said, "is a quotation mark missing, or one too many? within a cell, write it twice"
