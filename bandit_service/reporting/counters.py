"""The fold that counts a site: its placements, and its days.

Each placement is counted by itself (``placement_sums``), so that only those that changed since the
last publication are encoded and written again. What is not settled yet goes into the checkpoint,
with a digest of every placement's sums: a learner that resumes takes the sums from the store, and
refuses them unless they are those that the checkpoint was made with.

*Bounds.* Who holds a website's key can send candidates with a request, under names of placements
and variants that never come again. The rows of such requests are bounded apart from those of the
catalog, which editors keep. Where a bound is reached, a placement of the catalog gives up keeping
its line-ups apart: it goes on being counted, and its variants are not compared any more. What does
not fit even so is counted together, by persona, under the placement and variant OTHERS.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from bandit_service.errors import SnapshotError
from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision
from bandit_service.outcomes.join import Outcome
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting.placement_sums import Asked, PlacementSums, Size, Waiting
from bandit_service.reporting.series import DAY_MS, DAYS
from bandit_service.reporting.stored import (
    FORMAT,
    Day,
    StoredSeries,
    StoredSite,
    StoredSums,
    decode,
    encode,
)
from bandit_service.reporting.summary import summarised
from bandit_service.reporting.units import Unit
from bandit_service.storage.ports import Report

MAX_ROWS: Final = 600_000
"""Rows of a site's catalog, of some 470 bytes each: 500 placements of 100 variants and 5 personas
in one line-up, and as many again in a second; every edit of what is live begins one."""
MAX_SENT_ROWS: Final = 40_000
"""Rows of candidates that came with requests."""
MAX_SENT: Final = 2_000
"""Placements that are in no catalog."""
OTHERS: Final = ""
"""Placement and variant of what came beyond the bounds; nothing can be called so."""


class StoredCounters(msgspec.Struct, frozen=True):
    """What a checkpoint keeps of the counters, beside the sums in the store."""

    site: StoredSite
    digests: dict[str, bytes]
    """Of the sums and series of every placement."""
    waiting: dict[str, list[Unit]]
    """The units that are not settled, by placement."""


class Parts(NamedTuple):
    """What the store keeps of each placement, by name."""

    sums: Mapping[str, bytes]
    series: Mapping[str, bytes]


class Counters:
    """The fold. ``history`` is the catalog, which the caller keeps in step with the log."""

    def __init__(self, history: CatalogHistory, *, largest: float = 0.0) -> None:
        """Nothing counted yet; ``largest`` is what a unit may be expected to earn at most."""
        self._history = history
        self._largest = largest
        self._places: dict[str, PlacementSums] = {}
        self._sent: set[str] = set()
        """Those of the placements that are in no catalog."""
        self._waiting: dict[str, tuple[str, Waiting]] = {}
        """Placement and unit, by decision."""
        self._rows = 0
        self._mixed = 0
        """Those of the rows that count as sent."""
        self._days: dict[int, Day] = {}
        self._clock = 0
        self._digests: dict[str, bytes] = {}
        """Of what was not touched since."""
        self._touched: set[str] = set()
        """Placements whose sums are not those that were encoded last."""
        self._changed: set[str] = set()
        """Placements whose sums are not those of the last publication."""
        self._outdated: set[str] = set()
        """Placements whose summary is not."""
        self._whole = True
        """Whether the store may have sums that are not of this fold."""
        self._encoded: dict[str, tuple[bytes, bytes]] = {}
        """Sums and series of what changed, once they were asked for."""

    # -- the log

    def passed(self, ms: int) -> None:
        """Note how late it is by the log's clock."""
        self._clock = max(self._clock, ms)

    def edited(self, placement: str) -> None:
        """Note that a placement was edited: what is live in it is part of its summary."""
        self._sent.discard(placement)
        if placement in self._places:
            self._outdated.add(placement)

    def open(self, decision: Decision, at: int) -> None:
        """Count a unit that a decision opened ``at`` (ms)."""
        name, asked = self._find(decision)
        probabilities, chosen = decision.probabilities, decision.chosen
        if name == OTHERS:
            probabilities, chosen = [decision.propensity], 0
        unit = Unit(
            decision.id,
            asked.candidates,
            probabilities,
            chosen,
            decision.holdout,
            half_of(decision.visitor or decision.id),
            at,
        )
        self._waiting[unit.id] = (name, self._places[name].open(unit, asked.rows))
        self._touch(name)
        if (day := self._day(at)) is not None:
            day.shown += 1

    def close(self, outcome: Outcome) -> None:
        """Count how a unit closed."""
        name, waiting = self._waiting.pop(outcome.decision.id)
        settled = self._places[name].close(waiting, outcome)
        self._touch(name)
        if not waiting.unit.views and (day := self._day(waiting.unit.at)) is not None:
            day.shown -= 1
        for one in settled:
            self._settle(one)

    def _settle(self, unit: Unit) -> None:
        day = self._day(unit.at)
        if day is None:
            return
        if unit.holdout:
            day.holdout_n += 1
            day.holdout_r += unit.reward
        else:
            day.policy_n += 1
            day.policy_r += unit.reward

    def _touch(self, name: str) -> None:
        if name in self._touched:
            return
        self._touched.add(name)
        self._changed.add(name)
        self._outdated.add(name)
        self._encoded.pop(name, None)
        self._digests.pop(name, None)

    def _day(self, at: int) -> Day | None:
        """The day of a time (ms); None if it is let go."""
        number = at // DAY_MS
        found = self._days.get(number)
        if found is None:
            newest = max(self._days, default=number)
            if number <= newest - DAYS:
                return None
            found = self._days[number] = Day()
            for old in [day for day in self._days if day <= number - DAYS]:
                del self._days[old]
        return found

    # -- places

    def _find(self, decision: Decision) -> tuple[str, Asked]:
        """The placement that a unit counts towards, and its candidates there."""
        name, persona, arms = decision.placement, decision.persona, tuple(decision.arms)
        live = self._live(decision, arms)
        if not self._admitted(name):
            name, arms, live = OTHERS, (OTHERS,), None
        elif not self._fits(name, persona, arms, live):
            name, arms, live = self._squeezed(name, persona, arms, live)
        place = self._place(name)
        before = place.size
        asked = place.asked(persona, arms, live)
        self._resized(place, before)
        return name, asked

    def _fits(
        self, name: str, persona: str, arms: tuple[str, ...], live: tuple[str, ...] | None
    ) -> bool:
        """Whether there is room for the rows of candidates."""
        room = MAX_SENT_ROWS - self._mixed if live is None else MAX_ROWS - self._rows
        if room >= len(arms):
            return True
        known = self._places.get(name)
        new = len(arms) if known is None else known.new_rows(persona, arms, live)
        return new <= max(room, 0)

    def _squeezed(
        self, name: str, persona: str, arms: tuple[str, ...], live: tuple[str, ...] | None
    ) -> tuple[str, tuple[str, ...], tuple[str, ...] | None]:
        """What a unit that does not fit counts towards instead: placement, candidates, line-up."""
        if live is not None:
            self._mix(name)
            for lineup in (live, None):
                if self._fits(name, persona, arms, lineup):
                    return name, arms, lineup
        return OTHERS, (OTHERS,), None

    def _mix(self, name: str) -> None:
        """Keep line-ups of a placement apart no longer, as far as no unit waits in them."""
        place = self._places.get(name)
        if place is not None and (before := place.size).rows:
            place.mix_idle()
            self._resized(place, before)
            self._touch(name)

    def _resized(self, place: PlacementSums, before: Size) -> None:
        """Note that a placement has other rows than before."""
        after = place.size
        self._rows += after.rows - before.rows
        self._mixed += after.mixed - before.mixed

    def _live(self, decision: Decision, arms: tuple[str, ...]) -> tuple[str, ...] | None:
        """What was live where a decision was made; () if it could not have shown all of that.

        None if its candidates came with the request, or what was live is not known any more.
        """
        if decision.inline is not None:
            return None
        placement = self._history.placement(decision.placement, decision.revision)
        if placement is None:
            return None
        if 0.0 in decision.probabilities:
            return ()
        if not decision.exclude or len(placement.live(decision.at)) == len(arms):
            return arms
        return ()

    def _admitted(self, name: str) -> bool:
        """Whether a placement has sums of its own, or may."""
        if name in self._places or self._history.latest(name) is not None:
            return True
        return len(self._sent) < MAX_SENT

    def _place(self, name: str) -> PlacementSums:
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = PlacementSums(self._largest)
            if self._history.latest(name) is None:
                self._sent.add(name)
        return found

    # -- stored

    def report(self, join: JoinCounts) -> Report:
        """What is to be published: what changed since ``published``, or all."""
        parts = {name: self._parts_of(name) for name in self._among(self._changed)}
        return Report(
            site=encode(self._site(join)),
            summaries={name: self._summary(name) for name in self._among(self._outdated)},
            sums={name: sums for name, (sums, _) in parts.items()},
            series={name: series for name, (_, series) in parts.items()},
            whole=self._whole,
        )

    def published(self) -> None:
        """Note that the store has what ``report`` just gave."""
        self._whole = False
        self._changed.clear()
        self._outdated.clear()
        self._encoded.clear()

    def parts(self) -> Parts:
        """The sums and series of every placement, as they are published."""
        parts = {name: _encoded(place) for name, place in self._places.items()}
        return Parts(
            {name: sums for name, (sums, _) in parts.items()},
            {name: series for name, (_, series) in parts.items()},
        )

    def dump(self, join: JoinCounts) -> StoredCounters:
        """What a checkpoint keeps; the sums are in the ``report`` that goes with it."""
        for name in self._places.keys() - self._digests.keys():
            self._digests[name] = _digest(*self._parts_of(name))
        waiting = {name: place.waiting() for name, place in self._places.items()}
        return StoredCounters(
            self._site(join),
            {name: self._digests[name] for name in self._places},
            {name: units for name, units in waiting.items() if units},
        )

    def restore(self, state: StoredCounters, parts: Parts) -> None:
        """Continue from what ``dump`` gave and the store has.

        Raises:
            SnapshotError: if the store's sums are not those that the checkpoint was made with.
        """
        for name, digest in state.digests.items():
            sums, series = parts.sums.get(name, b""), parts.series.get(name, b"")
            if _digest(sums, series) != digest:
                raise SnapshotError(
                    f"the counters of placement {name!r} are not those of the checkpoint",
                    hint="rebuild them from the log: bandit-service rebuild",
                )
            place, units = self._place(name), state.waiting.get(name, [])
            stored = decode(sums, StoredSums), decode(series, StoredSeries)
            for waiting in place.restore(*stored, units):
                if not waiting.unit.closed:
                    self._waiting[waiting.unit.id] = (name, waiting)
            self._resized(place, Size(0, 0))
        self._digests = dict(state.digests)
        self._days, self._clock = state.site.days, state.site.clock
        self._whole = False
        self._outdated = set(self._places)  # a summary is as this version makes it

    def _among(self, names: set[str]) -> list[str]:
        """Those of the placements, in the order in which they came."""
        return [name for name in self._places if name in names]

    def _parts_of(self, name: str) -> tuple[bytes, bytes]:
        found = self._encoded.get(name)
        if found is None:
            found = self._encoded[name] = _encoded(self._places[name])
            self._touched.discard(name)
        return found

    def _summary(self, name: str) -> bytes:
        place, placement = self._places[name], self._history.latest(name)
        asked = () if placement is None else placement.live(self._clock)
        live = tuple(variant.arm for variant in asked)
        return encode(summarised(place.sums(), place.shown_by_hour(), live))

    def _site(self, join: JoinCounts) -> StoredSite:
        return StoredSite(FORMAT, self._clock, join, dict(sorted(self._days.items())))


def half_of(visitor: str) -> int:
    """The half of the visitors that a pseudonym is of, 0 or 1: a coin that no draw depends on."""
    return crc32(visitor.encode("utf-8", "surrogatepass")) >> 16 & 1


def _encoded(place: PlacementSums) -> tuple[bytes, bytes]:
    return encode(place.sums()), encode(place.series())


def _digest(sums: bytes, series: bytes) -> bytes:
    return blake2b(len(sums).to_bytes(8, "big") + sums + series, digest_size=8).digest()
