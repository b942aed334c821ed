"""A site with a log, an archive and a clock, and what is done with them in tests."""

from __future__ import annotations

from pathlib import Path

from bandit_service.archive.archiver import DAY_MS, SiteArchiver, Step
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.events.entries import Position, Tick, encode
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import Head, Publication, SiteStore
from tests.conftest import START_MS, Clock

Row = tuple[Position, bytes]


def checkpoint(store: SiteStore, position: Position) -> None:
    """Leave a checkpoint at a position, as a learner would, or a rebuild where it goes back."""
    head = store.head()
    generation = 0 if head is None else head.generation
    publication = Publication(
        Head(f"{position}.5e771265.x", position, generation + 1), b"s", b"{}", None, b"checkpoint"
    )
    assert store.publish(publication, replaces=generation, keep=2) == "published"


class ArchivedSite:
    """A site, in memory unless a store is given, archived into a folder."""

    def __init__(
        self, path: Path, *, stream_hours: float, days: int = 0, store: SiteStore | None = None
    ) -> None:
        self.clock = Clock(START_MS)
        self.store: SiteStore = store or MemoryStore(clock=self.clock).site("main")
        self.folder = ArchiveFolder(path)
        self.id = self.folder.ensure("an archive")
        self.stream_hours = stream_hours
        self.days = days

    def archiver(self, *, stream_hours: float | None = None, settle_ms: int = 0) -> SiteArchiver:
        hours = self.stream_hours if stream_hours is None else stream_hours
        return SiteArchiver(
            self.store,
            self.folder,
            archive=self.id,
            clock=self.clock,
            stream_ms=round(hours * 3_600_000),
            keep_days=self.days,
            settle_ms=settle_ms,
        )

    def history(self) -> History:
        return History(self.store, self.folder)

    def fill(self, *, days: int, entries: int, steps: int = 1) -> list[Row]:
        """Log so many entries on each of so many days, archiving so often a day; what was logged.

        Afterwards it is the morning of the day after.
        """
        rows: list[Row] = []
        for _ in range(days):
            for n in range(entries):
                data = encode(Tick(at=self.clock()))
                rows.append((self.store.append(data), data))
                self.clock.advance(1)
                if (n + 1) % max(1, entries // steps) == 0:
                    self.archiver(stream_hours=10_000).step()
            self.clock.now = (self.clock.now // DAY_MS + 1) * DAY_MS + 3_600_000
        return rows

    def trim(self) -> Step:
        """Learn everything, then archive and trim."""
        checkpoint(self.store, self.store.tail())
        return self.archiver().step()

    def files(self) -> list[Path]:
        return sorted(
            self.folder.table.glob("site=main/*/*.parquet"),
            key=lambda path: Position.parse(path.name.split("_")[0]),
        )
