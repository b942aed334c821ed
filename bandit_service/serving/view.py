"""What a serving process knows of one site: its catalog and its policy, as of a moment ago.

A ``SiteView`` is refreshed from the store by whoever watches it, and read by requests. Parts are
swapped whole, by one assignment each, so a request sees the old or the new and never a mixture;
the request that is under way keeps the parts it began with. Loading a snapshot happens before the
swap and drops no request. A snapshot that cannot be used is refused; the one before it serves on.
"""

from __future__ import annotations

import msgspec
import structlog

from bandit_service.catalog.model import Personas, Placement
from bandit_service.catalog.personas import Resolver
from bandit_service.errors import SnapshotError
from bandit_service.events.identity import SiteSecret
from bandit_service.policy.chooser import Candidates, Chooser
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.snapshot import load_snapshot
from bandit_service.serving.described import Descriptions
from bandit_service.serving.visitors import Visitors
from bandit_service.storage.ports import PERSONAS_KEY, Pulse, SiteStore

log = structlog.get_logger(__name__)


class Shelf:
    """A placement with its candidates prepared."""

    __slots__ = ("candidates", "placement")

    def __init__(self, placement: Placement) -> None:
        """Prepare the live variants of ``placement``."""
        self.placement = placement
        self.candidates = Candidates.of(placement)


class SiteView:
    """One site, as a serving process sees it."""

    def __init__(self, store: SiteStore, defaults: SiteSettings) -> None:
        """A view that knows nothing yet; call ``refresh``.

        ``defaults`` serve until there is a snapshot.
        """
        self.site = store.site
        self.store = store
        self.secret = SiteSecret(store.secret())
        self.visits = Visitors(store)
        self.shelves: dict[str, Shelf] = {}
        self._personas = Resolver(Personas())
        self.descriptions = Descriptions(self._personas, self.tags_of)
        self.chooser: Chooser | None = None
        self._retired: Chooser | None = None
        self._refused = ""
        self.defaults = defaults
        self._catalog = 0

    @property
    def settings(self) -> SiteSettings:
        """The settings of the snapshot that serves, or the defaults where none does."""
        chooser = self.chooser
        return self.defaults if chooser is None else chooser.settings

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
        if pulse.catalog != self._catalog:
            self._refresh_catalog()
        serving = None if self.chooser is None else self.chooser.name
        wanted = swap or serving is None
        if wanted and pulse.head is not None and pulse.head.name not in (serving, self._refused):
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
        data = self.store.snapshot(name)
        if data is None:
            return
        try:
            chooser = Chooser(load_snapshot(data, name=name))
        except SnapshotError as exc:
            self._refused = name
            log.warning("snapshot_refused", site=self.site, snapshot=name, error=exc.message)
            return
        # A request may still be choosing with the present one: free it at the next swap.
        retired, self._retired = self._retired, self.chooser
        self.chooser = chooser
        if retired is not None:
            retired.close()
