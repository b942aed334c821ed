"""Replaying: the recorded log folded again, and compared with what live learning published.

The fold is the one that learned, under the settings that serve; so whatever differs was not made
from this log: an entry was changed, lost or added since, a counter was edited, a snapshot is
damaged, or learning is not the function of the log that it must be. Compared are

- every snapshot that is still in the store and was learned under these settings, the one that
  serves among them: name and bytes, as the fold passes its position;
- the counters and the counts of the join, as of the last checkpoint;
- the checkpoint's open decisions and catalog, which what is learned next depends on.

The log is read once. Nothing is written. Learning may go on meanwhile: what is compared is what
the store had when this began, and a snapshot that has made room since is compared by its name.

Entries of visitors that were forgotten, and those beyond retention, are gone from the log though
they were learned: then snapshots of before differ, until a rebuild has learned the log as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from bandit_service.errors import NotFound, SnapshotError
from bandit_service.events.entries import START, Position, decode
from bandit_service.folds.learner import BATCH, KEEP_SNAPSHOTS, stored_settings
from bandit_service.folds.rebuild import Progress
from bandit_service.folds.site import FoldState, SiteFold
from bandit_service.policy.snapshot import Checkpoint, SnapshotName, load_checkpoint
from bandit_service.reporting.counters import ReportState
from bandit_service.storage.ports import Head, Log, SiteStore, entries_of

_LOOKS: Final = 20
"""How often to look for a checkpoint and a report that were published together."""


class Check(NamedTuple):
    """One thing that was compared."""

    what: str
    agrees: bool
    says: str
    """What both have, or what each has."""


def _agrees(what: str, says: str) -> Check:
    return Check(what, agrees=True, says=says)


def _differs(what: str, says: str) -> Check:
    return Check(what, agrees=False, says=says)


class Replayed(NamedTuple):
    """What replaying a log gave."""

    name: str
    """Of the snapshot that serves."""
    entries: int
    outcomes: int
    """That were learned from."""
    snapshots: int
    """That were compared, the one that serves among them."""
    checks: list[Check]

    @property
    def agrees(self) -> bool:
        """Whether everything does."""
        return all(check.agrees for check in self.checks)


class _Recorded(NamedTuple):
    """What the store has, as of one moment."""

    head: Head
    snapshots: dict[Position, list[str]]
    """Names by position, those of the settings that serve."""
    checkpoint: Checkpoint[FoldState] | None
    report: ReportState | None


def replay(
    store: SiteStore,
    log: Log,
    *,
    progress: Progress,
    snapshots: int = KEEP_SNAPSHOTS,
) -> Replayed:
    """Fold ``log`` up to where the snapshot that serves was learned, and compare.

    Args:
        store: What live learning published.
        log: The whole log, archive included.
        progress: Told how many entries were folded.
        snapshots: How many snapshots to compare at most, the newest.

    Raises:
        NotFound: if the site has no snapshot yet.
        SnapshotError: if the store has not the settings that serve, or its checkpoint is damaged.
        LogError: if an entry cannot be read.
        ArchiveError: if the log was trimmed and its archive cannot be read.
    """
    recorded = _recorded(store, snapshots)
    comparing = _Comparing(store, recorded)
    fold = SiteFold(stored_settings(store, recorded.head.name))
    entries = 0
    try:
        comparing.look(fold)
        upto = recorded.head.position
        for position, data in entries_of(log, after=START, upto=upto, batch=BATCH):
            fold.apply(position, decode(data))
            comparing.look(fold)
            entries += 1
            progress(1)
        checks = [*comparing.checks, *comparing.never_reached()]
        compared = sum(check.what.startswith("snapshot") for check in checks)
        return Replayed(recorded.head.name, entries, fold.trainer.outcomes, compared, checks)
    finally:
        fold.close()


class _Comparing:
    """Compares what was recorded at the position that the fold has come to."""

    def __init__(self, store: SiteStore, recorded: _Recorded) -> None:
        self.checks: list[Check] = []
        self._store = store
        self._snapshots = dict(recorded.snapshots)
        self._checkpoint = recorded.checkpoint
        self._report = recorded.report

    def look(self, fold: SiteFold) -> None:
        """Compare, if anything was recorded here."""
        for name in self._snapshots.pop(fold.position, []):
            self.checks.append(self._snapshot(name, fold))
        checkpoint = self._checkpoint
        if checkpoint is not None and checkpoint.snapshot.position == fold.position:
            self.checks += _states(checkpoint.state, self._report, fold)
            self._checkpoint = None

    def never_reached(self) -> Iterator[Check]:
        """What was recorded at positions that the log does not have."""
        for position, names in self._snapshots.items():
            for name in names:
                yield _differs(f"snapshot {name}", f"the log has no entry at {position}")
        if self._checkpoint is not None:
            at = self._checkpoint.snapshot.position
            yield _differs("checkpoint", f"the log has no entry at {at}")

    def _snapshot(self, name: str, fold: SiteFold) -> Check:
        derived = fold.snapshot()
        what = f"snapshot {name}"
        if derived.name != name:
            return _differs(what, f"the log makes {derived.name}")
        data = self._store.snapshot(name)
        if data is not None and data != derived.encoded:
            return _differs(what, "its bytes in the store are not those that its name says")
        return _agrees(what, f"{derived.outcomes} outcomes, {len(derived.encoded)} bytes")


def _recorded(store: SiteStore, limit: int) -> _Recorded:
    head = store.head()
    if head is None:
        raise NotFound(
            f"site {store.site!r} has no snapshot to compare with",
            hint="name a site that serves with --site",
        )
    settings = SnapshotName.parse(head.name).settings
    names = [
        SnapshotName.parse(name) for name in {head.name: None, **dict.fromkeys(store.snapshots())}
    ]
    chosen = [n for n in names if n.settings == settings and n.position <= head.position]
    by_position: dict[Position, list[str]] = {}
    for name in chosen[: max(1, limit)]:
        by_position.setdefault(name.position, []).append(str(name))
    checkpoint, report = _checkpointed(store)
    if checkpoint is not None and checkpoint.snapshot.position > head.position:
        checkpoint, report = None, None  # published since: what serves now is not what was read
    return _Recorded(head, by_position, checkpoint, report)


def _checkpointed(store: SiteStore) -> tuple[Checkpoint[FoldState] | None, ReportState | None]:
    """The checkpoint and the counters that were published with it."""
    for _ in range(_LOOKS):
        before = store.checkpoint()
        report = store.report()
        if store.checkpoint() == before:
            break
    else:
        raise SnapshotError(
            "checkpoints follow each other too fast to be compared", hint="try again"
        )
    checkpoint = None if before is None else load_checkpoint(before, FoldState)
    return checkpoint, None if report is None else _decoded(report)


def _decoded(report: bytes) -> ReportState:
    try:
        return msgspec.json.decode(report, type=ReportState)
    except msgspec.MsgspecError as exc:
        raise SnapshotError(
            f"the counters in the store cannot be read: {exc}",
            hint="rebuild them from the log: bandit-service rebuild",
        ) from exc


def _states(recorded: FoldState, report: ReportState | None, fold: SiteFold) -> Iterator[Check]:
    derived = fold.report()
    at = f"at {fold.position}"
    if report is not None:
        yield _counters(f"counters {at}", report, derived)
        yield _counts(f"counts of outcomes {at}", report, derived)
    yield _counters(f"counters of the checkpoint {at}", recorded.counters, derived)
    yield _counts(f"counts of outcomes of the checkpoint {at}", recorded.counters, derived)
    same = _open(recorded) == _open(FoldState(fold.join.dump(), fold.history.dump(), derived))
    yield Check(
        f"open decisions {at}",
        same,
        f"{fold.join.open_units} open" if same else "those of the checkpoint are others",
    )
    same = recorded.history == fold.history.dump()
    yield Check(
        f"catalog {at}",
        same,
        f"{len(recorded.history)} documents" if same else "that of the checkpoint is another",
    )


def _counters(what: str, recorded: ReportState, derived: ReportState) -> Check:
    ours, theirs = dict(derived.cells), dict(recorded.cells)
    apart = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    if not apart:
        units = sum(cell.n for cell in ours.values())
        return _agrees(what, f"{len(ours)} cells, {units} units")
    key = apart[0]
    return _differs(
        what,
        f"{len(apart)} of {len({**ours, **theirs})} cells differ; {key.arm} of {key.placement} for "
        f"{key.persona}: the log makes {ours.get(key)}, the store has {theirs.get(key)}",
    )


def _counts(what: str, recorded: ReportState, derived: ReportState) -> Check:
    ours = msgspec.structs.asdict(derived.join)
    theirs = msgspec.structs.asdict(recorded.join)
    apart = [name for name in ours if ours[name] != theirs[name]]
    if not apart:
        return _agrees(what, ", ".join(f"{n} {name}" for name, n in ours.items() if n))
    said = (f"{name}: the log makes {ours[name]}, the store has {theirs[name]}" for name in apart)
    return _differs(what, "; ".join(said))


def _open(state: FoldState) -> tuple[object, ...]:
    """What is open, without the numbers that units have in a dump."""
    join = state.join
    views = [(name, join.units[n], at) for name, n, at in join.views]
    remembered = [(name, join.units[n], at) for name, n, at in join.remembered]
    return views, remembered, join.memory, join.early, join.clock
