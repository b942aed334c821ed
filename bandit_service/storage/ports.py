"""What the rest of the program may ask of a store, whatever stands behind it.

``SiteStore`` is everything of one site, ``Store`` what sites have in common. ``memory`` and
``redis_store`` implement both and pass the same contract tests.

Values are bytes that the layers above encode: a store moves and orders them, and knows only what
it must compare (a position, a revision, a generation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from bandit_service.events.entries import Position


class Head(NamedTuple):
    """Which snapshot serves a site. ``generation`` grows with every rebuild."""

    name: str
    position: Position
    generation: int


class Report(NamedTuple):
    """What was counted: of the site as a whole, and of each placement that changed."""

    site: bytes
    summaries: Mapping[str, bytes]
    """Of placements in short."""
    sums: Mapping[str, bytes]
    series: Mapping[str, bytes]
    """What placements showed and earned over time."""
    whole: bool
    """Whether placements that are not named here are to be forgotten."""


class Resumed(NamedTuple):
    """What learning resumes from, all as of one publication."""

    checkpoint: bytes
    site: bytes | None
    sums: Mapping[str, bytes]
    series: Mapping[str, bytes]
    """Of every placement."""


class Publication(NamedTuple):
    """A snapshot to be served from now on; what was counted and a checkpoint, or neither."""

    head: Head
    snapshot: bytes
    settings: bytes
    report: Report | None = None
    checkpoint: bytes | None = None


class Document(NamedTuple):
    """One document of the catalog: a placement under its id, or the personas under ``*``."""

    key: str
    revision: int
    """The document's own revision; 0 is "does not exist"."""
    data: bytes


class Amendment(NamedTuple):
    """A document as it is to be stored, and the entry that says so in the log."""

    document: Document
    replaces: int
    """The revision that the document must still have; 0 is "does not exist"."""
    entry: bytes


PERSONAS_KEY = "*"
"""Key of the personas among the documents; no placement can be called so."""

Published = Literal["published", "behind", "superseded"]
"""``behind``: the served snapshot is already further. ``superseded``: a rebuild has taken over."""


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an append that was not answered; see ``AppendInDoubt``."""

    after: Position
    server: str
    client: int


class Pulse(NamedTuple):
    """What a serving process asks several times a second: has anything changed?"""

    head: Head | None
    catalog: int
    keys: int
    mac_keys: int = 0


class Archived(NamedTuple):
    """How far the log of a site is archived, and where."""

    archive: str
    """Id of the archive."""
    upto: Position
    """Everything up to here is in it, and on disk."""
    trimmed: Position
    """Nothing up to here can be relied upon to be in the store; START if nothing was trimmed."""


class Log(Protocol):
    """A log to be read, wherever its entries are. Methods raise a BanditError where that fails."""

    site: str

    def read(self, after: Position, *, limit: int) -> list[tuple[Position, bytes]]:
        """Up to ``limit`` entries after a position; none only where none follow."""

    def tail(self) -> Position:
        """Position of the newest entry there ever was; START of a log that never had one."""

    def length(self) -> int:
        """Number of entries."""


class SiteStore(Protocol):
    """Everything of one site. Every method raises StorageError when the store fails."""

    site: str

    def append(self, entry: bytes) -> Position:
        """Add an entry to the log; returns once the store has acknowledged it."""

    def append_many(self, entries: Sequence[bytes]) -> list[Position]:
        """Add entries in order, in one exchange.

        Raises:
            AppendInDoubt: if they were sent, and it is not known which of them were added.
        """

    def settle(
        self, entries: Sequence[bytes], doubt: Doubt, *, log: Log | None = None
    ) -> list[bool]:
        """For each of the entries of an append in doubt, whether the log has it.

        ``log`` is where to look: without it, in what of the log is in the store. Once this has
        answered, none of them can be added by that append any more.
        """

    def absorb(self, entries: Sequence[tuple[int, bytes]], *, source: str) -> None:
        """Add entries that waited in ``source``, each under a number of its own, in that order.

        Entries with numbers up to the highest that was absorbed from that source are left out:
        the same call made twice adds them once.
        """

    def read(
        self, after: Position, *, limit: int, block_ms: int = 0
    ) -> list[tuple[Position, bytes]]:
        """Up to ``limit`` entries after a position, waiting ``block_ms`` for the first."""

    def tail(self) -> Position:
        """Position of the newest entry, be it trimmed or removed since; START if none ever was."""

    def length(self) -> int:
        """Number of entries in the log, as far as they are in the store."""

    def archived(self) -> Archived | None:
        """How far the log is archived; None if it never was."""

    def set_archived(self, archive: str, upto: Position, *, replaces: str | None) -> bool:
        """Note that ``archive`` holds the log up to a position; False if another one is known.

        ``replaces`` is the archive that was known, None for none. What was trimmed stays noted.
        """

    def trim(self, upto: Position, *, archive: str, limit: int) -> int:
        """Take entries from the beginning of the log, about ``limit`` of them; how many it took.

        Takes nothing beyond ``upto``, beyond what ``archive`` is noted to hold, or beyond the
        checkpoint, and nothing at all where there is no checkpoint or another archive is known.
        Positions go on growing when the log is empty.
        """

    def remove(self, positions: Sequence[Position]) -> int:
        """Take single entries out of the log; how many there were."""

    def catalog(self, since: int) -> tuple[int, list[Document]]:
        """The catalog's revision, and the documents changed after revision ``since``."""

    def commit(self, amendments: Sequence[Amendment]) -> bool:
        """Store documents and append their entries, in order: all of them, or none and False.

        They are stored if each still has the revision that it replaces. No document is named twice.
        """

    def document(self, key: str, revision: int | None = None) -> Document | None:
        """A document as it is, or as it was at a revision of its own."""

    def publish(self, publication: Publication, *, replaces: int, keep: int) -> Published:
        """Serve a snapshot, unless a rebuild or a further snapshot came first.

        ``replaces`` is the generation that the publisher built upon (0 if none). The newest
        ``keep`` snapshots stay readable.
        """

    def head(self) -> Head | None:
        """Which snapshot serves."""

    def snapshot(self, name: str) -> bytes | None:
        """A snapshot's bytes, if they are still kept."""

    def snapshots(self) -> list[str]:
        """Names of the snapshots that are kept, the newest first."""

    def settings(self, settings_id: str) -> bytes | None:
        """The settings that snapshots name, for as long as the site exists."""

    def generations(self) -> list[Head]:
        """The first snapshot of each generation that served, the oldest first.

        Of a store from before this was kept, only generations since then.
        """

    def rebuilding(self) -> bytes | None:
        """What is noted of the last rebuild that was asked for; see ``rebuilding``."""

    def note_rebuilding(self, note: bytes, *, replaces: bytes | None) -> bool:
        """Note something else of it, if the note still is ``replaces``."""

    def checkpoint(self) -> bytes | None:
        """The checkpoint that learning resumes from."""

    def resumed(self) -> Resumed | None:
        """All that learning resumes from; None before there is a checkpoint."""

    def report(self) -> bytes | None:
        """What was counted of the site as a whole, as of the last publication that said."""

    def summaries(self, placements: Sequence[str] | None = None) -> dict[str, bytes]:
        """Placements in short: of those named, the ones that were counted; else all."""

    def sums(self, placements: Sequence[str]) -> list[bytes | None]:
        """What was counted of each of some placements."""

    def series(self, placement: str) -> bytes | None:
        """What a placement showed and earned over time."""

    def visits(self, visitor: str) -> dict[str, bytes]:
        """What is remembered of a visitor, by placement."""

    def visits_of(self, pairs: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """What is remembered of each (visitor, placement)."""

    def remember_visits(
        self, visits: Mapping[tuple[str, str], bytes], *, expire_seconds: int
    ) -> None:
        """Store what is to be remembered of each (visitor, placement)."""

    def forget_visits(self, visitor: str) -> int:
        """Forget a visitor; of how many placements something was remembered."""

    def secret(self) -> bytes:
        """The site's secret of 32 bytes, made on first use."""

    def mac_keys(self) -> tuple[int, bytes | None]:
        """Revision and ring of the keys that sign decision ids; (0, None) if there is none."""

    def replace_mac_keys(self, ring: bytes, *, replaces: int) -> bool:
        """Store a ring, if the revision still is ``replaces``; it grows by one."""

    def pulse(self) -> Pulse:
        """What may have changed, in one exchange."""


class Store(Protocol):
    """What sites have in common. Every method raises StorageError when the store fails."""

    def site(self, name: str) -> SiteStore:
        """The store of one site; the site is registered on its first write."""

    def sites(self) -> list[str]:
        """Names of the registered sites, sorted."""

    def register(self, site: str) -> None:
        """Make a site known."""

    def put_keys(self, records: Mapping[str, bytes], *, replaces: Mapping[str, bytes]) -> bool:
        """Store what keys may do, by their digests: all of it, or none and False.

        It is stored if each digest still has the record that ``replaces`` says, and those that it
        does not name have none.
        """

    def keys(self) -> dict[str, bytes]:
        """All key records by digest."""

    @property
    def away(self) -> bool:
        """Whether every call but ``probe`` is refused without being tried, until that succeeds."""

    @property
    def identity(self) -> str:
        """Names the data behind this store: another one means that all was lost or replaced."""

    def probe(self) -> None:
        """Raise StorageError unless the store answers and is the one it was before."""

    def describe(self) -> str:
        """Where this store is, for people; without credentials."""

    def close(self) -> None:
        """Let go of every connection."""


def entries_of(
    log: Log, *, after: Position, upto: Position, batch: int = 1000
) -> Iterable[tuple[Position, bytes]]:
    """The log from ``after`` (exclusive) to ``upto`` (inclusive), in batches."""
    position = after
    while True:
        rows = log.read(position, limit=batch)
        for position, data in rows:
            if position > upto:
                return
            yield position, data
        if not rows:
            return
