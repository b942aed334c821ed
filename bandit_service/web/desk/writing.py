"""Numbers as the visitor writes them: separators, signs and percent of their locale.

The desk speaks English; only numbers follow ``Accept-Language``, since ``1,234`` means two things.
Babel has the rules (CLDR). Times are written by a script in the viewer's zone, which no header
tells; what stands in the page is UTC, and says so.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import NumberFormatError, NumberPattern, format_decimal, parse_decimal

from bandit_service.catalog.moments import ms_of

NOTHING: Final = "\N{EN DASH}"
"""Stands where there is no value."""
MINUS: Final = "\N{MINUS SIGN}"
ENGLISH: Final = Locale("en")
_MOST_TRIED: Final = 10
"""Languages of a header that are looked at."""
_MOST_DECIMALS: Final = 4


class Writer:
    """Writes numbers in one locale."""

    def __init__(self, locale: Locale) -> None:
        self.locale = locale
        self.tag = str(locale).replace("_", "-")
        """The locale as browsers name it."""

    @property
    def separators(self) -> str:
        """The decimal point and what groups thousands, as plotly takes them."""
        symbols = self.locale.number_symbols.get("latn", {})
        return str(symbols.get("decimal", ".")) + str(symbols.get("group", ","))

    def count(self, number: float) -> str:
        """A whole number."""
        return str(format_decimal(round(number), locale=self.locale))

    def span(self, seconds: float) -> str:
        """A length of time in words: 45 seconds, 10 minutes, 30 days."""
        return str(format_timedelta(round(seconds), threshold=5.0, locale=ENGLISH))

    def short(self, number: float) -> str:
        """A number of units for a narrow place: 950, 12.3K, 4M."""
        for size, unit in ((1_000_000, "M"), (10_000, "K")):
            if number >= size:
                shown = number / (1000 if unit == "K" else size)
                pattern = "#,##0.#" if shown < 100 else "#,##0"
                return f"{format_decimal(shown, pattern, locale=self.locale)}{unit}"
        return self.count(number)

    def decimal(self, number: float | None, decimals: int = 2) -> str:
        """A number with so many decimals; a dash for none."""
        if number is None:
            return NOTHING
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return str(format_decimal(number, pattern, locale=self.locale))

    def percent(self, share: float | None, decimals: int | None = None) -> str:
        """A share as a percentage, with three digits that say something; a dash for none."""
        if share is None:
            return NOTHING
        places = _decimals(100.0 * share) if decimals is None else decimals
        pattern: NumberPattern = copy.copy(self.locale.percent_formats[None])
        pattern.frac_prec = (places, places)
        return str(pattern.apply(share, self.locale))

    def interval(self, low: float | None, high: float | None) -> str:
        """Both bounds of shares, with as many decimals as the nearer needs."""
        if low is None or high is None:
            return NOTHING
        places = min(2, max(_decimals(100.0 * low), _decimals(100.0 * high)))
        return f"{self.percent(low, places)} to {self.percent(high, places)}"

    def change(self, part: float) -> str:
        """A relative difference with its sign: +12%."""
        shown = self.percent(abs(part), 0)
        return f"{'+' if part >= 0 else MINUS}{shown}"

    def points(self, difference: float | None) -> str:
        """A difference of shares, in percentage points, with its sign."""
        if difference is None:
            return NOTHING
        shown = self.decimal(abs(100.0 * difference), max(1, _decimals(100.0 * difference)))
        return f"{'+' if difference >= 0 else MINUS}{shown} points"

    def plain(self, number: float) -> str:
        """A number as a form shows it, which ``parsed`` reads back."""
        return str(format_decimal(number, "0.####", locale=self.locale))

    def parsed(self, text: str) -> float | None:
        """The number that somebody typed, in their locale or with a point; None if it is none."""
        for locale in (self.locale, ENGLISH):
            with suppress(NumberFormatError):
                number = float(parse_decimal(text, locale=locale, strict=True))
                return number if math.isfinite(number) else None
        return None

    def ms(self, moment: datetime) -> int:
        """A moment in ms since the Unix epoch."""
        return ms_of(moment)

    def iso(self, ms: int) -> str:
        """A time as scripts read it."""
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")

    def day(self, ms: int) -> str:
        """A day, UTC."""
        at = datetime.fromtimestamp(ms / 1000, UTC)
        return str(format_date(at.date(), "medium", locale=self.locale))

    def moment(self, ms: int) -> str:
        """A time, UTC; a script puts it into the viewer's zone."""
        at = datetime.fromtimestamp(ms / 1000, UTC)
        return f"{format_datetime(at, 'medium', tzinfo=UTC, locale=self.locale)} UTC"


def writer_for(languages: Iterable[str]) -> Writer:
    """The writer for the first of some language tags that is known; English for none."""
    for n, tag in enumerate(languages):
        if n >= _MOST_TRIED:
            break
        found = _writer(tag[:35])
        if found is not None:
            return found
    return Writer(ENGLISH)


@lru_cache(maxsize=256)
def _writer(tag: str) -> Writer | None:
    try:
        return Writer(Locale.parse(tag, sep="-"))
    except (UnknownLocaleError, ValueError, TypeError):
        return None


def _decimals(percent: float) -> int:
    """How many decimals show three digits; below a percent two."""
    if not percent or not math.isfinite(percent):
        return 0
    first = math.floor(math.log10(abs(percent)))
    return min(_MOST_DECIMALS, 1 - first) if first < 0 else max(0, 2 - first)
