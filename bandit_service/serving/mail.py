"""Answering the addresses in e-mails: which picture to show, and where a click leads.

The picture is chosen when it is fetched, for the reader whose id the address names, and the choice
is logged like any other, with the channel in its context. Fetched by a reader, it is an impression
too. Fetched ahead of time by a mail provider's machine (``readers``), it is chosen all the same,
since it is what the reader will see, but marked PREFETCHED: nobody knows whether it was ever
looked at, so neither it nor a click that follows teaches anything. Crawlers get the canonical one,
and so does everybody once the token has ended.

A click is tied to the last decision that was made for its reader and placement, which the memory of
visits names. It counts once for a decision. Where none is remembered (the e-mail shows no pictures,
or a process has not heard yet), the redirect goes on and nothing is counted.

Nothing here fails for what a reader can do nothing about: a persona or trait that the e-mail's
program filled in wrongly is left out, and a store that is away costs the count, not the redirect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from bandit_service.catalog.model import TraitValue, Variant
from bandit_service.errors import InvalidInput, NotFound, NothingToShow, StorageError
from bandit_service.events.entries import PREFETCHED
from bandit_service.serving.canonical import canonical
from bandit_service.serving.crawlers import Kind
from bandit_service.serving.decide import decide
from bandit_service.serving.intake import take_events
from bandit_service.serving.links import Link, address, leads_to, reader_id
from bandit_service.serving.requests import DecideAnswer, DecideRequest, EventsRequest
from bandit_service.serving.view import SiteView

log = structlog.get_logger(__name__)

What = Literal["opened", "prefetched", "canonical", "clicked", "untied"]
WHATS: Final[tuple[What, ...]] = ("opened", "prefetched", "canonical", "clicked", "untied")
"""What a request can turn out to be, for figures."""
TRAIT: Final = "traits."
"""What the names of traits begin with in an address."""


class Redirect(NamedTuple):
    """Where to, and what the request was."""

    to: str
    what: What
    answer: DecideAnswer | None = None
    """The decision, where one was made."""


def picture(
    view: SiteView,
    link: Link,
    reader: str,
    *,
    kind: Kind | None,
    said: Mapping[str, Sequence[str]],
    now: int,
    entropy: bytes,
) -> Redirect:
    """Choose the picture for ``reader``; ``kind`` is who fetches it, ``said`` the query.

    Raises:
        NotFound, NothingToShow: if the placement has no picture to show.
    """
    known = reader_id(reader)
    if kind == "crawler" or known is None or now >= link.until:
        answer = canonical(view, DecideRequest(placement=link.placement), now=now)
        return Redirect(_address(link, answer), "canonical")
    flags = (PREFETCHED,) if kind == "prefetch" else ()
    answer = _decided(view, _request(link, known, said), now, entropy, flags)
    if kind is None and answer.logged:
        _report(view, answer.decision, "impression", now)
    return Redirect(_address(link, answer), "prefetched" if kind else "opened", answer)


def click(view: SiteView, link: Link, reader: str, *, kind: Kind | None, now: int) -> Redirect:
    """Count a click of ``reader``, unless ``kind`` says that it is none; and where it leads."""
    known = reader_id(reader)
    shown, tied = None, False
    if kind is None and known is not None and now < link.until:
        shown, tied = _tie(view, link, known, now)
    to = leads_to(link, shown, _canonical_variant(view, link, now))
    return Redirect(to, "clicked" if tied else "untied")


def _tie(view: SiteView, link: Link, reader: str, now: int) -> tuple[Variant | None, bool]:
    """The variant that a reader was shown, and whether the click is in the log."""
    try:
        visit = view.visits.latest(view.secret.pseudonym(reader), link.placement)
    except StorageError as exc:
        log.warning("click_not_tied", site=view.site, error=exc.message)
        return None, False
    if visit is None:
        return None, False
    shelf = view.shelves.get(link.placement)
    variant = None if shelf is None else shelf.placement.variant(visit.arm.rpartition("@")[0])
    return variant, bool(visit.decision) and _report(view, visit.decision, "click", now)


def _request(link: Link, reader: str, said: Mapping[str, Sequence[str]]) -> DecideRequest:
    traits: dict[str, TraitValue] = {
        name.removeprefix(TRAIT): [part for text in texts for part in text.split(",") if part]
        for name, texts in said.items()
        if name.startswith(TRAIT)
    }
    persona = link.persona or next(iter(said.get("persona", ())), None)
    return DecideRequest(
        placement=link.placement,
        visitor=reader,
        persona=persona or None,
        traits=traits,
        context={"channel": link.channel},
    )


def _decided(
    view: SiteView, request: DecideRequest, now: int, entropy: bytes, flags: Sequence[str]
) -> DecideAnswer:
    try:
        return decide(view, request, now=now, entropy=entropy, flags=flags)
    except InvalidInput as exc:
        log.warning("mail_field_left_out", site=view.site, field=exc.field, error=exc.message)
    plain = replace(request, persona=None, traits={})
    return decide(view, plain, now=now, entropy=entropy, flags=flags)


def _report(view: SiteView, decision: str, event: str, now: int) -> bool:
    """Log an event, once a decision; whether the log has it."""
    raw = msgspec.Raw(msgspec.json.encode({"decision": decision, "type": event, "id": event}))
    try:
        return take_events(view, EventsRequest(events=[raw]), now=now).accepted == 1
    except StorageError as exc:
        log.warning("mail_event_not_logged", site=view.site, error=exc.message)
        return False


def _address(link: Link, answer: DecideAnswer) -> str:
    found = address(link, answer.variant.image_url)
    if found is None:
        raise NotFound(f"{link.placement!r} has no pictures", field="placement")
    return found


def _canonical_variant(view: SiteView, link: Link, now: int) -> Variant | None:
    try:
        shown = canonical(view, DecideRequest(placement=link.placement), now=now).variant
    except (NotFound, NothingToShow):
        return None
    return view.shelves[link.placement].placement.variant(shown.id)
