"""Archiving the logs of all sites of a store, in rounds.

What is wrong with one site, or with the disk, keeps no other site from being archived; nothing is
trimmed that is not archived, and the next round tries again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from bandit_service.errors import BanditError, StorageError
from bandit_service.storage.ports import Store

if TYPE_CHECKING:
    from bandit_service.archive.archiver import SiteArchiver, Step

log = structlog.get_logger(__name__)


def archive_sites(
    store: Store, archiver_of: Callable[[str], SiteArchiver]
) -> tuple[dict[str, Step], list[BanditError]]:
    """Archive every site once; what was done, by site, and what went wrong.

    Raises:
        StorageError: if the store does not say what sites there are.
    """
    done: dict[str, Step] = {}
    failed: list[BanditError] = []
    for site in store.sites():
        try:
            done[site] = archiver_of(site).step()
        except BanditError as exc:
            log.warning("site_not_archived", site=site, error=exc.message, hint=exc.hint)
            failed.append(exc)
    return done, failed


def archive_until(
    stop: threading.Event,
    store: Store,
    archiver_of: Callable[[str], SiteArchiver],
    *,
    seconds: float,
) -> None:
    """Archive every site, and again after so many seconds, until ``stop`` is set."""
    while not stop.is_set():
        try:
            archive_sites(store, archiver_of)
        except StorageError as exc:
            log.warning("store_unavailable", error=exc.message)
        stop.wait(seconds)
