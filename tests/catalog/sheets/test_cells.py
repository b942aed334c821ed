"""What is in a cell, and that nothing of it is ever run."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.catalog.moments import moment_of, ms_of
from bandit_service.catalog.sheets.cells import (
    guarded,
    read_moment,
    read_share,
    read_tags,
    unguarded,
    write_moment,
    write_tags,
)

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
LAST = datetime(2999, 12, 31, tzinfo=UTC)
LISBON = ZoneInfo("Europe/Lisbon")
FORMULAS = [
    '=HYPERLINK("https://evil.example","Click")',
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t1",
    "\r1",
    "\n1",
    "\uff1d1+1",
    "'=1+1",
    "''+1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_looks_like_a_formula_begins_with_an_apostrophe_and_comes_back(text: str) -> None:
    cell = guarded(text)

    assert cell == f"'{text}"
    assert unguarded(cell) == text


@pytest.mark.parametrize("text", ["", "A kiss", "'tis", "''", "1+1", "a=b", "é"])
def test_what_does_not_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text
    assert unguarded(text) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("Now;=1+1", "Now;'=1+1"),
        ('Now;"=1+1"', 'Now;"\'=1+1"'),
        ("Now\t@A1", "Now\t'@A1"),
        ("Now\n-2", "Now\n'-2"),
        ("\t=1", "'\t'=1"),
        ("Now;'=1", "Now;''=1"),
        ("Now; -50%", "Now; -50%"),
        ("52.5,-13.4", "52.5,-13.4"),
    ],
)
def test_what_follows_the_end_of_a_cell_elsewhere_is_no_formula_there(text: str, cell: str) -> None:
    assert guarded(text) == cell
    assert unguarded(cell) == text


@given(st.text(st.sampled_from("'=+-@\t\n a;\"\uff1d")))
def test_every_text_comes_back_and_no_cell_begins_like_a_formula(text: str) -> None:
    assert unguarded(guarded(text)) == text
    for row in guarded(text).splitlines():
        for part in re.split("[;\t]", row)[1:]:
            assert not part.lstrip('"').startswith(("=", "+", "-", "@", "\uff1d"))
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("", []),
        ("couple", ["couple"]),
        ("couple, warm", ["couple", "warm"]),
        ("couple;warm ; ", ["couple", "warm"]),
        ('couple, "warm, soft"', ["couple", "warm, soft"]),
        ('"a; b", c', ["a; b", "c"]),
        ('"say ""hi"""', ['say "hi"']),
        ("a|b:c", ["a|b:c"]),
    ],
)
def test_tags_stand_between_commas_or_semicolons(cell: str, tags: list[str]) -> None:
    assert read_tags(cell) == tags


def test_tags_with_a_quotation_mark_missing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_tags('couple, "warm')


visible = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda tag: tag == tag.strip())


@given(st.lists(visible, unique=True))
def test_every_list_of_tags_comes_back(tags: list[str]) -> None:
    tags = [tag for tag in tags if "\r" not in tag and "\n" not in tag]

    assert read_tags(write_tags(tuple(tags))) == tags


@pytest.mark.parametrize(
    ("cell", "share"),
    [("0.25", 0.25), ("0,25", 0.25), ("25%", 0.25), ("25 %", 0.25), ("1", 1.0), ("1e-09", 1e-9),
     ("12,5 %", 0.125), ("0", 0.0)],
)  # fmt: skip
def test_a_share_is_a_number_or_a_percentage(cell: str, share: float) -> None:
    assert read_share(cell) == share


@pytest.mark.parametrize("cell", ["a half", "nan", "inf", "-0.1", "1_0", "0.2.5", "%", "12 %%"])
def test_what_is_no_share_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        read_share(cell)


@pytest.mark.parametrize(
    ("cell", "end", "moment"),
    [
        ("2030-07-01", False, datetime(2030, 7, 1, 0, tzinfo=LISBON)),
        ("2030-07-01", True, datetime(2030, 7, 2, 0, tzinfo=LISBON)),
        ("2030-07-01 8:30", True, datetime(2030, 7, 1, 8, 30, tzinfo=LISBON)),
        ("2030-07-01T08:30", False, datetime(2030, 7, 1, 8, 30, tzinfo=LISBON)),
        ("2030-07-01 08:30:15.5", False, datetime(2030, 7, 1, 8, 30, 15, 500_000, tzinfo=LISBON)),
        ("2030-07-01T08:30Z", False, datetime(2030, 7, 1, 8, 30, tzinfo=UTC)),
        ("2030-07-01t08:30 z", False, datetime(2030, 7, 1, 8, 30, tzinfo=UTC)),
        (
            "2030-07-01 08:30 +02:00",
            False,
            datetime(2030, 7, 1, 8, 30, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_a_time_is_of_the_zone_that_is_named_unless_it_has_an_offset(
    cell: str, end: bool, moment: datetime
) -> None:
    assert read_moment(cell, LISBON, end=end) == moment


@pytest.mark.parametrize(
    "cell",
    ["soon", "01/05/2030", "1.5.2030", "2030-02-30", "2030-05", "2030-W05", "20300501",
     "2030-05-01 25:00", "9999-12-31", "2030-05-01T08"],
)  # fmt: skip
def test_what_is_no_time_or_more_than_one_is_refused(cell: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever says so
        read_moment(cell, UTC, end=True)


@given(st.integers(ms_of(FIRST), ms_of(LAST)).map(moment_of))
def test_every_moment_comes_back(moment: datetime) -> None:
    assert read_moment(write_moment(moment), LISBON, end=True) == moment


def test_no_moment_is_an_empty_cell() -> None:
    assert write_moment(None) == ""
