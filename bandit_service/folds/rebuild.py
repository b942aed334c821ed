"""Rebuilding: fold the whole log from nothing, at the same or at other settings, and switch over.

The whole log is archive and stream as one. Where the archive is needed and is not here, or is
damaged, nothing is rebuilt.

Serving and learning go on meanwhile. The rebuild reads until it has caught up with the log, then
publishes under the next generation: serving takes the new snapshot like any other, and the live
learner, whose generation is now refused, resumes from the checkpoint that is left here. Stopping
half-way changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bandit_service.archive.history import History
from bandit_service.errors import Conflict
from bandit_service.events.entries import START, Position, decode
from bandit_service.folds.learner import BATCH, publish
from bandit_service.folds.site import SiteFold
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.snapshot import Snapshot
from bandit_service.storage.ports import Log, SiteStore, entries_of

Progress = Callable[[int], None]
"""Told how many entries were folded since it was last told."""

_ROUNDS: Final = 1_000
"""How often at most to look for more entries before switching over."""


def rebuild(
    store: SiteStore,
    settings: SiteSettings,
    *,
    progress: Progress,
    history: Log | None = None,
) -> Snapshot:
    """Fold all of the log under ``settings`` and serve the result.

    ``history`` is the whole log, archive included; it may be left out of a log that never was
    trimmed.

    Raises:
        ArchiveError: if the log was trimmed and its archive cannot be read; nothing was changed.
        Conflict: if another rebuild finished meanwhile; nothing was changed.
        StorageError: if the store fails; nothing was changed.
    """
    head = store.head()
    replaces = 0 if head is None else head.generation
    fold = SiteFold(settings)
    try:
        _catch_up(history or History(store, None), fold, progress)
        snapshot = fold.snapshot()
        answer = publish(
            store,
            snapshot,
            generation=replaces + 1,
            replaces=replaces,
            checkpoint=fold.checkpoint(snapshot),
            report=fold.report(),
        )
    finally:
        fold.close()
    if answer != "published":
        raise Conflict(
            "another rebuild finished while this one ran; its result serves",
            hint="run it again if these are the settings you want",
        )
    return snapshot


def fold_to(log: Log, settings: SiteSettings, upto: Position, *, progress: Progress) -> SiteFold:
    """The fold of the log up to a position. The caller closes it."""
    fold = SiteFold(settings)
    for position, data in entries_of(log, after=START, upto=upto, batch=BATCH):
        fold.apply(position, decode(data))
        progress(1)
    return fold


def _catch_up(log: Log, fold: SiteFold, progress: Progress) -> None:
    for _ in range(_ROUNDS):
        tail = log.tail()
        if tail <= fold.position:
            return
        read = 0
        for position, data in entries_of(log, after=fold.position, upto=tail, batch=BATCH):
            fold.apply(position, decode(data))
            read += 1
            progress(1)
        if read < BATCH:
            return
