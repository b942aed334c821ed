"""What is shown to whoever is no visitor: a placement's canonical variant, always the same one.

There is no draw, no persona and no memory, and nothing is logged: what a crawler sees teaches
nothing and counts nowhere. The answer has the shape of a decision, so that a page needs no second
code path; its ``decision`` and ``reason`` are CANONICAL, which no decision is ever called, and
events that name it are turned away by name.

The canonical variant is the one that the placement names; where it names none, or that one is not
live or is excluded, the first live one. Of candidates that come with a request it is the first. A
finished placement shows its winner to them too.
"""

from __future__ import annotations

from typing import Final

from bandit_service.catalog.personas import UNKNOWN
from bandit_service.events.identity import CANONICAL
from bandit_service.serving.crawlers import Kind
from bandit_service.serving.decide import NO_SNAPSHOT, Offer, offer_for, shown
from bandit_service.serving.requests import (
    DecideAnswer,
    DecideRequest,
    EventsAnswer,
    EventsRequest,
    Rejection,
    check_request,
)
from bandit_service.serving.view import SiteView

_REFUSALS: Final[dict[Kind, str]] = {
    "crawler": "what a crawler does is not learned from",
    "prefetch": "nobody has seen this page yet",
}
_HINTS: Final[dict[Kind, str]] = {
    "crawler": "if these are people, name their user agent under 'people' in traffic.toml",
    "prefetch": "report once the page is shown: on its 'prerenderingchange' event",
}


def canonical(view: SiteView, request: DecideRequest, *, now: int) -> DecideAnswer:
    """The canonical variant of a placement, in the shape of a decision.

    ``now`` is in ms since the Unix epoch: what is not live is not shown to crawlers either.

    Raises:
        InvalidInput: if the request breaks a limit.
        NotFound: if there is no such placement.
        NothingToShow: if no live variant is left.
    """
    check_request(request)
    offer = offer_for(view, request, now)
    variant = offer.candidates.variants[_place(view, request, offer)]
    return DecideAnswer(
        decision=CANONICAL,
        placement=request.placement,
        variant=shown(variant, offer.kind),
        persona=UNKNOWN,
        persona_confidence=0.0,
        probability=1.0,
        match=view.settings.policy.typical_reward,
        snapshot=NO_SNAPSHOT,
        reason=CANONICAL,
        logged=False,
    )


def turned_away(request: EventsRequest, kind: Kind) -> EventsAnswer:
    """The answer to events that a crawler or a prefetcher reports: none is taken."""
    rejected = [
        Rejection(index=n, code=kind, message=_REFUSALS[kind], hint=_HINTS[kind])
        for n in range(len(request.events))
    ]
    return EventsAnswer(accepted=0, rejected=rejected)


def _place(view: SiteView, request: DecideRequest, offer: Offer) -> int:
    shelf = view.shelves.get(request.placement)
    if shelf is None or request.candidates is not None:
        return 0
    ids = [variant.id for variant in offer.candidates.variants]
    named = shelf.placement.canonical
    return ids.index(named) if named in ids else 0
