"""Times as people write and read them, and the stretch of time that an export is of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from bandit_service.errors import InvalidInput

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A stretch of time in ms since the Unix epoch: ``since`` is in it, ``until`` is not."""

    since: int | None = None
    until: int | None = None

    def has(self, ms: int) -> bool:
        """Whether a moment lies in it."""
        after = self.since is None or self.since <= ms
        return after and (self.until is None or ms < self.until)


def span_of(since: str | None, until: str | None) -> Span:
    """The span between two times as people write them; None leaves that side open.

    Raises:
        InvalidInput: if one is not a time, or they are not in order.
    """
    span = Span(
        None if since is None else parse_time(since, "since"),
        None if until is None else parse_time(until, "until"),
    )
    if span.since is not None and span.until is not None and span.since >= span.until:
        raise InvalidInput(
            f"since {since!r} is not before until {until!r}",
            field="since",
            hint="until is exclusive: for one day, give the next day's date",
        )
    return span


def parse_time(text: str, field: str) -> int:
    """A date or a time in ISO 8601, UTC where it names no offset, in ms since the Unix epoch.

    Before the epoch nothing was logged: such a time is 0.

    Raises:
        InvalidInput: if it is not one.
    """
    try:
        moment = datetime.fromisoformat(text)
        known = moment.replace(tzinfo=moment.tzinfo or UTC)
        return max(0, (known - _EPOCH) // timedelta(milliseconds=1))
    except (ValueError, OverflowError) as exc:
        raise InvalidInput(
            f"{field} {text[:80]!r} is not a time",
            field=field,
            hint="write it like 2030-01-31 or 2030-01-31T12:00:00Z; without an offset it is UTC",
        ) from exc


def readable(ms: int) -> str:
    """A moment in RFC 3339, to the millisecond; what no calendar has is left a number."""
    try:
        moment = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return f"{ms} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
