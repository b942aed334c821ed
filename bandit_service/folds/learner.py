"""Learning live: the fold runs behind the log and publishes snapshots.

What can go wrong, and why nothing is lost or learned twice:

- Killed at any moment: the next learner resumes from the last checkpoint, reads the log from its
  position and derives again what was published after it, to the byte. Where there is no checkpoint
  that can be used it begins with the log, archive included.
- Two learners at once: they derive the same snapshots; the one that is behind publishes nothing.
- A rebuild switches over: the store refuses publications that build on the generation before it,
  and this learner resumes from what the rebuild left.
- The store is set back to an older copy of itself, fails over to one that lagged, or is replaced:
  the log no longer holds the entry that was read last, so what was learned is let go, and learning
  resumes from what this store has. Nothing is published that its log does not bear out.

Where nothing is logged but windows are due to end, it appends a tick: the log's clock moves on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from bandit_service.archive.history import History
from bandit_service.errors import SnapshotError
from bandit_service.events.entries import START, Position, Tick, decode, encode
from bandit_service.folds.site import SiteFold
from bandit_service.policy.settings import SiteSettings, differences
from bandit_service.policy.snapshot import Snapshot, SnapshotName
from bandit_service.reporting.visitors import VisitorMemory
from bandit_service.storage.ports import Head, Log, Publication, Published, Report, SiteStore

log = structlog.get_logger(__name__)

BATCH: Final = 1_000
"""Entries folded between two looks at the clock."""
KEEP_SNAPSHOTS: Final = 300
KEEP_BYTES: Final = 32 * 1_048_576
"""How many snapshots, and how many bytes of them, stay in the store, about; older ones can be
derived from the log."""
TICK_MS: Final = 300
"""How long the end of a window waits for another entry to notice it before a tick does, in ms."""
CHECKPOINT_SHARE: Final = 20
"""A checkpoint is written at most so often that it takes 1 / 20 of the time."""


class SiteLearner:
    """Learning of one site. ``clock`` gives seconds, as ``time.time`` does."""

    def __init__(
        self,
        store: SiteStore,
        defaults: SiteSettings,
        *,
        clock: Callable[[], float],
        publish_seconds: float,
        history: Log | None = None,
        waiting: Callable[[], bool] = lambda: False,
    ) -> None:
        """Resume where the last learner stopped, or begin under ``defaults``.

        ``waiting`` says whether entries wait on this machine's disk: then time is not moved on,
        since they are from before.
        ``history`` is the whole log, archive included; without it, a log that was trimmed beyond
        where learning resumes is refused.

        Raises:
            StorageError: if the store does not answer.
        """
        self._store = store
        self._history: Log = history or History(store, None)
        self._waiting = waiting
        self._defaults = defaults
        self._clock = clock
        self._publish_every = publish_seconds
        self._published_at = 0.0
        self._next_checkpoint = 0.0
        self._visitors = VisitorMemory(store)
        self._generation = 0
        self._published_lessons = -1
        self._checkpointed: Position | None = None
        self._ticked_at = 0.0
        self._resumed_at = START
        """Taken from the store itself, which need not have the entry any more."""
        self._fold: SiteFold | None = None
        self._resume()

    @property
    def fold(self) -> SiteFold:
        """The fold as it stands."""
        if self._fold is None:
            raise SnapshotError(f"the learner of site {self._store.site!r} has not resumed")
        return self._fold

    def step(self) -> int:
        """Fold what is new, up to BATCH entries, and publish if it is time; how many were new.

        Raises:
            StorageError: if the store does not answer; the state is as before or further, and
                the same call may be made again.
            ArchiveError: if the log goes on in an archive that is not here; as above.
        """
        rows = self._history.read(self.fold.position, limit=BATCH)
        if rows and not self._continues():
            self._resume()
            return 0
        for position, data in rows:
            entry = decode(data)
            self.fold.apply(position, entry)
            self._visitors.note(entry)
        now = self._clock()
        if not rows and not self._waiting():
            self._tick(now)
        if now - self._published_at >= self._publish_every:
            self.publish()
        return len(rows)

    def _tick(self, now: float) -> None:
        """Move the log's clock on where a window has ended and nothing else does."""
        ms = int(now * 1000)
        if self.fold.join.overdue(ms - TICK_MS) and abs(now - self._ticked_at) * 1000 >= TICK_MS:
            self._store.append(encode(Tick(at=ms)))
            self._ticked_at = now

    def publish(self) -> None:
        """Publish what was learned since the last time, if anything was."""
        self._visitors.flush()
        now = self._clock()
        moved = self.fold.position != self._checkpointed
        due = moved and now >= self._next_checkpoint
        if not due and self.fold.trainer.lessons == self._published_lessons:
            return
        if not self._continues():
            self._resume()
            return
        snapshot = self.fold.snapshot()
        answer = self._publish(snapshot, self._generation, due=due)
        self._published_at = self._clock()
        if due:
            cost = self._published_at - now
            self._next_checkpoint = self._published_at + max(1.0, CHECKPOINT_SHARE * cost)
        if answer == "superseded":
            log.info("superseded_by_rebuild", site=self._store.site)
            self._resume()

    def finish(self) -> None:
        """Leave a checkpoint of everything that was read, and free the model."""
        self._next_checkpoint = 0.0
        self.publish()
        self.fold.close()

    def _continues(self) -> bool:
        """Whether the log still holds the entry that was read last, or held it and was trimmed."""
        last = self.fold.position
        if last in (START, self._resumed_at):
            return True
        rows = self._store.read(last.before, limit=1)
        if rows and rows[0][0] == last:
            return True
        known = self._store.archived()
        if known is not None and known.trimmed >= last:
            return True
        log.warning("log_was_set_back", site=self._store.site, read_to=str(last))
        return False

    def _publish(self, snapshot: Snapshot, replaces: int, *, due: bool) -> Published:
        """Publish a snapshot; where a checkpoint is ``due``, with that and what was counted."""
        answer = publish(
            self._store,
            snapshot,
            generation=max(1, replaces),
            replaces=replaces,
            checkpoint=self.fold.checkpoint(snapshot) if due else None,
            report=self.fold.report() if due else None,
        )
        if answer == "published":
            self._generation = max(1, replaces)
            self._published_lessons = self.fold.trainer.lessons
            if due:
                self._checkpointed = self.fold.position
                self.fold.counters.published()
        return answer

    def _resume(self) -> None:
        """Go on from the checkpoint of the generation that serves; all of it changes, or nothing.

        Whatever fails leaves the fold and the generation that it belongs to as they were: a fold
        must never be published under a generation that it was not resumed from.
        """
        head = self._store.head()
        fold = self._restored() or SiteFold(self._settings(head))
        retired, self._fold = self._fold, fold
        self._resumed_at = fold.position
        self._generation = 0 if head is None else head.generation
        self._visitors = VisitorMemory(self._store)
        self._published_lessons = -1
        self._checkpointed = None
        if retired is not None:
            retired.close()
        changed = differences(fold.settings, self._defaults)
        if changed:
            log.warning(
                "settings_differ",
                site=self._store.site,
                changed=changed,
                hint="the site keeps what it learned under; adopt with: bandit-service rebuild",
            )

    def _restored(self) -> SiteFold | None:
        resumed = self._store.resumed()
        if resumed is None:
            return None
        try:
            return SiteFold.restore(resumed)
        except SnapshotError as exc:
            log.warning("checkpoint_refused", site=self._store.site, error=exc.message)
            return None

    def _settings(self, head: Head | None) -> SiteSettings:
        return self._defaults if head is None else stored_settings(self._store, head.name)


def publish(
    store: SiteStore,
    snapshot: Snapshot,
    *,
    generation: int,
    replaces: int,
    checkpoint: bytes | None,
    report: Report | None,
) -> Published:
    """Hand a snapshot to serving. See ``SiteStore.publish``."""
    head = Head(snapshot.name, snapshot.position, generation)
    settings = msgspec.json.encode(snapshot.settings)
    publication = Publication(head, snapshot.encoded, settings, report, checkpoint)
    keep = max(2, min(KEEP_SNAPSHOTS, KEEP_BYTES // len(snapshot.encoded)))
    return store.publish(publication, replaces=replaces, keep=keep)


def stored_settings(store: SiteStore, snapshot_name: str) -> SiteSettings:
    """The settings that a snapshot was learned under.

    Raises:
        SnapshotError: if the store has no settings of that name.
    """
    name = SnapshotName.parse(snapshot_name)
    data = store.settings(name.settings)
    if data is None:
        raise SnapshotError(
            f"the settings {name.settings} of snapshot {snapshot_name} are not in the store",
            hint="was the store restored from an old copy?",
        )
    return msgspec.json.decode(data, type=SiteSettings)
