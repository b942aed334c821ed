"""The only place that wires: settings and a store in, everything that stands on them out.

``Services`` belongs to one process. It keeps a view of each site that is asked for, and, in a
serving process, refreshes the views from a thread. There are no globals: whoever needs something is
given it from here. Stores are opened in ``opening``.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import structlog

from bandit_service.access import KeyRecord, KeyRing, Role, check_site
from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.archive.rounds import archive_sites, archive_until
from bandit_service.catalog.document import CatalogDocument, read_document
from bandit_service.catalog.model import Placement
from bandit_service.errors import (
    BanditError,
    InvalidInput,
    MediaError,
    NotAuthenticated,
    SettingsError,
    SpoolError,
    StorageError,
)
from bandit_service.events.identity import SiteSecret
from bandit_service.folds.learner import SiteLearner, publish
from bandit_service.folds.learning_loop import LearningLoop
from bandit_service.media.store import MediaStore, media_store
from bandit_service.policy.settings import SiteSettings, read_settings
from bandit_service.policy.snapshot import genesis
from bandit_service.reporting.reader import Reports
from bandit_service.runtime import now_ms
from bandit_service.serving.crawlers import crawlers_in
from bandit_service.serving.editing import CatalogEditor
from bandit_service.serving.finishing import BY as FINISH
from bandit_service.serving.finishing import Finisher, Standing
from bandit_service.serving.importing import Importer
from bandit_service.serving.keys import KeyKeeper
from bandit_service.serving.mac_keys import MacKeeper
from bandit_service.serving.pressure import Pressure
from bandit_service.serving.seeding import pictured
from bandit_service.serving.view import SiteView
from bandit_service.settings import ServiceSettings
from bandit_service.storage.identity import STORE_REPLACED
from bandit_service.storage.outbox import Outbox
from bandit_service.storage.ports import SiteStore, Store

if TYPE_CHECKING:
    from bandit_service.archive.archiver import SiteArchiver, Step
    from bandit_service.archive.forgetting import Forgotten

log = structlog.get_logger(__name__)

KEYS_SECONDS: Final = 0.5
"""How often at most an unknown key makes a process read the keys again."""
DEAF_SECONDS: Final = 2.0
"""Without news for so much longer than usual, an unknown key is refused without reading them."""
ENTROPY_BYTES: Final = 576
"""How many random bytes to ask for at a time: 64 decisions' worth."""
TEND_SECONDS: Final = 0.1
"""How often a serving process looks whether Redis is back and the spool can be emptied."""


class Entropy:
    """Random bytes of the operating system, asked for many at a time. Not for several threads."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, count: int) -> bytes:
        """``count`` random bytes that nobody was given before."""
        if len(self._rest) < count:
            self._rest = os.urandom(max(count, ENTROPY_BYTES))
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


class Services:
    """Everything that a process needs, standing on one store."""

    def __init__(
        self,
        settings: ServiceSettings,
        store: Store,
        *,
        clock: Callable[[], int] = now_ms,
        entropy: Callable[[int], bytes] | None = None,
        site_settings: SiteSettings | None = None,
        outbox: Outbox | None = None,
        waiting: Callable[[], bool] = lambda: False,
    ) -> None:
        """``clock`` gives ms since the Unix epoch, ``entropy`` that many random bytes.

        ``outbox`` takes what visitors are answered; without one it goes straight to ``store``.
        ``waiting`` says whether any of that waits on this machine's disk, for whoever learns.
        """
        self.settings = settings
        self.store = store
        self.clock = clock
        self.entropy = entropy or Entropy()
        self.site_settings = site_settings or site_settings_of(settings)
        self.keys = KeyKeeper(store, clock=clock)
        self.mac_keys = MacKeeper(store, clock=clock, entropy=self.entropy)
        self.crawlers = crawlers_in(settings.config_path)
        self.pressure = Pressure()
        self._ring = KeyRing({}, clock=clock)
        self._keys_revision = -1
        self._doubted_at = -KEYS_SECONDS
        self._views: dict[str, SiteView] = {}
        self._lock = threading.Lock()
        self._folder = ArchiveFolder(settings.archive_path)
        self._expired_files: set[Path] = set()
        self.outbox = outbox
        self._waiting = waiting
        self.trouble: BanditError | None = None
        """What the last look at the store ran into."""
        self._unlogged = False
        """Whether neither Redis nor the disk took the last entries."""
        self._identity = ""
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._refreshed_at = 0.0

    # -- serving

    def view(self, site: str) -> SiteView:
        """The view of a site, made on first use.

        Raises:
            StorageError: if it must be made and the store is away.
        """
        view = self._views.get(site)
        if view is None:
            with self._lock:
                view = self._views.get(site) or self._open(site)
                self._views[site] = view
        return view

    def serving(self, site: str) -> str | None:
        """Name of the snapshot that this process decides from; None if it cannot, asking nobody."""
        view = self._views.get(site)
        return None if view is None or view.chooser is None else view.chooser.name

    @property
    def problem(self) -> Literal["store_replaced", "spool_unavailable"] | None:
        """What keeps entries from the log until a person mends it, as far as this process heard."""
        trouble = self.trouble
        if isinstance(trouble, StorageError) and trouble.specific_code == STORE_REPLACED:
            return "store_replaced"
        if self._unlogged and self.outbox is not None and self.outbox.away:
            return "spool_unavailable"
        return None

    def authenticate(
        self, authorization: str | None, role: Role, origin: str | None = None
    ) -> KeyRecord:
        """The record of the key in an ``Authorization`` header; see ``KeyRing.authenticate``.

        A key that is not known yet may have been made a moment ago: the keys are read again, at
        most once every KEYS_SECONDS, before it is refused. While the watcher hears nothing from
        the store they are not: no key can have been made, and a flood of wrong ones would make
        this process wait for it again and again.
        """
        try:
            return self._ring.authenticate(authorization, role, origin)
        except NotAuthenticated:
            if authorization is None or not self._learn_of_keys():
                raise
            return self._ring.authenticate(authorization, role, origin)

    def recall(self, fingerprint: str, role: Role) -> KeyRecord:
        """The record of a key that was presented before; see ``KeyRing.holder``.

        As with ``authenticate``, one that is not known may have been made a moment ago.
        """
        try:
            return self._ring.holder(fingerprint, role)
        except NotAuthenticated:
            if not self._learn_of_keys():
                raise
            return self._ring.holder(fingerprint, role)

    def admits(self, origin: str) -> bool:
        """Whether web pages of ``origin`` may ask at all: see ``KeyRing.names``."""
        return self._ring.names(origin)

    def hosts(self, site: str) -> bool:
        """Whether a site of this name is served, asking nobody: see ``KeyRing.opens``."""
        return self._ring.opens(site)

    def refresh(self) -> None:
        """Look once for changed keys, catalogs and snapshots.

        What is wrong with one site keeps no other from hearing the news.

        Raises:
            StorageError: if the store does not answer; everything stays as it was.
        """
        self._notice_another_store()
        self.pressure.look(time.monotonic())
        failed: list[Exception] = []
        for site in {*self._views, self.settings.site}:
            try:
                self._refresh_site(site)
            except Exception as exc:  # noqa: BLE001 - raised when every site had its turn
                failed.append(exc)
        if failed:
            raise failed[0]
        self._refreshed_at = time.monotonic()

    def _refresh_site(self, site: str) -> None:
        view = self.view(site)
        pulse = view.store.pulse()
        if pulse.keys != self._keys_revision:
            self._read_keys()
            self._keys_revision = pulse.keys
        with self._lock:
            self.pressure.refresh(view, pulse, time.monotonic())

    @property
    def staleness(self) -> float:
        """Seconds since the last look that succeeded; infinite if there was none."""
        return time.monotonic() - self._refreshed_at if self._refreshed_at else float("inf")

    @property
    def _deaf(self) -> bool:
        """Whether the watcher has not reached the store lately."""
        patience = self.settings.poll_seconds + DEAF_SECONDS
        return bool(self._threads) and self.staleness > patience

    def start_watching(self) -> None:
        """Refresh, and look after the outbox, from threads of this process until ``close``."""
        rounds = [(self.settings.poll_seconds, self._watch)]
        if self.outbox is not None:
            rounds.append((TEND_SECONDS, self._tend))
        for seconds, work in rounds:
            thread = threading.Thread(
                target=self._repeat, args=(seconds, work), name=work.__name__, daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Stop watching and let go of the store."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self.store.close()

    # -- managing

    def editor(self, site: str, *, by: str) -> CatalogEditor:
        """Changes to a site's catalog on behalf of ``by``."""
        return CatalogEditor(self.store.site(check_site(site)), by=by, clock=self.clock)

    def reports(self, site: str) -> Reports:
        """The reports of a site, with the catalog as this process sees it."""
        view = self.view(check_site(site))
        catalog = {name: shelf.placement for name, shelf in view.shelves.items()}
        return Reports(view.store, catalog)

    def importer(self, site: str, *, by: str) -> Importer:
        """Imports of spreadsheets into a site's catalog on behalf of ``by``."""
        return Importer(self.editor(site, by=by), clock=self.clock)

    def seed(self, site: str, *, address: str | None = None) -> int:
        """Fill a site that has no catalog from ``catalog.toml``; how many placements that made.

        With the address at which browsers reach the service, pictures that lie nowhere get
        stand-ins, unless there is no place to keep them.
        """
        editor = self.editor(site, by="seed")
        path = self.settings.config_path / "catalog.toml"
        if editor.placements() or not path.exists():
            return 0
        document = catalog_from(path)
        if address is not None:
            try:
                document = pictured(document, self.media, address)
            except MediaError as exc:
                log.warning("stand_ins_not_kept", error=exc.message)
        return editor.put_document(document)

    def ensure_snapshot(self, site: str) -> None:
        """Give a new site the snapshot of an empty log, so that decisions can name it."""
        ensure_snapshot(self.store.site(site), self.site_settings)

    @cached_property
    def media(self) -> MediaStore:
        """The pictures of all sites.

        Raises:
            SettingsError: if the settings name a place that cannot be used.
        """
        return media_store(self.settings.media_url, self.settings.media_path)

    # -- learning

    def learner(self, site: str) -> SiteLearner:
        """A learner for one site."""
        return SiteLearner(
            self.store.site(site),
            self.site_settings,
            clock=lambda: self.clock() / 1000,
            publish_seconds=self.settings.publish_seconds,
            history=self.history(site),
            waiting=self._waiting,
        )

    def finisher(self, site: str) -> Finisher:
        """Who finishes the placements of one site."""
        return Finisher(
            self.store.site(site),
            self.editor(site, by=FINISH),
            partial(self._standing, site),
            clock=self.clock,
        )

    def _standing(self, site: str, placement: Placement) -> Standing:
        """How the variants of a placement compare, as far as its visitors were counted."""
        reports = Reports(self.store.site(site), {placement.id: placement})
        return Standing(*reports.lead(placement.id))

    def learn(self, stop: threading.Event) -> None:
        """Learn for every site until ``stop`` is set; see ``folds.learning_loop``."""
        loop = LearningLoop(
            self.store, learner_of=self.learner, finisher_of=self.finisher, clock=time.monotonic
        )
        loop.run(stop)

    # -- archiving

    def history(self, site: str) -> History:
        """The whole log of a site: archive and stream."""
        return History(self.store.site(site), self._folder)

    def archive(self, stop: threading.Event) -> None:
        """Archive the logs of all sites every ``archive_seconds``, until ``stop`` is set."""
        archive_until(stop, self.store, self.archiver, seconds=self.settings.archive_seconds)

    def archive_once(self) -> dict[str, Step]:
        """Archive the logs of all sites; what was done, by site.

        Raises:
            BanditError: what went wrong with one site, once the others are archived.
        """
        done, failed = archive_sites(self.store, self.archiver)
        if failed:
            raise failed[0]
        return done

    def archiver(self, site: str) -> SiteArchiver:
        """The archiver of one site; makes the archive if there is none."""
        from bandit_service.archive.archiver import DAY_MS, SiteArchiver  # noqa: PLC0415 - pyarrow

        return SiteArchiver(
            self.store.site(site),
            self._folder,
            archive=self._folder.ensure(uuid.uuid4().hex),
            clock=self.clock,
            stream_ms=round(self.settings.stream_hours * DAY_MS / 24),
            keep_days=self.settings.archive_days,
            expired=self._expired_files,
        )

    def forget(self, site: str, visitor: str) -> Forgotten:
        """Remove what is known of a visitor; see ``archive.forgetting``."""
        from bandit_service.archive.forgetting import forget  # noqa: PLC0415 - pyarrow

        store = self.store.site(check_site(site))
        pseudonym = SiteSecret(store.secret()).pseudonym(visitor)
        return forget(store, self._folder, pseudonym)

    # -- inside

    def _learn_of_keys(self) -> bool:
        """Read the keys again for one that is not known, if that may help; whether it was done."""
        now = time.monotonic()
        recently = now - self._doubted_at < KEYS_SECONDS
        if recently or self.store.away or self._deaf:
            return False
        self._doubted_at = now
        self._read_keys()
        return True

    def _read_keys(self) -> None:
        """Read and swap in one piece: an older reading must never take a newer one's place."""
        with self._lock:
            self._ring = KeyRing(self.store.keys(), clock=self.clock)

    def _open(self, site: str) -> SiteView:
        store = self.store.site(site)
        ensure_snapshot(store, self.site_settings)
        append = None if self.outbox is None else partial(self._append, self.outbox, store)
        view = SiteView(store, self.site_settings, append=append)
        view.refresh()
        return view

    def _append(self, outbox: Outbox, store: SiteStore, entries: Sequence[bytes]) -> None:
        try:
            outbox.append(store, entries)
        except SpoolError:
            self._unlogged = True
            raise
        self._unlogged = False

    def _notice_another_store(self) -> None:
        """Forget everything that was read from a store that is no longer the one in use."""
        identity = self.store.identity
        if identity != self._identity:
            with self._lock:
                self._views = {}
            self._identity = identity
            self._keys_revision = -1

    def _repeat(self, seconds: float, work: Callable[[], None]) -> None:
        while not self._stop.wait(seconds):
            try:
                work()
            except Exception:
                # Whatever it is, this process must go on looking: it also learns of revoked keys.
                log.exception("refresh_failed")

    def _watch(self) -> None:
        try:
            self.refresh()
        except BanditError as exc:
            if self.trouble is None or self.trouble.message != exc.message:
                log.warning("refresh_failed", error=exc.message, hint=exc.hint)
            self.trouble = exc
        else:
            self.trouble = None

    def _tend(self) -> None:
        if self.outbox is not None and self.outbox.away:
            with suppress(StorageError):  # the watcher says what it is
                self.outbox.tend()


def ensure_snapshot(store: SiteStore, settings: SiteSettings) -> None:
    """Publish the snapshot of an empty log if the site has none."""
    if store.head() is None:
        snapshot = genesis(settings)
        publish(store, snapshot, generation=1, replaces=0, checkpoint=None, report=None)


def site_settings_of(settings: ServiceSettings) -> SiteSettings:
    """The rewards and the policy in the file that the settings name; defaults if there is none.

    Raises:
        SettingsError: if the file cannot be used, or is missing and was asked for.
    """
    path = settings.config_path / settings.site_settings
    if path.exists():
        return read_settings(path.read_bytes(), name=str(path))
    if settings.site_settings != ServiceSettings().site_settings:
        raise SettingsError(
            f"{path} does not exist", field="site_settings", hint="name a TOML file"
        )
    return SiteSettings()


def catalog_from(path: Path) -> CatalogDocument:
    """The catalog in a file.

    Raises:
        InvalidInput: if it cannot be opened or used.
    """
    return read_document(bytes_of(path), name=str(path))


def bytes_of(path: Path) -> bytes:
    """What is in a file that somebody named.

    Raises:
        InvalidInput: if it cannot be opened.
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidInput(
            f"{path} cannot be read: {exc.strerror}", hint="is the path right?"
        ) from exc
