"""What a request says of visitor and situation, made into features once for all who say the same.

Checking limits, resolving the persona and writing features cost more than the draw. Requests
repeat: a visitor's next pages, and the many visitors of whom little is known. What depends on the
request and the catalog alone is kept under the request's own words; what depends on the clock (a
time zone) or on what is remembered of the visitor is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from bandit_service.catalog.personas import Resolution, Resolver, TagsOf
from bandit_service.errors import InvalidInput
from bandit_service.kept import Kept
from bandit_service.policy.features import shared_line
from bandit_service.serving import context as features
from bandit_service.serving.requests import DecideRequest, check_features

MAX_KEPT: Final = 20_000
"""Descriptions kept by one process before all are let go."""
MAX_KEPT_BYTES: Final = 8 * 1_048_576
"""How much the words may take together that they are kept under; a description takes some 10
times as much."""
MAX_LINES: Final = 32
"""Lines kept of one description; there are fewer bands of what is remembered of a visitor."""

_encoder: Final = msgspec.json.Encoder()


class Described:
    """Who asks, and in which situation."""

    __slots__ = ("_lines", "context", "resolution", "traits")

    def __init__(
        self, resolution: Resolution, traits: dict[str, list[str]], context: dict[str, str]
    ) -> None:
        """``context`` is the situation without what is remembered of the visitor."""
        self.resolution = resolution
        self.traits = traits
        self.context = context
        self._lines: dict[tuple[str, ...], str] = {}

    def shared(self, remembered: Mapping[str, str]) -> str:
        """The model's shared line for this and what is remembered of the visitor, in bands."""
        bands = tuple(remembered.values())
        line = self._lines.get(bands)
        if line is None:
            together = {**self.context, **remembered}
            line = shared_line(self.resolution.persona, self.traits, together)
            if len(self._lines) < MAX_LINES:
                self._lines[bands] = line
        return line


class Descriptions:
    """The descriptions that one catalog makes of requests."""

    def __init__(self, resolver: Resolver, tags_of: TagsOf) -> None:
        """``tags_of`` gives the tags of a placement's id; both must not change."""
        self._resolver = resolver
        self._tags_of = tags_of
        self._kept: Kept[bytes, Described] = Kept(entries=MAX_KEPT, room=MAX_KEPT_BYTES)

    def of(self, request: DecideRequest, now: int) -> Described:
        """What ``request`` says; ``now`` is in ms.

        Raises:
            InvalidInput: if it breaks a limit or names an unknown persona.
        """
        context = features.without_client(request.context)
        if context is not request.context:
            request = msgspec.structs.replace(request, context=context)
        if "timezone" in context:
            return self._describe(request, now)
        words = _encoder.encode((request.persona, request.traits, context))
        kept = self._kept.get(words)
        if kept is None:
            kept = self._describe(request, now)
            self._kept.keep(words, kept, len(words))
        return kept

    def _describe(self, request: DecideRequest, now: int) -> Described:
        check_features(request)
        return Described(
            self._persona(request),
            features.declared(request.traits),
            features.situation(request.context, now),
        )

    def _persona(self, request: DecideRequest) -> Resolution:
        if request.persona is None:
            return self._resolver.resolve(request.traits, tags_of=self._tags_of)
        known = self._resolver.named(request.persona)
        if known is None:
            raise InvalidInput(
                f"there is no persona {request.persona[:80]!r}",
                field="persona",
                hint="GET /v1/personas lists them; or send traits instead",
            )
        return known
