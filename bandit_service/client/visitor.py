"""The visitor for whom a page is made, as the website knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from bandit_service.catalog.model import TraitValue
from bandit_service.client.slot import Slot
from bandit_service.serving.requests import ContextValue, DecideRequest, PageRequest


class Visitor(msgspec.Struct, frozen=True):
    """Who asks, and in which situation; all of it may be left out."""

    id: str | None = None
    """The website's own id of the visitor: makes the choice stable, and a decide repeatable."""
    persona: str | None = None
    """The persona, where the website knows it; else it is resolved from the traits."""
    traits: Mapping[str, TraitValue] | None = None
    """What the website knows of the visitor: genres, favourites, country, …"""
    context: Mapping[str, ContextValue] | None = None
    """The situation: device, hour (0 to 23, the visitor's) or timezone, channel, …"""
    user_agent: str | None = None
    """The ``User-Agent`` of the visitor's browser, by which crawlers are known."""
    purpose: str | None = None
    """Its ``Sec-Purpose`` or ``Purpose``, by which pages that nobody asked to see are known."""

    @classmethod
    def of(cls, headers: Mapping[str, str], id: str | None = None) -> Visitor:  # noqa: A002 - as the field
        """A visitor by the headers of their browser's request, by any framework's mapping of them.

        Of the headers, two are used: those that tell people from crawlers and prefetching browsers.
        """
        purpose = headers.get("Sec-Purpose") or headers.get("Purpose")
        return cls(id=id, user_agent=headers.get("User-Agent"), purpose=purpose)

    def request(self, slot: Slot) -> DecideRequest:
        """What is asked for one slot."""
        (request,) = self.page([slot]).requests()
        return request

    def page(self, slots: list[Slot]) -> PageRequest:
        """What is asked for a page."""
        said = {"user_agent": self.user_agent, "purpose": self.purpose}
        about_browser = {name: value for name, value in said.items() if value is not None}
        return PageRequest(
            slots=[slot.request() for slot in slots],
            visitor=self.id,
            persona=self.persona,
            traits=dict(self.traits or {}),
            context={**(self.context or {}), **about_browser},
        )


NOBODY: Final = Visitor()
"""A visitor of whom nothing is known."""
