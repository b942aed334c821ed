"""The fold of a site: log entries in, a model and counters out.

    entry ──▶ catalog history
          └─▶ join ──units, outcomes──▶ trainer
                            └─────────▶ counters

The state after a log is a function of (settings, log); stopping anywhere, dumping, restoring and
going on gives the same state and the same snapshots, to the byte. This is what makes crashes,
rebuilds and offline evaluation agree, and every one of them goes through here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bandit_service.events.catalog_history import CatalogHistory, Kept
from bandit_service.events.entries import START, Entry, PlacementChanged, Position, came
from bandit_service.learning.trainer import Trainer
from bandit_service.outcomes.join import Join, Outcome
from bandit_service.outcomes.units import JoinState
from bandit_service.policy.settings import SiteSettings, canonical
from bandit_service.policy.snapshot import (
    Checkpoint,
    Snapshot,
    dump_checkpoint,
    load_checkpoint,
)
from bandit_service.reporting.counters import Counters, Parts, StoredCounters
from bandit_service.storage.ports import Report, Resumed

_SLACK_MS: Final = 3_600_000
"""How far behind the catalog a serving process may be, in ms: as long as an outage may last."""


def empty_history(settings: SiteSettings) -> CatalogHistory:
    """The catalog of an empty log, which keeps what decisions can name before they close."""
    slot_ms, window_ms = settings.policy.slot_ms, settings.rewards.window_ms
    return CatalogHistory(keep_ms=slot_ms + window_ms + _SLACK_MS)


class FoldState(msgspec.Struct, frozen=True):
    """What a checkpoint keeps besides the snapshot."""

    join: JoinState
    history: list[Kept]
    counters: StoredCounters


class SiteFold:
    """Join, trainer, counters and catalog of one site. Call ``close`` when done."""

    def __init__(self, settings: SiteSettings) -> None:
        """The fold of an empty log."""
        self.settings = settings = canonical(settings)
        self.position = START
        self.join = Join(settings.rewards)
        self.history = empty_history(settings)
        self.counters = Counters(self.history, largest=settings.rewards.largest)
        self.trainer = Trainer(settings, self.history)

    @classmethod
    def restore(cls, resumed: Resumed) -> SiteFold:
        """The fold whose ``checkpoint`` and ``report`` were published.

        Raises:
            SnapshotError: if they are damaged, of another version, or not of one publication.
        """
        kept = load_checkpoint(resumed.checkpoint, FoldState)
        fold = cls(kept.snapshot.settings)
        fold.position = kept.snapshot.position
        fold.join.restore(kept.state.join)
        fold.history.restore(kept.state.history)
        fold.counters.restore(kept.state.counters, Parts(resumed.sums, resumed.series))
        fold.trainer.close()
        fold.trainer = Trainer(
            fold.settings,
            fold.history,
            model=kept.snapshot.model,
            outcomes=kept.snapshot.outcomes,
        )
        return fold

    def apply(self, position: Position, entry: Entry) -> list[Outcome]:
        """Take in the next entry; returns the outcomes that it closed."""
        self.position = position
        self.history.apply(position, entry)
        self.counters.passed(position.ms)
        if isinstance(entry, PlacementChanged):
            self.counters.edited(entry.placement.id)
        outcomes = self.join.apply(position, entry)
        if self.join.opened is not None:
            self.trainer.show(self.join.opened)
            self.counters.open(self.join.opened, came(position, entry).ms)
        for outcome in outcomes:
            self.trainer.learn(outcome)
            self.counters.close(outcome)
        return outcomes

    def snapshot(self) -> Snapshot:
        """What serving needs, as of now."""
        return Snapshot(
            settings=self.settings,
            position=self.position,
            outcomes=self.trainer.outcomes,
            model=self.trainer.save(),
        )

    def report(self) -> Report:
        """What was counted, as of now: of placements, what changed since ``counters.published``."""
        return self.counters.report(self.join.counts)

    def checkpoint(self, snapshot: Snapshot) -> bytes:
        """The state, to be published with ``report``; ``snapshot`` is what ``snapshot()`` gave."""
        counters = self.counters.dump(self.join.counts)
        state = FoldState(self.join.dump(), self.history.dump(), counters)
        return dump_checkpoint(Checkpoint(snapshot=snapshot, state=state))

    def close(self) -> None:
        """Free the model."""
        self.trainer.close()
