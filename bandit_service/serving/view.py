"""What a serving process knows of one site: its catalog and its policy, as of a moment ago.

A ``SiteView`` is refreshed from the store by whoever watches it, and read by requests. Parts are
swapped whole, by one assignment each, so a request sees the old or the new and never a mixture;
the request that is under way keeps the parts it began with. Loading a snapshot happens before the
swap and drops no request. A snapshot that cannot be used is refused; the one before it serves on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, NamedTuple

import msgspec
import structlog

from bandit_service.catalog.model import Personas, Placement
from bandit_service.catalog.personas import Resolver
from bandit_service.errors import SnapshotError
from bandit_service.events.identity import SiteSecret
from bandit_service.events.mac_keys import decode_ring
from bandit_service.policy.chooser import Candidates, Chooser
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.snapshot import load_snapshot
from bandit_service.serving.described import Descriptions
from bandit_service.serving.visitors import Visitors
from bandit_service.storage.ports import PERSONAS_KEY, Pulse, SiteStore

log = structlog.get_logger(__name__)

MAX_TRIED: Final = 20
"""Older snapshots that are tried where the newest cannot be used."""


class _Display(NamedTuple):
    """What a placement shows from ``begin`` on and before ``end``, both in ms."""

    begin: float
    end: float
    candidates: Candidates


class Shelf:
    """A placement with its candidates prepared, for the stretch of time that it was asked for last.

    Most placements have no schedule, and one stretch that never ends. To begin with it is the last
    one: schedules are over more often than not.
    """

    __slots__ = ("_display", "_turns", "placement")

    def __init__(self, placement: Placement) -> None:
        """Prepare what ``placement`` shows in the end."""
        self.placement = placement
        self._turns = placement.turns()
        self._display = self._prepare(self._turns[-1] if self._turns else 0)

    def candidates(self, now: int) -> Candidates:
        """What may be shown at ``now``, in ms since the Unix epoch."""
        display = self._display  # read once: another thread may ask for another moment
        if not display.begin <= now < display.end:
            display = self._display = self._prepare(now)
        return display.candidates

    def _prepare(self, now: int) -> _Display:
        place = bisect_right(self._turns, now)
        begin = self._turns[place - 1] if place else -inf
        end = self._turns[place] if place < len(self._turns) else inf
        return _Display(begin, end, Candidates.of(self.placement, now))


class SiteView:
    """One site, as a serving process sees it."""

    def __init__(
        self,
        store: SiteStore,
        defaults: SiteSettings,
        *,
        append: Callable[[Sequence[bytes]], object] | None = None,
    ) -> None:
        """A view that knows nothing yet; call ``refresh``.

        ``defaults`` serve until there is a snapshot. ``append`` logs what requests say; the
        store's own unless something stands in between.
        """
        self.site = store.site
        self.store = store
        self.append = append or store.append_many
        self._secret = store.secret()
        self.secret = SiteSecret(self._secret)
        self.visits = Visitors(store)
        self.shelves: dict[str, Shelf] = {}
        self._personas = Resolver(Personas())
        self.descriptions = Descriptions(self._personas, self.tags_of)
        self.chooser: Chooser | None = None
        self._retired: Chooser | None = None
        self._refused: deque[str] = deque(maxlen=MAX_TRIED + 1)
        self.defaults = defaults
        self._catalog = 0
        self._mac_keys = 0

    @property
    def settings(self) -> SiteSettings:
        """The settings of the snapshot that serves, or the defaults where none does."""
        chooser = self.chooser
        return self.defaults if chooser is None else chooser.settings

    @property
    def personas(self) -> Personas:
        """The personas of the catalog."""
        return self._personas.personas

    def tags_of(self, placement: str) -> tuple[str, ...]:
        """The tags of a placement's content; none if it does not exist."""
        shelf = self.shelves.get(placement)
        return () if shelf is None else shelf.placement.tags

    def refresh(self, pulse: Pulse | None = None, *, swap: bool = True) -> None:
        """Bring the view up to date with the store; without ``swap``, all but the snapshot.

        A view that has no snapshot takes one in any case.

        Raises:
            StorageError: if the store does not answer; the view stays as it was.
        """
        pulse = pulse or self.store.pulse()
        if pulse.mac_keys != self._mac_keys:
            revision, ring = self.store.mac_keys()
            self.secret = SiteSecret(self._secret, decode_ring(ring))
            self._mac_keys = revision
        if pulse.catalog != self._catalog:
            self._refresh_catalog()
        serving = None if self.chooser is None else self.chooser.name
        wanted = swap or serving is None
        known = (serving, *self._refused)
        if wanted and pulse.head is not None and pulse.head.name not in known:
            self._refresh_policy(pulse.head.name)

    def _refresh_catalog(self) -> None:
        revision, documents = self.store.catalog(self._catalog)
        shelves = dict(self.shelves)
        for document in documents:
            if document.key == PERSONAS_KEY:
                self._personas = Resolver(msgspec.json.decode(document.data, type=Personas))
            else:
                placement = msgspec.json.decode(document.data, type=Placement)
                shelves[placement.id] = Shelf(placement)
        self.shelves = shelves
        # New ones: personas and tags may have changed, and with them what requests say.
        self.descriptions = Descriptions(self._personas, self.tags_of)
        self._catalog = revision

    def _refresh_policy(self, name: str) -> None:
        chooser = self._load(name)
        if chooser is None:
            if self.chooser is not None or name not in self._refused:
                return
            chooser = self._load_older()
        # A request may still be choosing with the present one: free it at the next swap.
        retired, self._retired = self._retired, self.chooser
        self.chooser = chooser
        if retired is not None:
            retired.close()

    def _load(self, name: str) -> Chooser | None:
        """The policy of a snapshot; None if it is gone or cannot be used."""
        data = self.store.snapshot(name)
        if data is None or name in self._refused:
            return None
        try:
            return Chooser(load_snapshot(data, name=name))
        except SnapshotError as exc:
            self._refused.append(name)
            log.warning("snapshot_refused", site=self.site, snapshot=name, error=exc.message)
            return None

    def _load_older(self) -> Chooser | None:
        """The policy of the newest snapshot that can be used, for a process that has none yet."""
        for name in self.store.snapshots()[:MAX_TRIED]:
            chooser = self._load(name)
            if chooser is not None:
                return chooser
        return None
