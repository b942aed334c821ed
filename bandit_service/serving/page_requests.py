"""What a page asks and is told, version 1 of the wire: one request and one answer for its slots."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from bandit_service.catalog.limits import Count, said
from bandit_service.serving.requests import (
    Candidates,
    Context,
    DecideAnswer,
    DecideRequest,
    Exclude,
    Name,
    SentKey,
    Traits,
    VisitorId,
)

MAX_SLOTS: Final = 50


class SlotRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One slot of a page; ``persona``, ``traits`` and ``context`` are the page's unless given."""

    placement: Name
    persona: Name | None = None
    traits: Traits | None = None
    context: Context | None = None
    exclude: Exclude = []
    candidates: Candidates | None = None


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a variant of each of several placements, for one visitor."""

    slots: Annotated[list[SlotRequest], said(maxItems=MAX_SLOTS)]
    key: SentKey | None = None
    """The key, where the request has no ``Authorization``."""
    visitor: VisitorId | None = None
    persona: Name | None = None
    traits: Traits = {}
    context: Context = {}
    counts: Literal["seen"] | None = None
    """See ``DecideRequest``; for all slots."""
    partial: bool = False
    """Answer the slots that can be, and say in ``refused`` what is wrong with the others."""

    def requests(self) -> list[DecideRequest]:
        """The page as one request a slot."""
        return [
            DecideRequest(
                placement=slot.placement,
                visitor=self.visitor,
                persona=slot.persona if slot.persona is not None else self.persona,
                traits=self.traits if slot.traits is None else slot.traits,
                context=self.context if slot.context is None else {**self.context, **slot.context},
                exclude=slot.exclude,
                candidates=slot.candidates,
                counts=self.counts,
            )
            for slot in self.slots
        ]


class RefusedSlot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why one slot of a page was not answered."""

    index: Count
    placement: str
    code: str
    message: str
    field: str | None = None
    hint: str | None = None


class PageAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer a slot, in the order of the request, without those that were refused."""

    slots: list[DecideAnswer]
    refused: list[RefusedSlot] = []
    """Only where ``partial`` was asked for."""
