"""Moments of a schedule: read as the API gives them, kept in UTC and whole milliseconds.

The log counts milliseconds since the Unix epoch, and so do requests; people write dates. Both meet
here, exactly: a moment is stored rounded down to a millisecond, so that comparing milliseconds is
comparing moments.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from bandit_service.catalog.limits import FIRST_YEAR, LAST_YEAR
from bandit_service.errors import InvalidCatalog

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The Unix epoch: before anything that the service knows of."""
_MS: Final = timedelta(milliseconds=1)


def ms_of(moment: datetime) -> int:
    """Milliseconds since the Unix epoch, rounded down."""
    return (moment - LONG_AGO) // _MS


def moment_of(ms: int) -> datetime:
    """The moment that is so many milliseconds after the Unix epoch."""
    return LONG_AGO + ms * _MS


def normal(moment: datetime | None, field: str) -> datetime | None:
    """The moment as it is stored.

    Raises:
        InvalidCatalog: naming ``field``, if it lies beyond what a schedule may name.
    """
    if moment is None:
        return None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidCatalog(
            f"{field} is in the year {moment.year}",
            field=field,
            hint=f"give a date from {FIRST_YEAR} to {LAST_YEAR}",
        )
    return moment_of(ms_of(moment))
