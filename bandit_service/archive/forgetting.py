"""Forgetting a visitor: the decisions made for one, what was done about them, and the profile.

The archiver is kept out meanwhile, so nothing moves from the stream to the archive unseen. First
all decisions under the visitor's pseudonym are found, in archive and stream; their ids are written
to a note in the archive's folder, because once a decision is gone nothing else would tell whose its
events were. Then the entries are taken out of the stream and each file that holds any is written
anew, in one piece. The profile goes last: the learner writes it from decisions that it has read, so
that whatever it read before is forgotten too. Last of all goes the note. Stopped anywhere, the same
command finds the note and completes the work.

What this cannot reach: what the model has learned (a rebuild unlearns it), a decision that is still
open in the learner (it stays in the checkpoint until its window ends, and is learned without the
events that are gone), what is logged for the visitor while this runs or later, what a process keeps
outside of Redis while that is away, and copies of the archive or of Redis's own file.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bandit_service.archive import upkeep
from bandit_service.archive.archiver import check_known
from bandit_service.archive.partitions import ArchiveFolder, Partitions, translated
from bandit_service.archive.segments import Segment
from bandit_service.errors import ArchiveError, LogError
from bandit_service.events.entries import START, Decision, Entry, Event, Position, decode
from bandit_service.storage.ports import SiteStore, entries_of

REMOVE_BATCH: Final = 1_000
"""Entries taken out of the stream at a time."""


class Forgotten(NamedTuple):
    """How much was removed; an entry may have been both in the stream and in the archive."""

    decisions: int
    """Decisions that were found, at this call or one before that was stopped."""
    stream: int
    """Entries taken out of the stream."""
    archive: int
    """Rows taken out of the archive."""
    placements: int
    """Of how many placements the profile knew something."""


def forget(store: SiteStore, folder: ArchiveFolder, pseudonym: str) -> Forgotten:
    """Remove what is known of the visitor with a pseudonym.

    Raises:
        ArchiveError: if the site's archive is not in ``folder``, or is damaged or unwritable.
        StorageError: if the store fails. After either, the same call completes the work.
    """
    archive = folder.id()
    with _kept_out(folder, archive):
        known = store.archived()
        partitions = folder.site(store.site)
        if known is not None:
            check_known(known, archive, partitions)
        if archive is None:
            decisions = set(_in_stream(store, pseudonym))
            removed = _from_stream(store, decisions)
            return Forgotten(len(decisions), removed, 0, store.forget_visits(pseudonym))
        note = _Note(folder, store.site, pseudonym)
        decisions = note.read()
        decisions.update(_in_archive(partitions, pseudonym), _in_stream(store, pseudonym))
        note.write(decisions)
        removed = _from_stream(store, decisions)
        rows = _from_archive(partitions, decisions)
        placements = store.forget_visits(pseudonym)
        note.remove()
    return Forgotten(len(decisions), removed, rows, placements)


class _Note:
    """The decisions of a visitor who is being forgotten."""

    def __init__(self, folder: ArchiveFolder, site: str, pseudonym: str) -> None:
        self._folder = folder
        self._path: Path = folder.path / "forgetting" / f"{site}.{pseudonym}.json"

    def read(self) -> set[str]:
        try:
            return set(msgspec.json.decode(self._path.read_bytes(), type=list[str]))
        except FileNotFoundError:
            return set()
        except (OSError, msgspec.MsgspecError) as exc:
            raise ArchiveError(f"{self._path} cannot be read: {exc}") from exc

    def write(self, decisions: Iterable[str]) -> None:
        self._folder.write(self._path, msgspec.json.encode(sorted(decisions)))

    def remove(self) -> None:
        with translated(self._path):
            self._path.unlink()


def _kept_out(folder: ArchiveFolder, archive: str | None) -> AbstractContextManager[None]:
    """Keep the archiver out; where there is no archive here there is none to keep out."""
    return nullcontext() if archive is None else folder.locked()


def _in_archive(partitions: Partitions, pseudonym: str) -> Iterable[str]:
    for span in partitions.spans():
        with Segment(span.path) as segment:
            for table in segment.columns("visitor", "decision"):
                mine = table.filter(pc.equal(table.column("visitor"), pseudonym))
                yield from mine.column("decision").to_pylist()


def _in_stream(store: SiteStore, pseudonym: str) -> Iterable[str]:
    needle = pseudonym.encode()
    for _, data in entries_of(store, after=START, upto=store.tail()):
        if needle in data:
            entry = _entry(data)
            if isinstance(entry, Decision) and entry.visitor == pseudonym:
                yield entry.id


def _from_stream(store: SiteStore, decisions: set[str]) -> int:
    """Take decisions and their events out; events first, since a decision tells whose they are."""
    if not decisions:
        return 0
    found: dict[type, list[Position]] = {Event: [], Decision: []}
    for position, data in entries_of(store, after=START, upto=store.tail()):
        entry = _entry(data)
        if isinstance(entry, Event) and entry.decision in decisions:
            found[Event].append(position)
        elif isinstance(entry, Decision) and entry.id in decisions:
            found[Decision].append(position)
    positions = found[Event] + found[Decision]
    return sum(
        store.remove(positions[n : n + REMOVE_BATCH])
        for n in range(0, len(positions), REMOVE_BATCH)
    )


def _from_archive(partitions: Partitions, decisions: set[str]) -> int:
    """Write each file that holds any of them anew, without."""
    gone = pa.array(sorted(decisions), pa.string())

    def others(table: pa.Table) -> pa.Table:
        return table.filter(pc.invert(pc.is_in(table.column("decision"), value_set=gone)))

    removed = 0
    for span in partitions.spans():
        with Segment(span.path) as segment:
            held = any(
                others(table).num_rows < table.num_rows for table in segment.columns("decision")
            )
        if held:
            removed += upkeep.merge(partitions, [span], keep=others)
    return removed


def _entry(data: bytes) -> Entry | None:
    """The entry, or None for one that this version cannot read."""
    try:
        return decode(data)
    except LogError:
        return None
