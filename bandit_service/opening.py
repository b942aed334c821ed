"""What a process opens: the Redis of the settings, the store on it, and the spool beside it.

Which of them, and where, is a matter of the settings alone; ``services`` says what is done with
them. An embedded Redis runs for as long as somebody has it open.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final

import structlog

from bandit_service.archive.history import History
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.errors import StorageError
from bandit_service.runtime import now_ms
from bandit_service.settings import ServiceSettings
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.identity import StoreIdentity, named_for
from bandit_service.storage.outbox import Outbox
from bandit_service.storage.redis_store import RedisStore, place_of
from bandit_service.storage.spool import Spool

log = structlog.get_logger(__name__)

GUARD_SECONDS: Final = 1.0
"""How often an embedded Redis is looked after."""


@contextmanager
def opened_store(settings: ServiceSettings, *, guarded: bool = False) -> Iterator[RedisStore]:
    """The Redis of the settings, or one of our own for as long as the context lasts.

    ``guarded`` is for what runs long: an embedded Redis that dies, or whose owner leaves, is
    brought up again at the same place.

    Raises:
        StorageError: if Redis cannot be reached or started, or is too old.
    """
    with (
        reached_redis(settings, guarded=guarded) as url,
        closing(redis_store(settings, url)) as store,
    ):
        store.check_version()
        yield store


@contextmanager
def reached_redis(settings: ServiceSettings, *, guarded: bool = False) -> Iterator[str]:
    """Where the Redis of the settings is; one of our own runs for as long as the context lasts.

    Raises:
        StorageError: if it cannot be started.
    """
    if settings.redis_url:
        yield settings.redis_url
        return
    with (
        embedded_redis(settings) as embedded,
        _guard(embedded) if guarded else nullcontext(),
    ):
        yield embedded.url


def embedded_redis(settings: ServiceSettings) -> EmbeddedRedis:
    """The Redis of our own that the settings describe, not started."""
    return EmbeddedRedis(data_dir=settings.data_path, fsync=settings.fsync)


def redis_store(settings: ServiceSettings, url: str, *, trips: bool = False) -> RedisStore:
    """The store at ``url``, which must be the one that this machine has met there before."""
    return RedisStore(url, identity=store_identity(settings, url), trips=trips)


def store_identity(settings: ServiceSettings, url: str) -> StoreIdentity:
    """Which Redis this machine expects at ``url``."""
    return StoreIdentity(settings.spool_path, place_of(url))


def open_outbox(settings: ServiceSettings, store: RedisStore) -> Outbox:
    """The outbox of a serving process.

    Raises:
        SpoolError: if the disk does not allow for one.
    """
    folder = ArchiveFolder(settings.archive_path)
    spool = open_spool(settings, store.url)
    return Outbox(store, spool, clock=now_ms, history=lambda site: History(site, folder))


def open_spool(settings: ServiceSettings, url: str) -> Spool:
    """The spool for the Redis at ``url``.

    Raises:
        SpoolError: if the disk does not allow for one.
    """
    return _spool(settings, spool_file(settings, url))


def spool_file(settings: ServiceSettings, url: str) -> Path:
    """The file of the spool for the Redis at ``url``."""
    return settings.spool_path / f"{named_for(place_of(url))}.spool"


def stranded(settings: ServiceSettings, url: str) -> dict[Path, int]:
    """Spools for other addresses of Redis in which something waits, and how much.

    Raises:
        SpoolError: if one of them cannot be read.
    """
    ours = spool_file(settings, url)
    found = {}
    for path in sorted(settings.spool_path.glob("*.spool")):
        if path != ours:
            with closing(_spool(settings, path)) as other:
                found[path] = other.count()
    return {path: count for path, count in found.items() if count}


@contextmanager
def _guard(embedded: EmbeddedRedis) -> Iterator[None]:
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(GUARD_SECONDS):
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


def _spool(settings: ServiceSettings, path: Path) -> Spool:
    return Spool(path, max_bytes=settings.spool_megabytes * 1_048_576)
