"""Examples for the description of the API: what a site with the shipped catalog may be asked."""

from __future__ import annotations

from typing import Any, Final

PARAMETERS: Final = {
    "placement": "the-long-summer",
    "variant": "kiss-at-dusk",
    "picture": "5d41402abc4b2a76b9719d911017c5920c4f1a2b.jpg",
    "version": "0123456789abcdef",
    "token": "WyJtYWluIiwidGhlLWxvbmctc3VtbWVyIl0",
    "reader": "8f14e45f",
}

_VARIANT: Final = {
    "headline": "One summer, one secret",
    "image_url": "https://images.example/summer.jpg",
    "alt": "Two people on a jetty",
    "target_url": "/titles/the-long-summer",
    "tags": ["couple", "warm"],
    "attributes": {"faces": 2, "mood": "soft"},
    "status": "live",
    "min_share": 0.1,
    "max_share": 0.9,
}
_VISITOR: Final = {
    "visitor": "your-id-of-the-visitor",
    "traits": {"genres": ["romance"], "country": "PT"},
    "context": {"device": "mobile", "hour": 21, "channel": "email"},
}

BODIES: Final[dict[str, Any]] = {
    "POST /v1/decide": {
        "placement": "the-long-summer",
        **_VISITOR,
        "exclude": ["bay-at-noon"],
    },
    "POST /v1/decide/page": {
        **_VISITOR,
        "slots": [
            {"placement": "the-long-summer"},
            {"placement": "front", "candidates": [{"id": "a", "headline": "Is it love?"}]},
        ],
    },
    "POST /v1/events": {
        "events": [
            {"decision": "AaIBx0vVpwJ3d0Zr8d1m2cYq5uTnL7Wk", "type": "click", "id": "click-1"}
        ]
    },
    "PUT /v1/placements/{placement}": {
        "kind": "thumbnail",
        "name": "The Long Summer",
        "tags": ["romance", "drama"],
        "variants": [{"id": "kiss-at-dusk", **_VARIANT}],
    },
    "PUT /v1/placements/{placement}/variants/{variant}": {
        **_VARIANT,
        "live_from": "2030-05-01T06:00:00Z",
        "live_until": "2030-06-01T00:00:00+02:00",
    },
    "PUT /v1/placements/{placement}/finish": {"when_clear": True, "at": "2030-06-01T00:00:00Z"},
    "POST /v1/placements/{placement}/revert": {"revision": 1},
    "POST /v1/placements/{placement}/links": {
        "home": "https://shop.example",
        "channel": "email",
        "persona": "romantic",
        "days": 90,
    },
    "PUT /v1/personas": {
        "personas": [
            {
                "id": "romantic",
                "name": "Romantics",
                "rules": [
                    {"trait": "genres", "any": ["romance", "drama"], "weight": 3},
                    {"trait": "favourites", "tagged": ["romance"], "weight": 2},
                ],
            }
        ],
        "threshold": 0.5,
    },
}
"""By method and path, a body that is accepted."""
