"""What the website shows where the service has no answer, in the shape of an answer.

A template needs no second way: it shows ``answer.variant`` either way. Such an answer is no
decision: ``reason`` is DEFAULT, ``decision`` too, ``logged`` is false, and events that name it are
not sent.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bandit_service.catalog.limits import Attribute
from bandit_service.catalog.model import Kind
from bandit_service.catalog.personas import UNKNOWN
from bandit_service.serving.requests import DecideAnswer, VariantAnswer

DEFAULT: Final = "default"
"""The reason of an answer that is the website's own, and what stands for its decision's id."""
_NO_SNAPSHOT: Final = "none"


class Default(msgspec.Struct, frozen=True, kw_only=True):
    """The variant that the website would show without the service."""

    headline: str | None = None
    image_url: str | None = None
    alt: str | None = None
    target_url: str | None = None
    attributes: dict[str, Attribute] = {}

    def answer(self, placement: str) -> DecideAnswer:
        """An answer that shows it."""
        variant = VariantAnswer(
            id=DEFAULT,
            version=0,
            kind=self._kind,
            headline=self.headline,
            image_url=self.image_url,
            alt=self.alt,
            target_url=self.target_url,
            attributes=self.attributes,
        )
        return DecideAnswer(
            decision=DEFAULT,
            placement=placement,
            variant=variant,
            persona=UNKNOWN,
            persona_confidence=0.0,
            probability=1.0,
            match=0.0,
            snapshot=_NO_SNAPSHOT,
            reason=DEFAULT,
            logged=False,
        )

    @property
    def _kind(self) -> Kind:
        if self.image_url and self.headline:
            return "card"
        return "thumbnail" if self.image_url else "headline"


NOTHING: Final = Default()
"""A variant without content: what the template says by itself stays."""
