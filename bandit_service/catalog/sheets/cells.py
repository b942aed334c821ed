"""What is in a cell: text to values and back.

A cell that looks like a formula is text, here and everywhere. Spreadsheets do not think so: a file
of ours that they open could make them fetch an address or run a program (CSV injection). So where a
text begins like a formula, an export puts an apostrophe before it, and an import takes one away
from before it: a text that begins with apostrophes and then like a formula comes back as it was.
The same is done within a text behind what may end a cell: a spreadsheet that divides cells by
semicolons, as many countries' do, divides a file of ours there, quoted or not.

Times without an offset are of the time zone that the importer names. A date alone means its whole
day: from its beginning, until its end.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

_BEGIN: Final = r'(\A|[;\t\r\n]"*)'
"""Where a cell may begin, for a spreadsheet that divides by what it likes."""
_SIGN: Final = "(?='*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
"""How a formula may begin, also with the wide signs that some spreadsheets take."""
_FORMULA: Final = re.compile(_BEGIN + _SIGN)
_GUARDED: Final = re.compile(_BEGIN + "'" + _SIGN)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[ Tt]\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?\s*([Zz]|[+-]\d{2}:?\d{2})?"
)
_SHARE: Final = re.compile(r"(\d+(?:[.,]\d+)?(?:[eE]-?\d+)?)\s*(%?)")


def guarded(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula, nor any part of it."""
    return _FORMULA.sub(r"\1'", text)


def unguarded(cell: str) -> str:
    """The text that ``guarded`` made a cell of."""
    return _GUARDED.sub(r"\1", cell)


def read_tags(cell: str) -> list[str]:
    """Tags between commas or semicolons; one that holds either stands in quotation marks.

    Raises:
        ValueError: if quotation marks do not match.
    """
    delimiter = ";" if ";" in _unquoted(cell) and "," not in _unquoted(cell) else ","
    line = io.StringIO(cell, newline="")
    try:
        rows = list(csv.reader(line, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as exc:
        raise ValueError(str(exc)) from exc
    return [tag.strip() for row in rows for tag in row if tag.strip()]


def write_tags(tags: tuple[str, ...]) -> str:
    """The cell that ``read_tags`` reads."""
    return ", ".join(_quoted(tag) if re.search('[,;"\r\n]', tag) else tag for tag in tags)


def read_share(cell: str) -> float:
    """A share such as ``0.25``, ``0,25`` or ``25 %``.

    Raises:
        ValueError: if it is none.
    """
    found = _SHARE.fullmatch(cell)
    if found is None:
        raise ValueError
    number = float(found[1].replace(",", "."))
    return number / 100 if found[2] else number


def read_moment(cell: str, zone: tzinfo, *, end: bool) -> datetime:
    """A moment; ``end`` says that a date alone means the end of its day.

    Raises:
        ValueError: if it is none.
    """
    if _DAY.fullmatch(cell):
        day = datetime.fromisoformat(cell).date()
        try:
            return datetime.combine(day + timedelta(days=int(end)), time(), zone)
        except OverflowError as exc:
            raise ValueError from exc
    if not _MOMENT.fullmatch(cell):
        raise ValueError
    padded = re.sub(r"(?<=[ Tt])(?=\d:)", "0", cell)
    moment = datetime.fromisoformat(re.sub(r"\s+(?=[Zz+-])", "", padded).upper())
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def write_moment(moment: datetime | None) -> str:
    """The cell that ``read_moment`` reads, in UTC."""
    return "" if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _unquoted(cell: str) -> str:
    return re.sub('"[^"]*"', "", cell)


def _quoted(tag: str) -> str:
    return '"' + tag.replace('"', '""') + '"'
