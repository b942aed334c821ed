"""Everything that is held about one visitor, as one document for people to read.

The visitor's own id is turned into the pseudonym that the log uses; the log is read once, in
order, and all of it goes through the join, so that each outcome is the one that was learned. What
is held in memory is the visitor's own, and one time slot of the join.

An event belongs to a visitor through its decision, so one that stands in the log before its
decision, or whose decision is no longer in it, is nobody's: it says nothing of who sent it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from bandit_service.archive.reading import Joined, LogRow, decoded
from bandit_service.archive.times import readable
from bandit_service.errors import NotFound
from bandit_service.events.entries import Decision, Entry, Event, Position
from bandit_service.events.visits import decode_visit
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.settings import SiteSettings

NOT_STORED: Final = (
    "The visitor's own id: what is stored is a keyed hash, from which it cannot be computed.",
    "IP addresses, cookies, headers of the browser and addresses of pages: never written.",
    "Names or contact details: no field is made for them; a site may send some as traits.",
    "What models and counters learned from decisions: they hold sums over all visitors.",
)
"""What nobody will find, one sentence each."""


class RevealedEvent(msgspec.Struct, frozen=True):
    """Something that the visitor did."""

    position: str
    at: str
    received: str
    entry: msgspec.Raw
    """As logged."""


class RevealedOutcome(msgspec.Struct, frozen=True):
    """How the unit closed that a decision had opened."""

    kind: str
    reward: float
    views: int
    closed: str


class RevealedDecision(msgspec.Struct):
    """One thing that was shown to the visitor, and what followed."""

    position: str
    at: str
    entry: msgspec.Raw
    """As logged."""
    events: list[RevealedEvent] = []
    outcome: RevealedOutcome | None = None
    """None while open, and for views that count with an earlier decision."""


class RevealedVisit(msgspec.Struct, frozen=True):
    """What is remembered of the visitor and one placement."""

    placement: str
    last_shown: str
    last_seen: str
    slot_began: str
    earlier_slots: int
    seen_before_slot: str | None


class Revealed(msgspec.Struct, frozen=True, kw_only=True):
    """The document."""

    site: str
    pseudonym: str
    visits: list[RevealedVisit]
    decisions: list[RevealedDecision]
    not_stored: tuple[str, ...] = NOT_STORED


def reveal(
    rows: Iterable[LogRow],
    visits: Mapping[str, bytes],
    *,
    site: str,
    pseudonym: str,
    settings: SiteSettings,
) -> Revealed:
    """Gather what is held: ``visits`` is what the store remembers, ``rows`` the whole log.

    Raises:
        NotFound: if nothing is held.
        LogError: naming the position of an entry that cannot be read.
    """
    reader = _Reader(pseudonym, settings)
    for position, data, entry in decoded(rows):
        reader.apply(position, data, entry)
    remembered = [v for place, data in sorted(visits.items()) for v in _visit(place, data)]
    if not remembered and not reader.decisions:
        raise NotFound(
            f"site {site!r} holds nothing about this visitor",
            hint="give the id exactly as the website sends it, and its site with --site",
        )
    return Revealed(site=site, pseudonym=pseudonym, visits=remembered, decisions=reader.decisions)


class _Reader:
    """Picks one visitor's decisions out of a log."""

    def __init__(self, pseudonym: str, settings: SiteSettings) -> None:
        self.decisions: list[RevealedDecision] = []
        self._pseudonym = pseudonym
        self._joined = Joined(settings)
        self._by_id: dict[str, RevealedDecision] = {}

    def apply(self, position: Position, data: bytes, entry: Entry) -> None:
        if isinstance(entry, Decision) and entry.visitor == self._pseudonym:
            shown = RevealedDecision(str(position), readable(entry.at), msgspec.Raw(data))
            self.decisions.append(shown)
            self._by_id.setdefault(entry.id, shown)
        elif isinstance(entry, Event) and entry.decision in self._by_id:
            self._by_id[entry.decision].events.append(_event(position, data, entry))
        for outcome in self._joined.apply(position, entry):
            self._close(outcome)

    def _close(self, outcome: Outcome) -> None:
        shown = self._by_id.get(outcome.decision.id)
        if shown is not None:
            shown.outcome = RevealedOutcome(
                outcome.kind, outcome.reward, outcome.views, readable(outcome.closed.ms)
            )


def _event(position: Position, data: bytes, entry: Event) -> RevealedEvent:
    return RevealedEvent(
        str(position), readable(entry.at), readable(entry.received), msgspec.Raw(data)
    )


def _visit(placement: str, data: bytes) -> Iterable[RevealedVisit]:
    visit = decode_visit(data)
    if visit is not None:
        yield RevealedVisit(
            placement=placement,
            last_shown=visit.arm,
            last_seen=readable(visit.at),
            slot_began=readable(visit.slot),
            earlier_slots=visit.earlier,
            seen_before_slot=readable(visit.earlier_at) if visit.earlier else None,
        )


def document(revealed: Revealed) -> bytes:
    """The document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(revealed), indent=2) + b"\n"
