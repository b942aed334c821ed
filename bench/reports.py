"""``reports``: how long the desk waits for its numbers, and what publishing them costs the learner.

A site of many placements, each of a few variants and of a hundred, is counted by the package's own
fold, published to an embedded Redis and read back by the package's own reports: from the bytes in
the store to the answer's JSON, with nothing kept from one call to the next.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from bandit_service.catalog.model import Placement, Variant
from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision, PlacementChanged, Position
from bandit_service.opening import opened_store
from bandit_service.outcomes.join import JoinCounts, Outcome
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.snapshot import Snapshot, genesis
from bandit_service.reporting.counters import Counters
from bandit_service.reporting.reader import Reports
from bandit_service.storage.ports import Head, Publication, SiteStore
from bench.measures import BenchError, Row, Scale, Spread, Table
from bench.servers import SITE, settings_in

VARIANTS: Final = (5, 100)
PERSONAS: Final = ("romantic", "comedy", "action", "thriller", "unknown")
TAGS: Final = 30
TARGET_MS: Final = 1_000.0
"""What we hold the overview to."""
_BEGAN: Final = 1_900_000_000_000
"""Where the made-up clock starts, in ms since the Unix epoch."""
_STEP_MS: Final = 600_000
"""Time between two units of a placement."""


class Timed(msgspec.Struct, frozen=True):
    """One call, in milliseconds."""

    name: str
    ms: Spread
    megabytes: float
    """Written, or answered."""


def measure(scale: Scale) -> Table:
    """Read and write the numbers of sites of both sizes."""
    with TemporaryDirectory(prefix="bandit-bench-") as folder:
        settings = settings_in(Path(folder))
        with opened_store(settings) as store:
            timed = [
                found
                for variants in VARIANTS
                for found in _Counted(store.site(f"{SITE}-{variants}"), scale, variants).timed()
            ]
    return Table(
        title=f"reports: milliseconds a call, {scale.placements} placements, 5 personas",
        columns=("ms", "MB"),
        rows=tuple(Row(one.name, (one.ms.shown(1), f"{one.megabytes:.2f}")) for one in timed),
        notes=(
            f"target: an overview within {TARGET_MS:g} ms; median (least to largest round)",
            "publish: summing up, encoding and writing; MB: what is written, or answered",
        ),
        values=timed,
    )


class _Counted:
    """A site, its sums, and the store that has them."""

    def __init__(self, store: SiteStore, scale: Scale, variants: int) -> None:
        self._store, self._scale, self._variants = store, scale, variants
        self._random = random.Random(7)
        self._history = CatalogHistory(keep_ms=10**12)
        self._counters = Counters(self._history)
        self._snapshot: Snapshot = genesis(SiteSettings())
        self._published = 0
        self._units = 0
        self._catalog = {f"p{n}": self._placement(f"p{n}") for n in range(scale.placements)}
        for placement in self._catalog.values():
            entry = PlacementChanged(placement=placement, at=0, by="bench")
            self._history.apply(Position(1, 0), entry)
            for unit in range(scale.report_units):
                self._count(placement, _BEGAN + unit * _STEP_MS)

    def timed(self) -> list[Timed]:
        """Every call, round after round."""
        reports = Reports(self._store, self._catalog)
        every = self._publish()
        calls: list[tuple[str, Callable[[], object]]] = [
            ("overview", reports.overview),
            ("placement", lambda: reports.placement("p0")),
            ("personas", reports.personas),
            ("tags", reports.tags),
        ]
        found = [Timed(self._name("publish all"), Spread.of([every[0]]), every[1])]
        changed = [self._change() for _ in range(self._scale.rounds)]
        found.append(
            Timed(
                self._name("publish one that changed"),
                Spread.of(ms for ms, _ in changed),
                changed[0][1],
            )
        )
        for name, call in calls:
            took = [_milliseconds(call) for _ in range(self._scale.rounds)]
            found.append(Timed(self._name(name), Spread.of(took), len(_answer(call)) / 1e6))
        return found

    def _name(self, name: str) -> str:
        return f"{name}, {self._variants} variants"

    def _change(self) -> tuple[float, float]:
        self._count(self._catalog["p0"], _BEGAN + self._units * _STEP_MS)
        return self._publish()

    def _publish(self) -> tuple[float, float]:
        """Publish what changed: milliseconds, and megabytes."""
        started = time.perf_counter()
        self._counters.dump(JoinCounts())
        report = self._counters.report(JoinCounts())
        self._published += 1
        head = Head(self._snapshot.name, Position(1, self._published), 1)
        publication = Publication(head, self._snapshot.encoded, b"{}", report, b"checkpoint")
        answer = self._store.publish(publication, replaces=min(self._published - 1, 1), keep=2)
        took = time.perf_counter() - started
        if answer != "published":
            raise BenchError(f"the store says {answer}")
        self._counters.published()
        parts = (report.summaries, report.sums, report.series)
        return took * 1e3, sum(len(data) for part in parts for data in part.values()) / 1e6

    def _placement(self, name: str) -> Placement:
        tags = [f"tag-{n}" for n in range(TAGS)]
        variants = [
            Variant(
                id=f"v{n}",
                version=1,
                headline=f"{name} {n}",
                status="live",
                tags=tuple(self._random.sample(tags, 3)),
            )
            for n in range(self._variants)
        ]
        return Placement(id=name, revision=1, kind="headline", variants=tuple(variants))

    def _count(self, placement: Placement, at: int) -> None:
        """One unit, drawn evenly and clicked by one visitor of ten."""
        self._units += 1
        arms = [variant.arm for variant in placement.variants]
        clicked = self._random.random() < 0.1
        decision = Decision(
            id=f"unit-{self._units}",
            at=at,
            placement=placement.id,
            revision=1,
            arms=arms,
            probabilities=[1.0 / len(arms)] * len(arms),
            chosen=self._random.randrange(len(arms)),
            snapshot=self._snapshot.name,
            reason="learned",
            persona=self._random.choice(PERSONAS),
            confidence=1.0,
            holdout=self._random.random() < 0.05,
        )
        self._counters.passed(at)
        self._counters.open(decision, at)
        kind, reward = ("rewarded", 1.0) if clicked else ("defaulted", 0.0)
        self._counters.close(Outcome(decision, kind, reward, 1, Position(at, 0)))  # type: ignore[arg-type]


def _answer(call: Callable[[], object]) -> bytes:
    return msgspec.json.encode(call())


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    _answer(call)
    return (time.perf_counter() - started) * 1e3
