"""Numbers as visitors write them, and only as they can be read back."""

from __future__ import annotations

import pytest
from babel import Locale

from bandit_service.web.desk.writing import NOTHING, Writer, writer_for

ENGLISH = Writer(Locale("en"))
GERMAN = Writer(Locale("de"))


@pytest.mark.parametrize(
    ("share", "english"),
    [
        (None, NOTHING),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.5, "50.0%"),
        (0.123456, "12.3%"),
        (0.0312, "3.12%"),
        (0.0054, "0.54%"),
        (0.00054, "0.054%"),
        (0.0000054, "0.0005%"),
    ],
)
def test_a_rate_has_the_digits_that_say_something(share: float | None, english: str) -> None:
    assert ENGLISH.percent(share) == english


def test_each_locale_has_its_own_separators() -> None:
    assert ENGLISH.count(1_234_567) == "1,234,567"
    assert GERMAN.count(1_234_567) == "1.234.567"
    assert GERMAN.percent(0.0312) == "3,12\N{NO-BREAK SPACE}%"
    assert (ENGLISH.separators, GERMAN.separators) == (".,", ",.")
    assert Writer(Locale("fr")).count(1234) == "1\N{NARROW NO-BREAK SPACE}234"


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "0"), (950, "950"), (9_999, "9,999"), (12_345, "12.3K"), (4_000_000, "4M")],
)
def test_a_number_for_a_narrow_place_is_short(number: int, written: str) -> None:
    assert ENGLISH.short(number) == written


def test_changes_have_a_sign() -> None:
    assert ENGLISH.change(0.124) == "+12%"
    assert ENGLISH.change(-0.4) == "\N{MINUS SIGN}40%"
    assert ENGLISH.interval(None, 0.5) == NOTHING


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(1.0, "1 second"), (45.0, "45 seconds"), (600.0, "10 minutes"), (2_592_000.0, "30 days")],
)
def test_a_length_of_time_is_told_in_words(seconds: float, written: str) -> None:
    assert ENGLISH.span(seconds) == written


@pytest.mark.parametrize("writer", [ENGLISH, GERMAN])
@pytest.mark.parametrize("number", [12.5, 0.0, 33.3333, 100.0])
def test_a_number_in_a_form_is_read_back(writer: Writer, number: float) -> None:
    assert writer.parsed(writer.plain(number)) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "lots", "1,2,3", "nan", "inf", "1e5x"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert ENGLISH.parsed(text) is None


@pytest.mark.parametrize(
    ("languages", "tag"),
    [
        (["de-DE", "en"], "de-DE"),
        (["xx-YY", "pt-BR"], "pt-BR"),
        ([], "en"),
        (["*"], "en"),
        (["../../etc", "\x00", "a" * 500], "en"),
        (["zh-Hans-CN"], "zh-Hans-CN"),
    ],
)
def test_the_first_language_that_is_known_is_taken(languages: list[str], tag: str) -> None:
    assert writer_for(languages).tag == tag


def test_times_are_in_utc_and_say_so() -> None:
    assert ENGLISH.moment(0).endswith("UTC")
    assert ENGLISH.iso(0) == "1970-01-01T00:00:00+00:00"
