"""Rebuilds that were asked for at the desk: started as a process of their own, told of by a note.

A rebuild folds a whole log, which takes minutes: no web process may do that, since visitors wait in
it, and no learner, since it would stop learning. So the desk starts the command
``bandit-service rebuild`` under the settings of the service, at a low priority, and the command
tells how far it is in a note in the store, which every web process can show. It ends with the
process that started it; stopping half-way changes nothing, see ``folds.rebuild``.

There is one note a site, and one rebuild at a time: a note that says "running" and was not renewed
for LOST_MS is of a process that died.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from bandit_service.errors import BanditError, Conflict, NotFound
from bandit_service.settings import PREFIX, ServiceSettings, variables
from bandit_service.storage.ports import SiteStore

BEAT_MS: Final = 500
"""How often a note is renewed while the log is folded, at most."""
LOST_MS: Final = 30_000
"""After how long without renewal a rebuild counts as dead."""

_OURS: Final = (PREFIX, "REDIS_URL", "PROMETHEUS_MULTIPROC_DIR")
"""Variables by which a process of ours is told what it is."""

State = Literal["running", "done", "failed"]
Launch = Callable[[Sequence[str], dict[str, str]], None]


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the last rebuild. Times are in ms since the Unix epoch."""

    settings: str
    """Id of the settings that are to serve."""
    by: str
    """Id of the key that asked for it."""
    began: int
    renewed: int
    state: State = "running"
    folded: int = 0
    """Entries of the log so far."""
    total: int | None = None
    words: str = ""
    """What went wrong, or what serves now."""

    def runs(self, now: int) -> bool:
        """Whether it is still going on."""
        return self.state == "running" and now - self.renewed < LOST_MS


def noted(store: SiteStore) -> Note | None:
    """The note of the last rebuild of a site; None if there never was one."""
    data = store.rebuilding()
    return None if data is None else msgspec.json.decode(data, type=Note)


def start(
    settings: ServiceSettings,
    store: SiteStore,
    settings_id: str,
    *,
    by: str,
    now: int,
    launch: Launch | None = None,
) -> Note:
    """Start to rebuild a site under settings that it has had.

    ``launch`` starts a command in an environment; a process of its own unless told otherwise.

    Raises:
        NotFound: if the site never had such settings.
        Conflict: if a rebuild is going on.
    """
    if store.settings(settings_id) is None:
        raise NotFound("the site never had these settings", hint="choose from the list")
    before = store.rebuilding()
    known = None if before is None else msgspec.json.decode(before, type=Note)
    if known is not None and known.runs(now):
        raise _busy()
    note = Note(settings=settings_id, by=by, began=now, renewed=now)
    if not store.note_rebuilding(msgspec.json.encode(note), replaces=before):
        raise _busy()
    words = [sys.executable, "-m", "bandit_service", "rebuild", "--settings-id", settings_id]
    words += ["--site", store.site, "--noted", "--parent", str(os.getpid())]
    (launch or launched)(words, environ_of(settings))
    return note


def environ_of(settings: ServiceSettings) -> dict[str, str]:
    """This process's environment, but with these settings and without those of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | variables(settings)


def launched(command: Sequence[str], environ: dict[str, str]) -> None:
    """Start a command; somebody waits for its end, so that it leaves nothing behind."""
    process = subprocess.Popen(  # noqa: S603 - our own program, no shell
        command, env=environ, start_new_session=True, stdout=subprocess.DEVNULL
    )
    threading.Thread(target=process.wait, name="rebuild-wait", daemon=True).start()


class Telling:
    """Renews the note of a rebuild from within it; a context manager around the work."""

    def __init__(self, store: SiteStore, *, clock: Callable[[], int]) -> None:
        """``clock`` gives ms since the Unix epoch."""
        self._store = store
        self._clock = clock
        self._note = noted(store)

    def __enter__(self) -> Telling:
        """Begin with the note that whoever started this has left."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Say how it ended."""
        if error is not None:
            words = error.message if isinstance(error, BanditError) else "it was stopped"
            self._renew(state="failed", words=words)

    def expect(self, total: int) -> None:
        """So many entries are to be folded, about."""
        self._renew(total=total)

    def advance(self, count: int) -> None:
        """So many more entries were folded."""
        if self._note is None:
            return
        folded = self._note.folded + count
        self._note = msgspec.structs.replace(self._note, folded=folded)
        if self._clock() - self._note.renewed >= BEAT_MS:
            self._renew()

    def done(self, words: str) -> None:
        """It serves."""
        self._renew(state="done", words=words)

    def _renew(self, **changes: object) -> None:
        if self._note is not None:
            self._note = msgspec.structs.replace(self._note, renewed=self._clock(), **changes)
            data = msgspec.json.encode(self._note)
            self._store.note_rebuilding(data, replaces=self._store.rebuilding())


def _busy() -> Conflict:
    return Conflict("a rebuild is going on", hint="wait for it to end, then try again")
