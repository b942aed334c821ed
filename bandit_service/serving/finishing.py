"""Finishing placements whose winner has to be found: once it is clear, or at a date.

A finish that names its winner needs nobody: what is live is a function of the placement and the
time. One that does not is looked after here, every few seconds, by one process (beside the
learner): when its time has come the winner is written into the placement, as an edit like any
other, by ``finish``. Two processes that do it find the same and the second changes nothing.

Who wins is not decided here. ``StandingOf`` says which variant is clearly the best, which must hold
however often it is asked, and which is ahead. At a date, where none is ahead (none has earned
anything), the canonical variant wins, or the first live one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec
import structlog

from bandit_service.catalog.model import Finish, Placement
from bandit_service.catalog.moments import moment_of, ms_of
from bandit_service.errors import BanditError, Conflict, InvalidCatalog
from bandit_service.serving.editing import CatalogEditor, Condition, etag
from bandit_service.storage.ports import PERSONAS_KEY, SiteStore

log = structlog.get_logger(__name__)

FINISH_SECONDS: Final = 5.0
"""How often placements are looked at that wait for their winner."""
BY: Final = "finish"
"""Who makes these edits, as the log names it."""


class Standing(NamedTuple):
    """How the variants of a placement compare, by id."""

    clear: str | None = None
    """The one that is clearly the best; None: none is yet."""
    ahead: str | None = None
    """The one that has done best so far; None: none has earned anything yet."""


StandingOf = Callable[[Placement], Standing]


def ended(placement: Placement, standing_of: StandingOf, *, now: int) -> Finish | None:
    """The finish with its winner, if its time has come; None: it has none, or waits on.

    ``now`` is in ms since the Unix epoch. A winner is live.
    """
    finish = placement.finish
    if finish is None or placement.retired or finish.over(now):
        return None
    due = finish.at is not None and ms_of(finish.at) <= now
    if not (due or finish.when_clear):
        return None
    standing = standing_of(placement)
    live = [variant.id for variant in placement.live(now)]
    clear = [standing.clear] if finish.when_clear else []
    best = [standing.ahead, placement.canonical, *live] if due else []
    for winner in (*clear, *best):
        if winner in live:
            return msgspec.structs.replace(finish, winner=winner, since=moment_of(now))
    return None


class Finisher:
    """The placements of one site that wait for a winner."""

    def __init__(
        self,
        store: SiteStore,
        editor: CatalogEditor,
        standing_of: StandingOf,
        *,
        clock: Callable[[], int],
    ) -> None:
        """``editor`` makes the edits; ``clock`` gives ms since the Unix epoch."""
        self._store = store
        self._editor = editor
        self._standing_of = standing_of
        self._clock = clock
        self._waiting: dict[str, Placement] = {}
        self._catalog = 0

    def step(self) -> list[str]:
        """Finish what has come to its end; ids of the placements.

        Raises:
            StorageError: if the store does not answer; the same call may be made again.
        """
        self._read()
        return [name for name, placement in self._waiting.items() if self._finish(placement)]

    def _read(self) -> None:
        revision, documents = self._store.catalog(self._catalog)
        for document in documents:
            if document.key == PERSONAS_KEY:
                continue
            placement = msgspec.json.decode(document.data, type=Placement)
            self._waiting.pop(placement.id, None)
            if placement.finish is not None and placement.finish.since is None:
                self._waiting[placement.id] = placement
        self._catalog = revision

    def _finish(self, placement: Placement) -> bool:
        try:
            finish = ended(placement, self._standing_of, now=self._clock())
            if finish is None:
                return False
            self._editor.put_finish(placement.id, finish, Condition(match=etag(placement)))
        except Conflict:
            return False  # it was edited meanwhile: the next look sees how it is now
        except InvalidCatalog as exc:  # stored under other rules: for an editor to mend
            log.warning("not_finished", placement=placement.id, error=exc.message, hint=exc.hint)
            return False
        log.info("placement_finished", site=self._store.site, placement=placement.id)
        return True


class Finishing:
    """Finishers of all sites, at a rhythm."""

    def __init__(self, make: Callable[[str], Finisher]) -> None:
        """``make`` gives the finisher of a site."""
        self._make = make
        self._finishers: dict[str, Finisher] = {}
        self._next = 0.0

    def tend(self, sites: Iterable[str], now: float) -> None:
        """Look after sites, if it is time; ``now`` is in seconds of any clock that never goes back.

        What is wrong with one of them keeps no other from being finished.
        """
        if now < self._next:
            return
        self._next = now + FINISH_SECONDS
        for site in sites:
            if site not in self._finishers:
                self._finishers[site] = self._make(site)
            try:
                self._finishers[site].step()
            except BanditError as exc:
                log.warning("finishing_stopped", site=site, error=exc.message, hint=exc.hint)
