"""Explaining: one decision, derived again from the log and the snapshot that it names.

Nothing is taken on trust: the candidates come from the catalog's revision that the decision names,
the features from what was logged, the probabilities from the snapshot's model through the same
``Chooser`` that served it, the draw from the site's salt. If the snapshot's bytes are gone, the
log is folded again up to its position and the result is checked against its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from bandit_service.archive.history import History
from bandit_service.catalog.model import Placement
from bandit_service.errors import LogError, NotFound
from bandit_service.events.entries import START, Decision, Event, Position, Tick, came, decode
from bandit_service.events.identity import SiteSecret, claimed_time
from bandit_service.folds.learner import stored_settings
from bandit_service.folds.rebuild import fold_to
from bandit_service.outcomes.join import LATEST_MS, Join, Outcome
from bandit_service.policy.chooser import (
    Candidates,
    Chooser,
    Distribution,
    draw,
    without_knowledge,
)
from bandit_service.policy.features import shared_line
from bandit_service.policy.logged import candidates_of
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.policy.snapshot import Snapshot, SnapshotName, load_snapshot
from bandit_service.storage.ports import Log, SiteStore, entries_of

SEARCH_MS: Final = 5_000
"""How far from a decision's own time its entry is looked for first, in ms."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as logged, and as derived again."""

    decision: Decision
    position: Position
    events: list[Event]
    outcome: Outcome | None
    """None while the decision is open."""
    repeats: bool
    """Whether it is a later view of a unit that had opened before."""
    shared: str
    lines: list[str]
    derived: Distribution
    chosen: int
    holdout: bool
    refolded: bool
    """Whether the snapshot had to be derived from the log."""

    @property
    def agrees(self) -> bool:
        """Whether the derivation gives the logged probabilities and draw, bit for bit."""
        logged = self.decision
        return (
            self.derived.overall == logged.probabilities
            and self.chosen == logged.chosen
            and self.holdout == logged.holdout
        )


def explain(
    store: SiteStore,
    decision_id: str,
    *,
    defaults: SiteSettings,
    progress: Callable[[int], None],
    history: Log | None = None,
) -> Explanation:
    """Find a decision in the log and derive it again.

    ``history`` is the whole log, archive included; it may be left out of a log that never was
    trimmed.

    Raises:
        ArchiveError: if the log was trimmed and its archive cannot be read.
        NotFound: if this site has no such decision.
        LogError: if the log does not have what the decision names.
        SnapshotError: if its snapshot can neither be read nor derived.
    """
    secret, log = SiteSecret(store.secret()), history or History(store, None)
    position, decision = _find(log, decision_id, progress)
    placement = _placement(store, decision)
    candidates = candidates_of(decision, placement)
    shared = shared_line(decision.persona, decision.traits, decision.context)
    snapshot, refolded = _snapshot(store, log, decision, progress)
    settings = defaults if snapshot is None else snapshot.settings
    derived = _distribution(snapshot, settings.policy, candidates, shared)
    choice = draw(settings.policy, secret.salt, decision.unit, candidates, derived)
    events, outcome, repeats = _what_happened(log, settings, decision, position)
    return Explanation(
        decision=decision,
        position=position,
        events=events,
        outcome=outcome,
        repeats=repeats,
        shared=shared,
        lines=list(candidates.lines),
        derived=derived,
        chosen=choice.chosen,
        holdout=choice.holdout,
        refolded=refolded,
    )


def _find(log: Log, decision_id: str, progress: Callable[[int], None]) -> tuple[Position, Decision]:
    at = claimed_time(decision_id)
    if at is None:
        raise NotFound(
            f"site {log.site!r} never issued the decision {decision_id[:80]!r}",
            hint="give the id as /v1/decide answered it, and its site with --site",
        )
    needle = decision_id.encode()
    near = Position(max(0, at - SEARCH_MS), 0), Position(at + SEARCH_MS, 0)
    # The log's clock never runs backwards, a server's may: then look everywhere, which takes long.
    for (after, upto), told in ((near, _nobody), ((START, log.tail()), progress)):
        for position, data in entries_of(log, after=after, upto=upto):
            told(1)
            if needle in data:
                entry = decode(data)
                if isinstance(entry, Decision) and entry.id == decision_id:
                    return position, entry
    raise NotFound(
        f"decision {decision_id} is not in the log of site {log.site!r}",
        hint="it may be older than what the log keeps, or another site's, or nobody's",
    )


def _nobody(_: int) -> None:
    """Is told of progress where there is little to wait for."""


def _placement(store: SiteStore, decision: Decision) -> Placement | None:
    if decision.inline is not None:
        return None
    document = store.document(decision.placement, decision.revision)
    if document is None:
        raise LogError(
            f"revision {decision.revision} of placement {decision.placement!r} is not in the log"
        )
    return msgspec.json.decode(document.data, type=Placement)


def _snapshot(
    store: SiteStore, log: Log, decision: Decision, progress: Callable[[int], None]
) -> tuple[Snapshot | None, bool]:
    if "." not in decision.snapshot:
        return None, False
    data = store.snapshot(decision.snapshot)
    if data is not None:
        return load_snapshot(data, name=decision.snapshot), False
    name = SnapshotName.parse(decision.snapshot)
    settings = stored_settings(store, decision.snapshot)
    fold = fold_to(log, settings, name.position, progress=progress)
    try:
        encoded = fold.snapshot().encoded
    finally:
        fold.close()
    return load_snapshot(encoded, name=decision.snapshot), True


def _distribution(
    snapshot: Snapshot | None, policy: PolicySettings, candidates: Candidates, shared: str
) -> Distribution:
    if snapshot is None:
        return without_knowledge(policy, candidates)
    chooser = Chooser(snapshot)
    try:
        return chooser.distribution(candidates, shared)
    finally:
        chooser.close()


def _what_happened(
    log: Log, settings: SiteSettings, decision: Decision, position: Position
) -> tuple[list[Event], Outcome | None, bool]:
    """Join the part of the log that this decision's unit can be in."""
    slot_ms, window_ms = decision.slot_ms, settings.rewards.window_ms
    join = Join(settings.rewards)
    began = min(position.ms, decision.at) - slot_ms - LATEST_MS  # earlier where it waited on disk
    first = Position(max(0, began), 0)
    last = Position(position.ms + slot_ms + 2 * window_ms + 1, 0)
    events: list[Event] = []
    ids: list[str] = []
    for at, data in entries_of(log, after=first, upto=last):
        entry = decode(data)
        mine = isinstance(entry, Decision) and entry.unit == decision.unit
        if isinstance(entry, Decision) and mine:
            ids.append(entry.id)
        elif isinstance(entry, Event) and entry.decision in (decision.id, *ids):
            events.append(entry)
            mine = True
        closed = join.apply(at, entry) if mine else join.apply(came(at, entry), Tick(at=at.ms))
        if closed:
            return events, closed[0], ids[0] != decision.id
    return events, None, bool(ids) and ids[0] != decision.id
