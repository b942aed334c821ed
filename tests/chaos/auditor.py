"""The auditor: what was promised, against what the log, the model and the reports say.

``audit`` is a function of its arguments and starts nothing, so that tests can hand it a damaged
log and see it object. It reads the log alone where others would ask the service: the fold of all
rows from nothing is the measure of the live model, of every snapshot that an answer named, and of
the counters.

    lost      an acknowledged decision or event, a unit's outcome, or a served snapshot's place on
              the log, that is not there
    doubled   a decision, a sending of an event, or a unit's outcome that is there more than once
    wrong     a decision that is not as it was answered, an event that came before its decision, or
              an answer that should never be given
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from bandit_service.events.entries import START, Decision, Entry, Event, Position, decode
from bandit_service.events.identity import SiteSecret
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.units import JoinCounts
from bandit_service.policy.settings import SiteSettings
from bandit_service.reporting.counters import Parts
from bandit_service.storage.ports import Log, Resumed, SiteStore, entries_of
from tests.chaos.ledger import Ledger, Sending

Row = tuple[Position, bytes]
SHOWN: Final = 10
"""Findings of each sort that are spelt out."""


@dataclass(frozen=True, slots=True)
class Live:
    """What the service says it has learned."""

    name: str
    snapshot: bytes | None
    resumed: Resumed | None
    """Its checkpoint, and what it has counted by then."""


@dataclass(slots=True)
class Findings:
    """What is wrong, each in a sentence; and how much there was to be right."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    model_equal: bool = False
    counters_equal: bool = False
    logged_unasked: int = 0
    """Decisions and sendings in the log whose request was not acknowledged."""
    units: int = 0
    snapshots: int = 0
    """Different snapshots that answers named; each was found on the log again."""
    counts: JoinCounts = field(default_factory=JoinCounts)

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        broken = self.lost or self.doubled or self.wrong
        return not broken and self.model_equal and self.counters_equal


def rows_of(log: Log) -> list[Row]:
    """A whole log, oldest first: that of a store, or that of its archive and its stream."""
    return list(entries_of(log, after=START, upto=log.tail()))


def live_of(store: SiteStore) -> Live:
    """What a site serves now."""
    head = store.head()
    name = "" if head is None else head.name
    return Live(name, store.snapshot(name), store.resumed())


def missing(ledger: Ledger, rows: Iterable[Row]) -> int:
    """How many acknowledged decisions and events are not in the log."""
    entries = [decode(data) for _, data in rows]
    decisions = {entry.id for entry in entries if isinstance(entry, Decision)}
    sendings = {_sending(entry) for entry in entries if isinstance(entry, Event)}
    lost = sum(answer.id not in decisions for answer in ledger.answers)
    return lost + sum(sending not in sendings for sending in ledger.accepted)


def audit(
    ledger: Ledger, rows: Sequence[Row], live: Live, *, settings: SiteSettings, secret: SiteSecret
) -> Findings:
    """Compare everything that was acknowledged with the log, and the model with the log's fold.

    ``rows`` end with an entry that closes the last unit.
    """
    findings = Findings(wrong=list(ledger.wrong))
    entries = [(position, decode(data)) for position, data in rows]
    _decisions(findings, ledger, entries, secret)
    _events(findings, ledger, entries)
    _order(findings, entries)
    _fold(findings, ledger, entries, live, settings)
    return findings


def _decisions(
    findings: Findings,
    ledger: Ledger,
    entries: Sequence[tuple[Position, Entry]],
    secret: SiteSecret,
) -> None:
    logged: dict[str, list[Decision]] = defaultdict(list)
    for _, entry in entries:
        if isinstance(entry, Decision):
            logged[entry.id].append(entry)
    findings.doubled += [
        f"decision {key} is in the log {len(found)} times"
        for key, found in logged.items()
        if len(found) > 1
    ]
    answered = Counter(answer.id for answer in ledger.answers)
    findings.doubled += [
        f"decision {key} was answered twice" for key, n in answered.items() if n > 1
    ]
    findings.logged_unasked += len(logged.keys() - answered.keys())
    for answer in ledger.answers:
        if answer.id not in logged:
            findings.lost.append(f"decision {answer.id}, which was answered")
            continue
        entry = logged[answer.id][0]
        pseudonym = None if answer.visitor is None else secret.pseudonym(answer.visitor)
        said = (pseudonym, *answer[2:])
        stored = (
            entry.visitor,
            entry.placement,
            entry.arm,
            entry.propensity,
            entry.persona,
            entry.confidence,
            entry.snapshot,
            entry.reason,
        )
        if said != stored:
            findings.wrong.append(f"decision {answer.id} was answered {said}, logged {stored}")


def _events(findings: Findings, ledger: Ledger, entries: Sequence[tuple[Position, Entry]]) -> None:
    logged = Counter(_sending(entry) for _, entry in entries if isinstance(entry, Event))
    findings.doubled += [
        f"{sending} is in the log {n} times" for sending, n in logged.items() if n > 1
    ]
    findings.lost += [
        f"{sent}, which was accepted" for sent in ledger.accepted if sent not in logged
    ]
    findings.logged_unasked += len(logged.keys() - set(ledger.accepted))
    sent = {*ledger.accepted, *ledger.unsure}
    findings.wrong += [f"{logged} was never sent" for logged in logged.keys() - sent]


def _order(findings: Findings, entries: Sequence[tuple[Position, Entry]]) -> None:
    """Positions grow, and what a client did after an answer comes after its decision."""
    findings.wrong += [
        f"the entry at {later} follows the one at {before}"
        for (before, _), (later, _) in pairwise(entries)
        if later <= before
    ]
    decided = {entry.id: at for at, entry in reversed(entries) if isinstance(entry, Decision)}
    findings.wrong += [
        f"the event at {at} came before its decision {entry.decision}"
        for at, entry in entries
        if isinstance(entry, Event) and at < decided.get(entry.decision, START)
    ]


def _fold(
    findings: Findings,
    ledger: Ledger,
    entries: Sequence[tuple[Position, Entry]],
    live: Live,
    settings: SiteSettings,
) -> None:
    """Fold the log from nothing; count outcomes; find every named snapshot again on the way."""
    named = {answer.snapshot for answer in ledger.answers}
    at = {Position.parse(name.partition(".")[0]) for name in named if "." in name}
    made: set[str] = set()
    closed: Counter[str] = Counter()
    fold = SiteFold(settings)
    try:
        if START in at:
            made.add(fold.snapshot().name)
        for position, entry in entries:
            closed.update(outcome.decision.unit for outcome in fold.apply(position, entry))
            if position in at:
                made.add(fold.snapshot().name)
        snapshot = fold.snapshot()
        counted = fold.report().site, fold.counters.parts()
    finally:
        fold.close()
    units = {entry.unit for _, entry in entries if isinstance(entry, Decision)}
    findings.lost += [f"the outcome of unit {unit}" for unit in units if unit not in closed]
    findings.doubled += [f"unit {unit} closed {n} times" for unit, n in closed.items() if n > 1]
    findings.lost += [f"snapshot {name}, which served" for name in named - made if "." in name]
    findings.units, findings.snapshots, findings.counts = len(units), len(named), fold.join.counts
    findings.model_equal = (live.name, live.snapshot) == (snapshot.name, snapshot.encoded)
    findings.counters_equal = _counted(live.resumed) == counted


def _counted(resumed: Resumed | None) -> tuple[bytes | None, Parts] | None:
    """What was counted: of the site as a whole, and of every placement."""
    if resumed is None:
        return None
    return resumed.site, Parts(resumed.sums, resumed.series)


def _sending(event: Event) -> Sending:
    return Sending(event.decision, event.type, event.value or 0.0, event.id)
