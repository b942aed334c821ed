"""Replaying: the recorded log folded again, and compared with what live learning published.

The fold is the one that learned, under the settings that serve; so whatever differs was not made
from this log: an entry was changed, lost or added since, a counter was edited, a snapshot is
damaged, or learning is not the function of the log that it must be. Compared are

- every snapshot that is still in the store and was learned under these settings, the one that
  serves among them: name and bytes, as the fold passes its position;
- the counters of every placement, the days of the site and the counts of the join, as of the last
  checkpoint;
- the checkpoint's open decisions and catalog, which what is learned next depends on.

Not compared are placements in short: they follow from the counters, and every learner that begins
makes them again.

The log is read once. Nothing is written. Learning may go on meanwhile: what is compared is what
the store had when this began, and a snapshot that has made room since is compared by its name.

Entries of visitors that were forgotten, and those beyond retention, are gone from the log though
they were learned: then snapshots of before differ, until a rebuild has learned the log as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from bandit_service.errors import NotFound
from bandit_service.events.entries import START, Position, decode
from bandit_service.folds.learner import BATCH, KEEP_SNAPSHOTS, stored_settings
from bandit_service.folds.rebuild import Progress
from bandit_service.folds.site import FoldState, SiteFold
from bandit_service.outcomes.units import JoinCounts
from bandit_service.policy.snapshot import Checkpoint, SnapshotName, load_checkpoint
from bandit_service.reporting.counters import Parts
from bandit_service.reporting.stored import StoredSeries, StoredSite, StoredSums
from bandit_service.reporting.stored import decode as stored
from bandit_service.storage.ports import Head, Log, Resumed, SiteStore, entries_of


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
    resumed: Resumed | None
    """The checkpoint's bytes, and what was counted by then."""


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
        self._resumed = recorded.resumed

    def look(self, fold: SiteFold) -> None:
        """Compare, if anything was recorded here."""
        for name in self._snapshots.pop(fold.position, []):
            self.checks.append(self._snapshot(name, fold))
        checkpoint, resumed = self._checkpoint, self._resumed
        if checkpoint is None or resumed is None:
            return
        if checkpoint.snapshot.position == fold.position:
            self.checks += _states(checkpoint.state, resumed, fold)
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
    resumed = store.resumed()
    checkpoint = None if resumed is None else load_checkpoint(resumed.checkpoint, FoldState)
    if checkpoint is not None and checkpoint.snapshot.position > head.position:
        checkpoint = None  # published since: what serves now is not what was read
    return _Recorded(head, by_position, checkpoint, resumed)


def _states(recorded: FoldState, resumed: Resumed, fold: SiteFold) -> Iterator[Check]:
    parts, at = fold.counters.parts(), f"at {fold.position}"
    derived = fold.counters.dump(fold.join.counts)
    yield _counters(f"counters {at}", Parts(resumed.sums, resumed.series), parts)
    if resumed.site is not None:
        yield from _site(at, stored(resumed.site, StoredSite), derived.site)
    yield from _site(f"of the checkpoint {at}", recorded.counters.site, derived.site)
    same = recorded.counters.digests == derived.digests
    yield Check(
        f"counters of the checkpoint {at}",
        same,
        f"{len(derived.digests)} placements" if same else "it was made with others",
    )
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


def _counters(what: str, recorded: Parts, derived: Parts) -> Check:
    placements = {**derived.sums, **recorded.sums}
    apart = [
        name
        for name in placements
        if recorded.sums.get(name) != derived.sums.get(name)
        or recorded.series.get(name) != derived.series.get(name)
    ]
    if not apart:
        return _agrees(what, f"{len(placements)} placements")
    said = _first_difference(apart[0], recorded, derived)
    return _differs(what, f"{len(apart)} of {len(placements)} placements differ; {said}")


def _first_difference(name: str, recorded: Parts, derived: Parts) -> str:
    """What differs in a placement, in words."""
    if name not in derived.sums:
        return f"the log has nothing of {name!r}"
    if name not in recorded.sums:
        return f"the store has nothing of {name!r}"
    ours, theirs = (_rows(parts.sums[name]) for parts in (derived, recorded))
    for key in {**ours, **theirs}:
        if ours.get(key) != theirs.get(key):
            _, arm, persona = key
            return (
                f"{arm} of {name} for {persona}: the log makes {ours.get(key)}, "
                f"the store has {theirs.get(key)}"
            )
    if recorded.sums[name] != derived.sums[name]:
        return f"{name}: what its rows are of"
    stored(recorded.series.get(name, b""), StoredSeries)
    return f"{name}: what it showed and earned over time"


def _rows(data: bytes) -> dict[tuple[int, str, str], list[float]]:
    """Rows by line-up, variant and persona."""
    sums = stored(data, StoredSums)
    keys, rows = sums.key_array().tolist(), sums.row_array().tolist()
    return {
        (lineup, sums.arms[arm], sums.personas[persona]): row
        for (lineup, arm, persona), row in zip(keys, rows, strict=True)
    }


def _site(where: str, recorded: StoredSite, derived: StoredSite) -> Iterator[Check]:
    yield _counts(f"counts of outcomes {where}", recorded.join, derived.join)
    same = (recorded.days, recorded.clock) == (derived.days, derived.clock)
    yield Check(
        f"days {where}",
        same,
        f"{len(derived.days)} days" if same else "the log makes other ones",
    )


def _counts(what: str, recorded: JoinCounts, derived: JoinCounts) -> Check:
    ours, theirs = msgspec.structs.asdict(derived), msgspec.structs.asdict(recorded)
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
    return views, remembered, join.memory, join.early, join.clock, state.counters.waiting
