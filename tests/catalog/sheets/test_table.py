"""Bytes to cells: encodings, delimiters, line breaks, and what is no table."""

from __future__ import annotations

import time

import pytest

from bandit_service.catalog.sheets import table as module
from bandit_service.catalog.sheets.columns import ALIASES, COLUMNS, columns_of
from bandit_service.catalog.sheets.problems import MAX_PROBLEMS, Problems
from bandit_service.catalog.sheets.table import MAX_ROWS, read_table
from bandit_service.errors import InvalidInput, PayloadTooLarge

PLAIN = "placement,variant,headline\r\nfilm,a,Frühling 5 €\r\n"


def cells(data: bytes) -> list[tuple[int, list[str]]]:
    problems = Problems()
    found = list(read_table(data).rows(problems))
    assert problems.count == 0
    return found


# -- encodings


@pytest.mark.parametrize(
    ("codec", "named"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_a_file_is_read_in_the_encoding_that_it_has_which_is_said(codec: str, named: str) -> None:
    data = PLAIN.encode(codec)

    assert read_table(data).encoding == named
    assert cells(data) == [(2, ["film", "a", "Frühling 5 €"])]


def test_utf_16_of_either_order_says_so_by_its_mark() -> None:
    for mark, codec in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        assert cells(mark + PLAIN.encode(codec)) == cells(PLAIN.encode())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04rest of a workbook", "workbook"),
        (b"\xd0\xcf\x11\xe0rest of an old one", "workbook"),
        (b"placement,variant\nfilm,\x81\x8d\n", "no text"),
        (b"placement,variant\nfilm,\x00\n", "no text"),
        (b"\xef\xbb\xbfplacement,variant\nfilm,\xff\n", "no text"),
        (b"\xff\xfep\x00l", "no text"),
        (b"", "names no column"),
        (b"\n\n", "names no column"),
        (b"film,a,A kiss\n", "names no column"),
        (bytes(range(1, 256)), "no text"),
    ],
)
def test_what_is_no_table_is_refused_with_a_remedy(data: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        read_table(data)

    assert caught.value.field == "file"
    assert caught.value.hint


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(PayloadTooLarge, match=r"MB"):
        read_table(b"x" * (module.MAX_BYTES + 1))


# -- delimiters and rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_is_divided_by_what_divides_its_header(delimiter: str) -> None:
    text = PLAIN.replace(",", delimiter) + delimiter.join(("film", "b", '"one, two; three\tfour"'))

    found = read_table(text.encode())

    assert found.delimiter == delimiter
    assert cells(text.encode())[1] == (3, ["film", "b", "one, two; three\tfour"])


def test_excels_word_on_the_delimiter_is_no_row() -> None:
    assert cells(b"sep=;\r\nplacement;variant\r\nfilm;a\r\n") == [(2, ["film", "a"])]


def test_rows_are_numbered_as_spreadsheets_do() -> None:
    # given line breaks within cells, and blank rows
    text = 'placement,variant,headline\n"film",a,"two\r\nlines"\n\n,,\nfilm,b,"say ""hi"""\n'

    assert cells(text.encode()) == [
        (2, ["film", "a", "two\r\nlines"]),
        (5, ["film", "b", 'say "hi"']),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(ending: str) -> None:
    assert len(cells(f"placement,variant{ending}film,a{ending}film,b".encode())) == 2


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ('film,a,"never ends\nfilm,b,B\n', 2, "cannot be read"),
        ('film,a,A\nfilm,b,"B"x\nfilm,c,C\n', 3, "cannot be read"),
        ("film,a," + "x" * 200_000 + "\n", 2, "131,072"),
    ],
)
def test_a_file_that_cannot_be_read_on_says_from_which_row(text: str, row: int, said: str) -> None:
    problems = Problems()
    list(read_table(f"placement,variant,headline\n{text}".encode()).rows(problems))

    (problem,) = problems.listed
    assert problem.row == row
    assert said in problem.message
    assert "quotation mark" in (problem.hint or "")


def test_a_hundred_thousand_rows_are_refused_soon_and_clearly() -> None:
    data = b"placement,variant,headline\n" + b"film,a,A headline\n" * 100_000
    started = time.process_time()

    with pytest.raises(PayloadTooLarge, match="more than 50,000 rows") as refused:
        read_table(data)

    assert refused.value.field == "file"
    assert time.process_time() - started < 2
    assert sum(1 for _ in read_table(data[: len(data) // 2]).rows(Problems())) <= MAX_ROWS


# -- columns


def test_a_header_is_known_in_any_case_and_by_other_names() -> None:
    header = ["PLACEMENT id", " Creative ", "Image-URL", "Live from", "ends", "Alt  Text"]
    problems = Problems()

    found = columns_of(header, problems)

    assert problems.count == 0
    assert found == {
        "placement": 0, "variant": 1, "image_url": 2, "from": 3, "until": 4, "alt": 5,
    }  # fmt: skip


def test_no_name_means_two_columns() -> None:
    names = [name for column in COLUMNS for name in (column, *ALIASES[column])]

    assert len(names) == len(set(names))


def test_what_is_wrong_with_a_header_is_told_by_column() -> None:
    problems = Problems()

    columns_of(["placement", "Spot", "headlin", ""], problems)

    assert [(p.row, p.column) for p in problems.listed] == [
        (1, "Spot"),
        (1, "headlin"),
        (1, "variant"),
    ]


def test_of_very_many_problems_the_first_are_listed_and_all_counted() -> None:
    problems = Problems()
    for row in range(MAX_PROBLEMS + 5):
        problems.add(row, None, "wrong", None)

    assert (len(problems.listed), problems.count) == (MAX_PROBLEMS, MAX_PROBLEMS + 5)
