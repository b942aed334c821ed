"""The only place that wires: settings in, a store and everything that stands on it out.

``Services`` belongs to one process. It opens the store, keeps a view of each site that is asked
for, and, in a serving process, refreshes the views from a thread. There are no globals: whoever
needs something is given it from here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import structlog

from bandit_service.access import KeyRecord, KeyRing, Role, check_site
from bandit_service.catalog.document import CatalogDocument, read_document
from bandit_service.errors import (
    BanditError,
    InvalidInput,
    NotAuthenticated,
    SettingsError,
    StorageError,
)
from bandit_service.folds.learner import SiteLearner, publish
from bandit_service.policy.settings import SiteSettings, read_settings
from bandit_service.policy.snapshot import genesis
from bandit_service.serving.crawlers import crawlers_in
from bandit_service.serving.editing import CatalogEditor
from bandit_service.serving.keys import KeyKeeper
from bandit_service.serving.pressure import Pressure
from bandit_service.serving.view import SiteView
from bandit_service.settings import ServiceSettings
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.ports import SiteStore, Store
from bandit_service.storage.redis_store import RedisStore

log = structlog.get_logger(__name__)

KEYS_SECONDS: Final = 0.5
"""How often at most an unknown key makes a process read the keys again."""
DEAF_SECONDS: Final = 2.0
"""Without news for so much longer than usual, an unknown key is refused without reading them."""
REST_SECONDS: Final = 1.0
"""How long the learner waits for a store or a site that is in trouble."""
ENTROPY_BYTES: Final = 576
"""How many random bytes to ask for at a time: 64 decisions' worth."""
IDLE_SECONDS: Final = 0.02
"""How long the learner rests when no site had anything new."""


def now_ms() -> int:
    """The wall clock, in ms since the Unix epoch."""
    return time.time_ns() // 1_000_000


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
    ) -> None:
        """``clock`` gives ms since the Unix epoch, ``entropy`` that many random bytes."""
        self.settings = settings
        self.store = store
        self.clock = clock
        self.entropy = entropy or Entropy()
        self.site_settings = site_settings or site_settings_of(settings)
        self.keys = KeyKeeper(store, clock=clock)
        self.crawlers = crawlers_in(settings.config_path)
        self.pressure = Pressure()
        self._ring = KeyRing({})
        self._keys_revision = -1
        self._doubted_at = -KEYS_SECONDS
        self._views: dict[str, SiteView] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        self._refreshed_at = 0.0

    # -- serving

    def view(self, site: str) -> SiteView:
        """The view of a site, made on first use."""
        view = self._views.get(site)
        if view is None:
            with self._lock:
                view = self._views.get(site) or self._open(site)
                self._views[site] = view
        return view

    def authenticate(self, authorization: str | None, role: Role) -> KeyRecord:
        """The record of the key in an ``Authorization`` header; see ``KeyRing.authenticate``.

        A key that is not known yet may have been made a moment ago: the keys are read again, at
        most once every KEYS_SECONDS, before it is refused. While the watcher hears nothing from
        the store they are not: no key can have been made, and a flood of wrong ones would make
        this process wait for it again and again.
        """
        try:
            return self._ring.authenticate(authorization, role)
        except NotAuthenticated:
            now = time.monotonic()
            if authorization is None or now - self._doubted_at < KEYS_SECONDS or self._deaf:
                raise
            self._doubted_at = now
            self._read_keys()
            return self._ring.authenticate(authorization, role)

    def refresh(self) -> None:
        """Look once for changed keys, catalogs and snapshots.

        Raises:
            StorageError: if the store does not answer; everything stays as it was.
        """
        self.pressure.look(time.monotonic())
        for site in {*self._views, self.settings.site}:
            view = self.view(site)
            pulse = view.store.pulse()
            if pulse.keys != self._keys_revision:
                self._read_keys()
                self._keys_revision = pulse.keys
            with self._lock:
                self.pressure.refresh(view, pulse, time.monotonic())
        self._refreshed_at = time.monotonic()

    @property
    def staleness(self) -> float:
        """Seconds since the last look that succeeded; infinite if there was none."""
        return time.monotonic() - self._refreshed_at if self._refreshed_at else float("inf")

    @property
    def _deaf(self) -> bool:
        """Whether the watcher has not reached the store lately."""
        patience = self.settings.poll_seconds + DEAF_SECONDS
        return self._watcher is not None and self.staleness > patience

    def start_watching(self) -> None:
        """Refresh from a thread of this process until ``close``."""
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching and let go of the store."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join(timeout=5)
        self.store.close()

    # -- managing

    def editor(self, site: str, *, by: str) -> CatalogEditor:
        """Changes to a site's catalog on behalf of ``by``."""
        return CatalogEditor(self.store.site(check_site(site)), by=by, clock=self.clock)

    def seed(self, site: str) -> int:
        """Fill a site that has no catalog from ``catalog.toml``; how many placements that made."""
        editor = self.editor(site, by="seed")
        path = self.settings.config_path / "catalog.toml"
        if editor.placements() or not path.exists():
            return 0
        return editor.put_document(catalog_from(path))

    def ensure_snapshot(self, site: str) -> None:
        """Give a new site the snapshot of an empty log, so that decisions can name it."""
        ensure_snapshot(self.store.site(site), self.site_settings)

    # -- learning

    def learner(self, site: str) -> SiteLearner:
        """A learner for one site."""
        return SiteLearner(
            self.store.site(site),
            self.site_settings,
            clock=lambda: self.clock() / 1000,
            publish_seconds=self.settings.publish_seconds,
        )

    def learn(self, stop: threading.Event) -> None:
        """Learn for every site until ``stop`` is set, then leave checkpoints.

        A store that does not answer is waited for; nothing is lost meanwhile, since everything
        that was acknowledged is in the log.
        """
        learners: dict[str, SiteLearner] = {}
        resting: dict[str, float] = {}
        while not stop.is_set():
            try:
                sites = self.store.sites()
            except StorageError as exc:
                log.warning("store_unavailable", error=exc.message)
                stop.wait(REST_SECONDS)
                continue
            now = time.monotonic()
            awake = [site for site in sites if resting.get(site, 0.0) <= now]
            if not any([self._learn_site(site, learners, resting) for site in awake]):  # noqa: C419 - each site its turn
                stop.wait(IDLE_SECONDS)
        for site, learner in learners.items():
            try:
                learner.finish()
            except BanditError as exc:
                log.warning("checkpoint_not_left", site=site, error=exc.message)

    def _learn_site(
        self, site: str, learners: dict[str, SiteLearner], resting: dict[str, float]
    ) -> bool:
        """One step of one site; what is wrong with it keeps no other site from learning."""
        try:
            if site not in learners:
                learners[site] = self.learner(site)
            return learners[site].step() > 0
        except BanditError as exc:
            log.warning("learning_stopped", site=site, error=exc.message, hint=exc.hint)
            resting[site] = time.monotonic() + REST_SECONDS
            return False

    # -- inside

    def _read_keys(self) -> None:
        """Read and swap in one piece: an older reading must never take a newer one's place."""
        with self._lock:
            self._ring = KeyRing(self.store.keys())

    def _open(self, site: str) -> SiteView:
        store = self.store.site(site)
        ensure_snapshot(store, self.site_settings)
        view = SiteView(store, self.site_settings)
        view.refresh()
        return view

    def _watch(self) -> None:
        while not self._stop.wait(self.settings.poll_seconds):
            try:
                self.refresh()
            except BanditError as exc:
                log.warning("refresh_failed", error=exc.message)
            except Exception:
                # Whatever it is, this process must go on looking: it also learns of revoked keys.
                log.exception("refresh_failed")


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
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InvalidInput(
            f"{path} cannot be read: {exc.strerror}", hint="is the path right?"
        ) from exc
    return read_document(data, name=str(path))


@contextmanager
def opened_store(settings: ServiceSettings, *, guarded: bool = False) -> Iterator[RedisStore]:
    """The Redis of the settings, or one of our own for as long as the context lasts.

    ``guarded`` is for what runs long: an embedded Redis that dies, or whose owner leaves, is
    brought up again at the same place.

    Raises:
        StorageError: if Redis cannot be reached or started, or is too old.
    """
    if settings.redis_url:
        with closing_store(settings.redis_url) as store:
            yield store
        return
    with (
        EmbeddedRedis(data_dir=settings.data_path, fsync=settings.fsync) as embedded,
        closing_store(embedded.url) as store,
        _guard(embedded) if guarded else nullcontext(),
    ):
        yield store


@contextmanager
def _guard(embedded: EmbeddedRedis) -> Iterator[None]:
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(REST_SECONDS):
            try:
                embedded.start()
            except StorageError as exc:
                log.warning("redis_not_restarted", error=exc.message, hint=exc.hint)

    guard = threading.Thread(target=watch, name="redis-guard", daemon=True)
    guard.start()
    try:
        yield
    finally:
        stop.set()
        guard.join()


@contextmanager
def closing_store(url: str) -> Iterator[RedisStore]:
    """A store at ``url``, checked, and closed in the end."""
    store = RedisStore(url)
    try:
        store.check_version()
        yield store
    finally:
        store.close()
