"""The requests that the benchmarks send: a seeded crowd of visitors in a few hundred situations.

A visitor belongs to a *profile*: what it declares and the situation it is in. What the model is
asked repeats with the profiles, what is stored repeats with the visitors; both numbers are chosen
by the caller, because caches live off the first and the store feels the second.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

PLACEMENT: Final = "opening-night"
CATALOG: Final = Path(__file__).parent / "catalog.toml"
PROFILES: Final = 400
"""Distinct combinations of traits and context, unless told otherwise."""
VISITORS: Final = 5_000
"""Distinct visitors, unless told otherwise."""

_GENRES: Final = (
    *("romance", "drama", "comedy", "sitcom", "action", "adventure", "thriller", "crime"),
    *("family", "animation"),
)
_DEVICES: Final = ("mobile", "desktop", "tv", "tablet")
_COUNTRIES: Final = ("PT", "DE", "FI", "IN", "JP", "BR", "US")
_CHANNELS: Final = ("direct", "search", "email", "social")
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Body = dict[str, Any]


def bodies(
    count: int, *, profiles: int = PROFILES, visitors: int = VISITORS, seed: int = 1
) -> list[Body]:
    """``count`` bodies of ``POST /v1/decide``, the same for the same arguments."""
    random = Random(seed)
    kinds = [_profile(random) for _ in range(profiles)]
    drawn = (random.randrange(visitors) for _ in range(count))
    return [
        {"placement": PLACEMENT, "visitor": f"visitor-{number}", **kinds[number % profiles]}
        for number in drawn
    ]


def http_post(path: str, body: Body, key: str) -> bytes:
    """A whole HTTP/1.1 request as it goes over the wire."""
    data = msgspec.json.encode(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _profile(random: Random) -> Body:
    return {
        "traits": {
            "genres": random.sample(_GENRES, random.choice((1, 1, 2))),
            "member": random.choice(("free", "plus")),
        },
        "context": {
            "device": random.choice(_DEVICES),
            "country": random.choice(_COUNTRIES),
            "channel": random.choice(_CHANNELS),
            "weekday": random.choice(_DAYS),
            "hour": random.randrange(24),
        },
    }
