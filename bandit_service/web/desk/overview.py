"""The overview: a card for each placement, those that need somebody first.

What is searched, filtered and sorted is in memory: the process's own view of the catalog, and the
numbers as last published. A page shows PAGE cards, so that 500 placements cost what 48 do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode

from flask import Response, request

from bandit_service.catalog.model import Placement, Variant
from bandit_service.reporting.overview import PlacementLine
from bandit_service.services import Services
from bandit_service.web.desk.page import Pages, me
from bandit_service.web.desk.standing import STATES, Standing, standing

PAGE: Final = 48
"""Cards of one page."""
SHOWN: Final = 4
"""Creatives of a card."""
_TAGS: Final = 100
"""Tags that are offered to filter by."""


class Card(NamedTuple):
    """One placement, as the overview shows it."""

    placement: Placement
    creatives: Sequence[Variant]
    live: int
    drafts: int
    numbers: PlacementLine
    standing: Standing


class Wanted(NamedTuple):
    """What is looked for; empty fields are not looked at."""

    words: str
    kind: str
    tag: str
    state: str

    def matches(self, card: Card) -> bool:
        """Whether a card is one of those."""
        placement = card.placement
        return (
            (not self.kind or placement.kind == self.kind)
            and (not self.tag or self.tag in tags_of(placement))
            and (card.standing.code == self.state if self.state else not placement.retired)
            and all(word in _text(placement) for word in self.words.casefold().split())
        )

    def address(self, **changes: object) -> str:
        """The query of the page that looks for this, but for ``changes``."""
        pairs = {"q": self.words, "kind": self.kind, "tag": self.tag, "state": self.state}
        return urlencode({k: v for k, v in {**pairs, **changes}.items() if v})


class Overview:
    """The page and the piece of it that moves."""

    def __init__(self, services: Services, pages: Pages) -> None:
        """Show what ``services`` know."""
        self._services = services
        self._pages = pages

    def page(self) -> Response:
        """The page."""
        wanted, cards = _wanted(), self._cards()
        found = list(filter(wanted.matches, cards))
        last = max(1, -(-len(found) // PAGE))
        number = min(last, max(1, request.args.get("page", 1, int)))
        shown = found[(number - 1) * PAGE : number * PAGE]
        return self._pages.page(
            "overview.html",
            cards=shown,
            total=len(cards),
            found=len(found),
            wanted=wanted,
            number=number,
            last=last,
            tags=_used(card.placement for card in cards),
            states=STATES,
        )

    def live(self) -> Response:
        """The numbers of the cards that a page shows, named in the query."""
        names = frozenset(request.args.getlist("p")[:PAGE])
        cards = [card for card in self._cards() if card.placement.id in names]
        return self._pages.part("overview_live.html", cards=cards)

    def _cards(self) -> list[Card]:
        """All of them, what needs attention most first."""
        site, now = me().key.site, self._services.clock()
        self._services.refresh()
        shelves = self._services.view(site).shelves
        lines = self._services.reports(site).overview().placements
        return [
            _card(shelves[line.placement].placement, line, now)
            for line in lines
            if line.placement in shelves
        ]


def _card(placement: Placement, line: PlacementLine, now: int) -> Card:
    live = placement.live(now)
    return Card(
        placement=placement,
        creatives=(live or _kept(placement))[:SHOWN],
        live=len(live),
        drafts=sum(variant.status == "draft" for variant in placement.variants),
        numbers=line,
        standing=standing(placement, line.state, line.says, now=now),
    )


def _kept(placement: Placement) -> tuple[Variant, ...]:
    """What a card shows where nothing is live."""
    return tuple(v for v in placement.variants if v.status != "retired") or placement.variants


def _wanted() -> Wanted:
    asked = request.args
    return Wanted(
        words=asked.get("q", "").strip()[:200],
        kind=asked.get("kind", ""),
        tag=asked.get("tag", ""),
        state=asked.get("state", ""),
    )


def tags_of(placement: Placement) -> set[str]:
    """The tags of a placement and of its variants."""
    return {*placement.tags, *(tag for variant in placement.variants for tag in variant.tags)}


def _used(placements: Iterable[Placement]) -> list[str]:
    """The tags that are in use, sorted; the most used ones where they are many."""
    counted = Counter(tag for placement in placements for tag in tags_of(placement))
    return sorted(tag for tag, _ in counted.most_common(_TAGS))


def _text(placement: Placement) -> str:
    """What is searched."""
    parts = [placement.id, placement.name, *placement.tags]
    for variant in placement.variants:
        parts += [variant.id, variant.headline or "", *variant.tags]
    return "\n".join(parts).casefold()
