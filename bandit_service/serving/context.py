"""From what a request says to the features that are logged and learned from: short texts, in bands.

What is logged is what was used: features are made here, once, and the log keeps them, so that no
later change of a band or of a time zone's rules can alter what a past decision was based on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bandit_service.catalog.model import Scalar, TraitValue
from bandit_service.errors import InvalidInput
from bandit_service.serving.requests import ContextValue

CLIENT_FIELDS: Final = ("user_agent", "purpose")
"""What a server says of its visitor's browser: for ``crawlers`` alone, and never a feature."""

_BANDS: Final = ("night", "morning", "afternoon", "evening")
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def situation(context: Mapping[str, ContextValue], now: int) -> dict[str, str]:
    """The features of a situation; ``now`` is in ms since the Unix epoch.

    ``hour`` (0 to 23, the visitor's own) becomes a band of six hours. Where it is missing,
    ``timezone`` (an IANA name) gives hour and weekday. Everything else is passed on as text, in
    lower case; null is left out.

    Raises:
        InvalidInput: if ``hour`` or ``timezone`` cannot be used.
    """
    features = {
        name: text(value)
        for name, value in context.items()
        if value is not None and name not in ("hour", "timezone")
    }
    hour, zone = context.get("hour"), context.get("timezone")
    if zone is not None and not isinstance(zone, str):
        raise _no_zone(str(zone))
    if hour is None and zone is not None:
        local = datetime.fromtimestamp(now / 1000, tz=_zone(zone))
        hour = local.hour
        features.setdefault("weekday", _DAYS[local.weekday()])
    if hour is not None:
        features["hour"] = _hour_band(hour)
    return features


def without_client(context: dict[str, ContextValue]) -> dict[str, ContextValue]:
    """The context without the fields that are about the browser; the same object if it has none."""
    if "user_agent" not in context and "purpose" not in context:
        return context
    return {name: value for name, value in context.items() if name not in CLIENT_FIELDS}


def declared(traits: Mapping[str, TraitValue]) -> dict[str, list[str]]:
    """The traits as lists of lower-case texts; null and empty lists are left out."""
    features = {}
    for name, value in traits.items():
        values = value if isinstance(value, list) else [value]
        texts = [text(item) for item in values if item is not None]
        if texts:
            features[name] = texts
    return features


def text(value: Scalar) -> str:
    """One value as the text that is logged and learned from; 1 and 1.0 are the same number."""
    if isinstance(value, str):
        return value.strip().lower()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _hour_band(hour: ContextValue) -> str:
    if isinstance(hour, bool) or not isinstance(hour, int | float) or not 0 <= hour < 24:
        raise InvalidInput(
            f"context.hour is {str(hour)[:40]!r}",
            field="context.hour",
            hint="send the visitor's local hour, 0 to 23, or context.timezone",
        )
    return _BANDS[int(hour) // 6]


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise _no_zone(name) from exc


def _no_zone(name: str) -> InvalidInput:
    return InvalidInput(
        f"context.timezone {name[:80]!r} is not known",
        field="context.timezone",
        hint="use an IANA name such as Europe/Paris, or send context.hour",
    )
