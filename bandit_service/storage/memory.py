"""A store in this process's memory: the twin of Redis for tests, simulations and offline replay.

It keeps every promise of ``ports`` but durability. Its log takes time from a clock that is given
to it, and never runs backwards, as a Redis stream does not.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bandit_service.events.entries import START, Position
from bandit_service.runtime import now_ms
from bandit_service.storage.ports import (
    Amendment,
    Archived,
    Document,
    Doubt,
    Head,
    Log,
    Publication,
    Published,
    Pulse,
    Report,
    Resumed,
    entries_of,
)


class MemorySite:
    """One site of a ``MemoryStore``."""

    def __init__(self, site: str, *, clock: Callable[[], int], shared: MemoryStore) -> None:
        """A site with an empty log; ``clock`` gives milliseconds since the Unix epoch."""
        self.site = site
        self._clock = clock
        self._shared = shared
        self._changed = threading.Condition(threading.RLock())
        self._positions: list[Position] = []
        self._entries: list[bytes] = []
        self._tail = START
        self._archived: Archived | None = None
        self._documents: dict[str, Document] = {}
        self._history: dict[tuple[str, int], Document] = {}
        self._changes: dict[str, int] = {}
        self._revision = 0
        self._head: Head | None = None
        self._snapshots: dict[str, bytes] = {}
        self._settings: dict[str, bytes] = {}
        self._generations: dict[int, Head] = {}
        self._rebuilding: bytes | None = None
        self._checkpoint: bytes | None = None
        self._checkpointed: Position | None = None
        self._report: bytes | None = None
        self._summaries: dict[str, bytes] = {}
        self._sums: dict[str, bytes] = {}
        self._series: dict[str, bytes] = {}
        self._visits: dict[str, dict[str, bytes]] = {}
        """By visitor and placement: every decision asks for those of one visitor."""
        self._absorbed: dict[str, int] = {}
        self._mac_keys: tuple[int, bytes | None] = (0, None)

    def append(self, entry: bytes) -> Position:
        """See ``SiteStore.append``."""
        with self._changed:
            last = self._tail
            now = self._clock()
            position = Position(now, 0) if now > last.ms else Position(last.ms, last.seq + 1)
            self._tail = position
            self._positions.append(position)
            self._entries.append(entry)
            self._shared.register(self.site)
            self._changed.notify_all()
            return position

    def append_many(self, entries: Sequence[bytes]) -> list[Position]:
        """See ``SiteStore.append_many``."""
        return [self.append(entry) for entry in entries]

    def settle(
        self, entries: Sequence[bytes], doubt: Doubt, *, log: Log | None = None
    ) -> list[bool]:
        """See ``SiteStore.settle``."""
        found = entries_of(log or self, after=doubt.after, upto=self.tail())
        there = Counter(entry for _, entry in found)
        return [_taken(there, entry) for entry in entries]

    def absorb(self, entries: Sequence[tuple[int, bytes]], *, source: str) -> None:
        """See ``SiteStore.absorb``."""
        with self._changed:
            for number, entry in entries:
                if number > self._absorbed.get(source, 0):
                    self.append(entry)
                    self._absorbed[source] = number

    def read(
        self, after: Position, *, limit: int, block_ms: int = 0
    ) -> list[tuple[Position, bytes]]:
        """See ``SiteStore.read``."""
        with self._changed:
            if block_ms and self._tail <= after:
                self._changed.wait(block_ms / 1000)
            start = bisect_right(self._positions, after)
            stop = start + limit
            return list(zip(self._positions[start:stop], self._entries[start:stop], strict=True))

    def tail(self) -> Position:
        """See ``SiteStore.tail``."""
        return self._tail

    def length(self) -> int:
        """See ``SiteStore.length``."""
        return len(self._entries)

    def archived(self) -> Archived | None:
        """See ``SiteStore.archived``."""
        return self._archived

    def set_archived(self, archive: str, upto: Position, *, replaces: str | None) -> bool:
        """See ``SiteStore.set_archived``."""
        with self._changed:
            known = self._archived
            if (None if known is None else known.archive) != replaces:
                return False
            self._archived = Archived(archive, upto, START if known is None else known.trimmed)
            return True

    def trim(self, upto: Position, *, archive: str, limit: int) -> int:
        """See ``SiteStore.trim``; takes all at once."""
        del limit
        with self._changed:
            known, learned = self._archived, self._checkpointed
            if known is None or known.archive != archive or learned is None:
                return 0
            bound = max(known.trimmed, min(upto, known.upto, learned))
            self._archived = known._replace(trimmed=bound)
            count = bisect_right(self._positions, bound)
            del self._positions[:count], self._entries[:count]
            return count

    def remove(self, positions: Sequence[Position]) -> int:
        """See ``SiteStore.remove``."""
        with self._changed:
            gone = set(positions)
            kept = [n for n, position in enumerate(self._positions) if position not in gone]
            removed = len(self._positions) - len(kept)
            self._entries = [self._entries[n] for n in kept]
            self._positions = [self._positions[n] for n in kept]
            return removed

    def catalog(self, since: int) -> tuple[int, list[Document]]:
        """See ``SiteStore.catalog``."""
        with self._changed:
            changed = [key for key, revision in self._changes.items() if revision > since]
            return self._revision, [self._documents[key] for key in changed]

    def commit(self, amendments: Sequence[Amendment]) -> bool:
        """See ``SiteStore.commit``."""
        with self._changed:
            for document, replaces, _ in amendments:
                present = self._documents.get(document.key)
                if (0 if present is None else present.revision) != replaces:
                    return False
            for document, _, entry in amendments:
                self._revision += 1
                self._documents[document.key] = document
                self._history[document.key, document.revision] = document
                self._changes[document.key] = self._revision
                self.append(entry)
            return True

    def document(self, key: str, revision: int | None = None) -> Document | None:
        """See ``SiteStore.document``."""
        if revision is None:
            return self._documents.get(key)
        return self._history.get((key, revision))

    def publish(self, publication: Publication, *, replaces: int, keep: int) -> Published:
        """See ``SiteStore.publish``."""
        with self._changed:
            generation = 0 if self._head is None else self._head.generation
            if generation != replaces:
                return "superseded"
            same = self._head is not None and generation == publication.head.generation
            if same and self._head is not None and publication.head.position < self._head.position:
                return "behind"
            self._head = publication.head
            self._generations.setdefault(publication.head.generation, publication.head)
            self._snapshots[publication.head.name] = publication.snapshot
            self._settings[_settings_of(publication.head.name)] = publication.settings
            if publication.report is not None:
                self._keep(publication.report)
            if publication.checkpoint is not None:
                self._checkpoint = publication.checkpoint
                self._checkpointed = publication.head.position
            for name in list(self._snapshots)[:-keep]:
                del self._snapshots[name]
            self._shared.register(self.site)
            return "published"

    def head(self) -> Head | None:
        """See ``SiteStore.head``."""
        return self._head

    def generations(self) -> list[Head]:
        """See ``SiteStore.generations``."""
        return [self._generations[number] for number in sorted(self._generations)]

    def rebuilding(self) -> bytes | None:
        """See ``SiteStore.rebuilding``."""
        return self._rebuilding

    def note_rebuilding(self, note: bytes, *, replaces: bytes | None) -> bool:
        """See ``SiteStore.note_rebuilding``."""
        with self._changed:
            if self._rebuilding != replaces:
                return False
            self._rebuilding = note
            return True

    def snapshot(self, name: str) -> bytes | None:
        """See ``SiteStore.snapshot``."""
        return self._snapshots.get(name)

    def snapshots(self) -> list[str]:
        """See ``SiteStore.snapshots``."""
        return list(reversed(self._snapshots))

    def settings(self, settings_id: str) -> bytes | None:
        """See ``SiteStore.settings``."""
        return self._settings.get(settings_id)

    def checkpoint(self) -> bytes | None:
        """See ``SiteStore.checkpoint``."""
        return self._checkpoint

    def resumed(self) -> Resumed | None:
        """See ``SiteStore.resumed``."""
        with self._changed:
            if self._checkpoint is None:
                return None
            return Resumed(self._checkpoint, self._report, dict(self._sums), dict(self._series))

    def report(self) -> bytes | None:
        """See ``SiteStore.report``."""
        return self._report

    def summaries(self, placements: Sequence[str] | None = None) -> dict[str, bytes]:
        """See ``SiteStore.summaries``."""
        with self._changed:
            kept = dict(self._summaries)
        return kept if placements is None else {p: kept[p] for p in placements if p in kept}

    def sums(self, placements: Sequence[str]) -> list[bytes | None]:
        """See ``SiteStore.sums``."""
        return [self._sums.get(placement) for placement in placements]

    def series(self, placement: str) -> bytes | None:
        """See ``SiteStore.series``."""
        return self._series.get(placement)

    def _keep(self, report: Report) -> None:
        self._report = report.site
        parts = (
            (self._summaries, report.summaries),
            (self._sums, report.sums),
            (self._series, report.series),
        )
        for kept, changed in parts:
            if report.whole:
                kept.clear()
            kept.update(changed)

    def visits(self, visitor: str) -> dict[str, bytes]:
        """See ``SiteStore.visits``."""
        return dict(self._visits.get(visitor, {}))

    def visits_of(self, pairs: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """See ``SiteStore.visits_of``."""
        return [self._visits.get(visitor, {}).get(place) for visitor, place in pairs]

    def remember_visits(
        self, visits: Mapping[tuple[str, str], bytes], *, expire_seconds: int
    ) -> None:
        """See ``SiteStore.remember_visits``; nothing expires in memory."""
        del expire_seconds
        for (visitor, place), data in visits.items():
            self._visits.setdefault(visitor, {})[place] = data

    def forget_visits(self, visitor: str) -> int:
        """See ``SiteStore.forget_visits``."""
        return len(self._visits.pop(visitor, {}))

    def secret(self) -> bytes:
        """See ``SiteStore.secret``; derived from the store's seed, so that runs repeat."""
        return hashlib.blake2b(self.site.encode(), key=self._shared.seed, digest_size=32).digest()

    def mac_keys(self) -> tuple[int, bytes | None]:
        """See ``SiteStore.mac_keys``."""
        return self._mac_keys

    def replace_mac_keys(self, ring: bytes, *, replaces: int) -> bool:
        """See ``SiteStore.replace_mac_keys``."""
        with self._changed:
            if self._mac_keys[0] != replaces:
                return False
            self._mac_keys = (replaces + 1, ring)
            self._shared.register(self.site)
            return True

    def pulse(self) -> Pulse:
        """See ``SiteStore.pulse``."""
        shared = self._shared
        return Pulse(self._head, self._revision, shared.keys_revision, self._mac_keys[0])


class MemoryStore:
    """Any number of sites in memory."""

    def __init__(self, *, clock: Callable[[], int] = now_ms, seed: bytes = b"memory") -> None:
        """``clock`` gives milliseconds since the Unix epoch; ``seed`` makes the sites' secrets."""
        self.seed = seed
        self.keys_revision = 0
        self._clock = clock
        self._sites: dict[str, MemorySite] = {}
        self._registered: set[str] = set()
        self._keys: dict[str, bytes] = {}
        self._keys_changing = threading.Lock()

    def site(self, name: str) -> MemorySite:
        """See ``Store.site``."""
        if name not in self._sites:
            self._sites[name] = MemorySite(name, clock=self._clock, shared=self)
        return self._sites[name]

    def sites(self) -> list[str]:
        """See ``Store.sites``."""
        return sorted(self._registered)

    def register(self, site: str) -> None:
        """See ``Store.register``."""
        self._registered.add(site)

    def put_keys(self, records: Mapping[str, bytes], *, replaces: Mapping[str, bytes]) -> bool:
        """See ``Store.put_keys``."""
        with self._keys_changing:
            if any(self._keys.get(digest) != replaces.get(digest) for digest in records):
                return False
            self._keys.update(records)
            self.keys_revision += 1
            return True

    def keys(self) -> dict[str, bytes]:
        """See ``Store.keys``."""
        return dict(self._keys)

    @property
    def away(self) -> bool:
        """See ``Store.away``."""
        return False

    @property
    def identity(self) -> str:
        """See ``Store.identity``."""
        return self.seed.hex()

    def probe(self) -> None:
        """See ``Store.probe``."""

    def describe(self) -> str:
        """See ``Store.describe``."""
        return "this process's memory"

    def close(self) -> None:
        """See ``Store.close``."""


def _taken(there: Counter[bytes], entry: bytes) -> bool:
    """Whether an entry is there, taking it away: two alike are two."""
    there[entry] -= 1
    return there[entry] >= 0


def _settings_of(snapshot_name: str) -> str:
    return snapshot_name.split(".")[1]
