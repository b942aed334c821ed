"""Reports of a site, read from the store.

What is read in one report may be of two publications that follow each other: each part is whole,
and ``as_of`` is that of the site. The catalog comes from whoever asks, as placements are now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from bandit_service.catalog.model import Placement
from bandit_service.errors import NotFound
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting.daily import Daily, daily
from bandit_service.reporting.experiment import together
from bandit_service.reporting.gaps import Gap, gaps
from bandit_service.reporting.overview import Overview, days_of, overview, raced
from bandit_service.reporting.personas_report import PersonaReport, personas_report
from bandit_service.reporting.placement_report import (
    NOTHING,
    Found,
    PlacementReport,
    placement_report,
)
from bandit_service.reporting.stored import StoredSeries, StoredSite, StoredSums, decode
from bandit_service.reporting.summary import Summary, sums_of
from bandit_service.reporting.tag_effects import TagEffect, tag_effects
from bandit_service.reporting.words import variant
from bandit_service.storage.ports import SiteStore

_AT_ONCE: Final = 50
"""Placements whose sums are held in memory at a time."""


class Lead(NamedTuple):
    """How the live variants of a placement stand, by id."""

    clear: str | None
    """The one that is clearly the best over everybody; None: none is yet."""
    ahead: str | None
    """The one that is best as far as is known; None before any was rewarded."""


class TagReport(msgspec.Struct, frozen=True, kw_only=True):
    """What to make next."""

    as_of: int | None
    """How late it was in the log when this was counted, in ms since the Unix epoch."""
    effects: list[TagEffect]
    """Verdicts first, the surest first."""
    gaps: list[Gap]
    """Where a persona has no creative that suits it, the widest first."""


class Reports:
    """The reports of one site. Methods raise StorageError, and SnapshotError for old counters."""

    def __init__(self, store: SiteStore, catalog: Mapping[str, Placement]) -> None:
        """Read ``store``; ``catalog`` has the placements as they are now, by id."""
        self._store = store
        self._catalog = catalog

    def overview(self) -> Overview:
        """Every placement in a line."""
        return overview(self._site(), self._summaries(), self._catalog)

    def daily(self) -> list[Daily]:
        """Each day of the site, the newest 90 at most, oldest first."""
        whole = together([sums_of(one, one.scale) for one in self._summaries().values()])
        return daily(days_of(self._site()), whole.scale)

    def placement(self, name: str) -> PlacementReport:
        """All about a placement.

        Raises:
            NotFound: if there is none by that name, and nothing was counted under it.
        """
        placement, now = self._catalog.get(name), self._as_of()
        found = self._found(name)
        if found is not None:
            return placement_report(name, placement, found, now=now)
        if placement is None:
            raise NotFound(
                f"there is no placement {name[:80]!r}",
                field="placement",
                hint="GET /v1/reports/overview lists them",
            )
        return placement_report(name, placement, NOTHING, now=now)

    def lead(self, name: str) -> Lead:
        """Which of a placement's live variants is clearly the best, and which is ahead."""
        placement, summary = self._catalog.get(name), self._summaries([name]).get(name)
        if placement is None or summary is None:
            return Lead(None, None)
        live = {variant.arm for variant in placement.live(self._as_of() or 0)}
        ahead = summary.leader if summary.leader in live else None
        won = [one.arm for one in raced(live, summary).winners if one.persona is None]
        return Lead(
            clear=variant(won[0]) if won else None,
            ahead=None if ahead is None else variant(ahead),
        )

    def personas(self) -> PersonaReport:
        """Every persona, and whether it earns its keep."""
        return personas_report(self._as_of(), self._summaries())

    def tags(self) -> TagReport:
        """What each tag does, and where a persona has no creative that suits it."""
        summaries = self._summaries()
        known = {name: s for name, s in summaries.items() if name in self._catalog}
        personas = {one.persona for summary in known.values() for one in summary.personas}
        carried = (v.tags for name in known for v in self._catalog[name].variants)
        tags = {tag for several in carried for tag in several}
        return TagReport(
            as_of=self._as_of(),
            effects=tag_effects(self._counted(list(known)), sorted(tags), sorted(personas)),
            gaps=gaps(known),
        )

    def counts(self) -> JoinCounts:
        """What learning has met."""
        site = self._site()
        return JoinCounts() if site is None else site.join

    def _site(self) -> StoredSite | None:
        data = self._store.report()
        return None if data is None else decode(data, StoredSite)

    def _as_of(self) -> int | None:
        site = self._site()
        return None if site is None else site.clock

    def _summaries(self, names: Sequence[str] | None = None) -> dict[str, Summary]:
        found = self._store.summaries(names)
        return {name: decode(data, Summary) for name, data in found.items()}

    def _counted(self, names: Sequence[str]) -> Iterator[tuple[Placement, StoredSums]]:
        """What was counted of placements of the catalog, some at a time."""
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for name, data in zip(some, self._store.sums(some), strict=True):
                if data is not None:
                    yield self._catalog[name], decode(data, StoredSums)

    def _found(self, name: str) -> Found | None:
        (sums,), series = self._store.sums([name]), self._store.series(name)
        if sums is None or series is None:
            return None
        summary = self._summaries([name]).get(name)
        return Found(decode(sums, StoredSums), decode(series, StoredSeries), summary)
