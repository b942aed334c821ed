"""Moments in forms: what somebody picks is in their own zone, what is stored is in UTC.

A browser sends such a field without a zone. A script puts the viewer's into a field beside it and
writes the values that the page brought, which are UTC, in that zone; without the script the field
is UTC, and its label says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bandit_service.web.desk.fields import Wrong


def written(moment: datetime | None) -> str:
    """A moment as the field holds it, in UTC; nothing for none."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")


def read(values: Mapping[str, str], field: str) -> datetime | None:
    """The moment in a field of a form; None if it is empty.

    Raises:
        Wrong: if it is no time, or the zone is not known.
    """
    text = values[field].strip()
    if not text:
        return None
    name = values.get("zone", "")
    zone = zone_of(name)
    if zone is None:
        words = f"The time zone of your browser, “{name[:40]}”, is not known here."
        raise Wrong(field, words, "Whoever runs the service can update its tzdata.")
    try:
        plain = datetime.fromisoformat(text)
        return (plain if plain.tzinfo else plain.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        words = f"“{text[:40]}” is no date with a time."
        raise Wrong(field, words, "Write it like 2030-05-17T09:30.") from exc


def zone_of(name: str) -> tzinfo | None:
    """The time zone of this name, UTC for none; None if it is not known."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return None
