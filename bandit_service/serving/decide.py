"""Deciding: from a request to a logged decision and its answer.

The order is the promise: the draw is made, the decision is appended to the log, and only when that
is acknowledged is there an answer. What the entry says is what was used. Where nothing takes the
decision, the visitor is shown a variant all the same, and the answer says that it was not logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from zlib import crc32

import structlog
from msgspec.structs import replace

from bandit_service.catalog.checks import check_variant
from bandit_service.catalog.limits import MAX_INLINE_ID
from bandit_service.catalog.model import Kind, Variant
from bandit_service.errors import InvalidInput, NotFound, NothingToShow, StorageError
from bandit_service.events import visits
from bandit_service.events.entries import IF_SEEN, Decision, Reason, encode, unit_of
from bandit_service.events.identity import slot_of
from bandit_service.policy.chooser import (
    Candidates,
    Choice,
    Chooser,
    Distribution,
    draw,
    without_knowledge,
)
from bandit_service.serving.requests import (
    DecideAnswer,
    DecideRequest,
    InlineVariant,
    VariantAnswer,
    check_request,
    check_text,
)
from bandit_service.serving.view import SiteView

log = structlog.get_logger(__name__)

NO_SNAPSHOT: Final = "none"
"""Named by decisions that no snapshot had a part in."""


class Offer(NamedTuple):
    """What may be shown for a request."""

    candidates: Candidates
    revision: int
    kind: Kind | None
    """The placement's kind, or None where candidates are inline and say it themselves."""


class _Guest(NamedTuple):
    """A visitor in front of a placement, and what is remembered of both."""

    pseudonym: str
    visit: visits.Visit | None


class Made(NamedTuple):
    """A decision, ready to be logged and answered."""

    entry: Decision
    answer: DecideAnswer


def decide(
    view: SiteView,
    request: DecideRequest,
    *,
    now: int,
    entropy: bytes,
    flags: Sequence[str] = (),
) -> DecideAnswer:
    """Choose, log, answer. ``now`` is in ms since the Unix epoch; ``entropy`` is 9 random bytes.

    ``flags`` are those of the logged decision, beside what the request says itself.

    Raises:
        InvalidInput: if the request breaks a limit or names an unknown persona.
        NotFound: if there is no such placement.
        NothingToShow: if no live variant is left.
    """
    (answer,) = logged(view, made_for(view, [request], now, [entropy], flags))
    return answer


def logged(view: SiteView, made: Sequence[Made]) -> list[DecideAnswer]:
    """The answers of decisions that are logged now, or marked where they could not be."""
    try:
        view.append([encode(one.entry) for one in made])
    except StorageError as exc:
        log.warning("decision_not_logged", site=view.site, error=exc.message)
        return [replace(one.answer, reason="fallback", logged=False) for one in made]
    for one in made:
        view.visits.saw(one.entry)
    return [one.answer for one in made]


def made_for(
    view: SiteView,
    requests: Sequence[DecideRequest],
    now: int,
    entropies: Sequence[bytes],
    flags: Sequence[str] = (),
) -> list[Made]:
    """A decision for each of some requests of one visitor, not logged yet; see ``decide``."""
    for request in requests:
        check_request(request)
    guests = _guests(view, requests, now)
    return [
        _choose(view, request, guest, now, entropy, flags)
        for request, guest, entropy in zip(requests, guests, entropies, strict=True)
    ]


def _guests(view: SiteView, requests: Sequence[DecideRequest], now: int) -> list[_Guest | None]:
    """Who asks, for each of some requests of one visitor; None for nobody in particular."""
    visitor = requests[0].visitor
    if visitor is None:
        return [None] * len(requests)
    pseudonym = view.secret.pseudonym(visitor)
    known = view.visits.of(pseudonym, now)
    return [_Guest(pseudonym, known.get(request.placement)) for request in requests]


def _choose(
    view: SiteView,
    request: DecideRequest,
    guest: _Guest | None,
    now: int,
    entropy: bytes,
    flags: Sequence[str],
) -> Made:
    offer = offer_for(view, request, now)
    chooser = view.chooser  # read once: a snapshot may be swapped in at any moment
    policy = view.defaults.policy if chooser is None else chooser.policy
    described = view.descriptions.of(request, now)
    remembered: dict[str, str] = {}
    decision_id = view.secret.new_decision(now, entropy)
    unit, slot = decision_id, None
    if guest is not None:
        slot = slot_of(guest.pseudonym, now, policy.slot_ms)
        unit = unit_of(guest.pseudonym, request.placement, slot)
        remembered = visits.features(guest.visit, slot, now)
    if chooser is None:
        given = without_knowledge(policy, offer.candidates)
    else:
        given = chooser.distribution(offer.candidates, described.shared(remembered))
    choice = draw(policy, view.secret.salt, unit, offer.candidates, given)
    arm = offer.candidates.arms[choice.chosen]
    repeated = guest is not None and slot is not None and visits.seen_in(guest.visit, slot, arm)
    entry = Decision(
        id=decision_id,
        at=now,
        placement=request.placement,
        revision=offer.revision,
        arms=offer.candidates.arms,
        probabilities=given.overall,
        chosen=choice.chosen,
        snapshot=NO_SNAPSHOT if chooser is None else chooser.name,
        reason=_reason(chooser, given, choice, repeated=repeated),
        persona=described.resolution.persona,
        confidence=described.resolution.confidence,
        visitor=None if guest is None else guest.pseudonym,
        slot=slot,
        slot_ms=0 if slot is None else policy.slot_ms,
        holdout=choice.holdout,
        context={**described.context, **remembered},
        traits=described.traits,
        exclude=request.exclude,
        inline=list(offer.candidates.variants) if request.candidates is not None else None,
        flags=[*flags, IF_SEEN] if request.counts == "seen" else list(flags),
    )
    return Made(entry, _answer(entry, offer, given))


def offer_for(view: SiteView, request: DecideRequest, now: int) -> Offer:
    """What may be shown for a request at ``now``, in ms since the Unix epoch.

    Raises:
        InvalidInput: if candidates that came with it cannot be used.
        NotFound: if there is no such placement.
        NothingToShow: if no live variant is left.
    """
    shelf = view.shelves.get(request.placement)
    if request.candidates is not None:
        variants = [_inline(n, spec) for n, spec in enumerate(request.candidates)]
        variants = [variant for variant in variants if variant.id not in request.exclude]
        _check_distinct(variants)
        offer = Offer(Candidates.inline(request.placement, variants), 0, None)
    elif shelf is None or shelf.placement.retired:
        raise NotFound(
            f"there is no placement {request.placement!r}",
            field="placement",
            hint="register it: PUT /v1/placements/{placement}, or send candidates",
        )
    else:
        placement = shelf.placement
        candidates = (
            Candidates.of(placement, now, request.exclude)
            if request.exclude
            else shelf.candidates(now)
        )
        offer = Offer(candidates, placement.revision, placement.kind)
    if not len(offer.candidates):
        raise NothingToShow(
            f"placement {request.placement!r} has no live variant that may be shown",
            field="placement",
            hint="make a variant live, or exclude fewer",
        )
    return offer


def _inline(index: int, spec: InlineVariant) -> Variant:
    field = f"candidates.{index}"
    if spec.id is None:
        raise InvalidInput("a candidate has no id", field=f"{field}.id", hint="give it one")
    check_text(spec.id, MAX_INLINE_ID, f"{field}.id")
    variant = Variant(
        id=spec.id,
        version=1,
        headline=spec.headline,
        image_url=spec.image_url,
        alt=spec.alt,
        target_url=spec.target_url,
        tags=tuple(spec.tags),
        attributes=spec.attributes,
        status="live",
        min_share=spec.min_share,
        max_share=spec.max_share,
    )
    check_variant(variant, None, field)
    # Inline content has no history: its checksum tells one version from another.
    content = "\x00".join(part or "" for part in variant.content)
    version = crc32(content.encode("utf-8", "surrogatepass"))
    return replace(variant, version=version)


def _check_distinct(variants: Sequence[Variant]) -> None:
    if len({variant.id for variant in variants}) != len(variants):
        raise InvalidInput(
            "two candidates have the same id", field="candidates", hint="give each its own id"
        )


def _reason(
    chooser: Chooser | None, given: Distribution, choice: Choice, *, repeated: bool
) -> Reason:
    if len(given.learned) == 1:
        return "only"
    if choice.holdout:
        return "holdout"
    if chooser is None:
        return "fallback"
    if repeated:
        return "sticky"
    likeliest = given.learned[choice.chosen] >= max(given.learned)
    return "learned" if likeliest else "explored"


def _answer(entry: Decision, offer: Offer, given: Distribution) -> DecideAnswer:
    variant = offer.candidates.variants[entry.chosen]
    return DecideAnswer(
        decision=entry.id,
        placement=entry.placement,
        variant=shown(variant, offer.kind),
        persona=entry.persona,
        persona_confidence=entry.confidence,
        probability=entry.propensity,
        match=given.rewards[entry.chosen],
        snapshot=entry.snapshot,
        reason=entry.reason,
    )


def shown(variant: Variant, kind: Kind | None) -> VariantAnswer:
    """A variant as answers show it; without a kind, its content says what it is."""
    return VariantAnswer(
        id=variant.id,
        version=variant.version,
        kind=kind or kind_of(variant),
        headline=variant.headline,
        image_url=variant.image_url,
        alt=variant.alt,
        target_url=variant.target_url,
        tags=variant.tags,
        attributes=variant.attributes,
    )


def kind_of(variant: Variant) -> Kind:
    """The kind that a variant's content makes it."""
    if variant.image_url and variant.headline:
        return "card"
    return "thumbnail" if variant.image_url else "headline"
