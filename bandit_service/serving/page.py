"""Deciding for a whole page: one request and one answer for all of its slots.

A page is answered whole or not at all, unless it asks for what there is (``partial``): then a slot
whose placement is misspelt or has nothing to show is refused by itself, and the others are
answered. A website's tag asks so: one wrong attribute must not leave a page without all the rest.
What is malformed is refused whole in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from bandit_service.errors import BanditError, NotFound, NothingToShow, PayloadTooLarge
from bandit_service.serving.canonical import canonical
from bandit_service.serving.decide import Made, logged, made_for
from bandit_service.serving.page_requests import (
    MAX_SLOTS,
    PageAnswer,
    PageRequest,
    RefusedSlot,
)
from bandit_service.serving.requests import DecideRequest
from bandit_service.serving.view import SiteView

Found = TypeVar("Found")

_OF_A_SLOT: Final = (NotFound, NothingToShow)
"""What may be wrong with one slot while others can be answered."""


def decide_page(
    view: SiteView, page: PageRequest, *, now: int, entropies: Sequence[bytes]
) -> PageAnswer:
    """Choose for every slot of a page, log all in one exchange, answer. See ``decide.decide``.

    Raises:
        PayloadTooLarge: if the page has more than MAX_SLOTS slots.
        InvalidInput: as ``decide``.
        NotFound, NothingToShow: as ``decide``, unless the page is ``partial``.
    """
    requests = _slots(page)
    if not requests:
        return PageAnswer(slots=[])
    if not page.partial:
        return PageAnswer(slots=logged(view, made_for(view, requests, now, entropies)))

    def choose(n: int) -> Made:
        return made_for(view, [requests[n]], now, [entropies[n]])[0]

    made, refused = _possible(requests, choose)
    return PageAnswer(slots=logged(view, made) if made else [], refused=refused)


def canonical_page(view: SiteView, page: PageRequest, *, now: int) -> PageAnswer:
    """The canonical variant for every slot of a page; see ``canonical``, and ``decide_page``."""
    requests = _slots(page)
    if not page.partial:
        return PageAnswer(slots=[canonical(view, request, now=now) for request in requests])
    slots, refused = _possible(requests, lambda n: canonical(view, requests[n], now=now))
    return PageAnswer(slots=slots, refused=refused)


def _slots(page: PageRequest) -> list[DecideRequest]:
    if len(page.slots) > MAX_SLOTS:
        raise PayloadTooLarge(
            f"the page has {len(page.slots)} slots", field="slots", hint=f"at most {MAX_SLOTS}"
        )
    return page.requests()


def _possible(
    requests: Sequence[DecideRequest], answer: Callable[[int], Found]
) -> tuple[list[Found], list[RefusedSlot]]:
    """What ``answer`` gives for each request by its index, and what was wrong with the others."""
    found: list[Found] = []
    refused: list[RefusedSlot] = []
    for n, request in enumerate(requests):
        try:
            found.append(answer(n))
        except _OF_A_SLOT as exc:
            refused.append(_refusal(n, request.placement, exc))
    return found, refused


def _refusal(index: int, placement: str, error: BanditError) -> RefusedSlot:
    return RefusedSlot(
        index=index,
        placement=placement,
        code=error.specific_code,
        message=error.message,
        field=error.field,
        hint=error.hint,
    )
