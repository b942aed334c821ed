"""Everything that is held about one visitor, as one document for people to read.

The visitor's own id is turned into the pseudonym that the log uses; the log is read once, in
order, and all of it goes through the join, so that each outcome is the one that was learned. What
is held in memory is the visitor's own, and one time slot of the join.

An event belongs to a visitor through its decision alone. A decision that was kept aside while the
store was away reaches the log late, perhaps after events that speak of it; they teach nothing, and
are held all the same. So where a decision was late, the stretch that it was late by is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from bandit_service.archive.reading import Joined, decoded, told
from bandit_service.archive.times import readable
from bandit_service.errors import NotFound
from bandit_service.events.entries import START, Decision, Entry, Event, Position
from bandit_service.events.visits import decode_visit
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.settings import SiteSettings
from bandit_service.storage.ports import Log, entries_of

LATE_MS: Final = 1_000
"""A decision that reached the log so long after it was made had been kept aside, in ms."""
CLOCKS_MS: Final = 60_000
"""How far a server's clock may be ahead of the log's, in ms."""
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
    log: Log,
    visits: Mapping[str, bytes],
    *,
    pseudonym: str,
    settings: SiteSettings,
    progress: Callable[[int], None],
) -> Revealed:
    """Gather what is held: ``visits`` is what the store remembers, ``log`` the whole log.

    Raises:
        NotFound: if nothing is held.
        LogError: naming the position of an entry that cannot be read.
    """
    reader = _Reader(pseudonym, settings)
    rows = told(entries_of(log, after=START, upto=log.tail()), progress)
    for position, data, entry in decoded(rows):
        reader.apply(position, data, entry)
    reader.look_again(log)
    remembered = [v for place, data in sorted(visits.items()) for v in _visit(place, data)]
    if not remembered and not reader.decisions:
        raise NotFound(
            f"site {log.site!r} holds nothing about this visitor",
            hint="give the id exactly as the website sends it, and its site with --site",
        )
    return Revealed(
        site=log.site, pseudonym=pseudonym, visits=remembered, decisions=reader.decisions
    )


class _Reader:
    """Picks one visitor's decisions out of a log."""

    def __init__(self, pseudonym: str, settings: SiteSettings) -> None:
        self.decisions: list[RevealedDecision] = []
        self._pseudonym = pseudonym
        self._joined = Joined(settings)
        self._by_id: dict[str, RevealedDecision] = {}
        self._late_since: int | None = None
        self._late_until = START

    def apply(self, position: Position, data: bytes, entry: Entry) -> None:
        if isinstance(entry, Decision) and entry.visitor == self._pseudonym:
            shown = RevealedDecision(str(position), readable(entry.at), msgspec.Raw(data))
            self.decisions.append(shown)
            self._by_id.setdefault(entry.id, shown)
            self._note_late(position, entry)
        elif isinstance(entry, Event) and entry.decision in self._by_id:
            self._by_id[entry.decision].events.append(_event(position, data, entry))
        for outcome in self._joined.apply(position, entry):
            self._close(outcome)

    def look_again(self, log: Log) -> None:
        """Find the events that reached the log before their decisions did."""
        if self._late_since is None:
            return
        after = Position(max(0, self._late_since - CLOCKS_MS), 0)
        for position, data, entry in decoded(entries_of(log, after=after, upto=self._late_until)):
            if isinstance(entry, Event) and entry.decision in self._by_id:
                shown = self._by_id[entry.decision]
                if position < Position.parse(shown.position):
                    shown.events.append(_event(position, data, entry))
        for shown in self.decisions:
            shown.events.sort(key=lambda event: Position.parse(event.position))

    def _note_late(self, position: Position, decision: Decision) -> None:
        if position.ms - decision.at > LATE_MS:
            self._late_since = min(decision.at, self._late_since or decision.at)
            self._late_until = position

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
