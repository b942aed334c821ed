"""Learning for every site of a store, in one process, until it is told to stop.

Each site has a learner, made when the site is first met. Sites take turns, a step each; placements
that wait for a winner are finished beside them (``serving.finishing``). What is wrong with one site
keeps no other from learning: it rests a while and is tried again, by a new step of the same
learner. A store that does not answer is waited for; nothing is lost meanwhile, since everything
that was acknowledged is in the log. Where another store has taken its place, learning begins with
what that one holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from bandit_service.errors import BanditError, StorageError
from bandit_service.folds.learner import SiteLearner
from bandit_service.serving.finishing import Finisher, Finishing
from bandit_service.storage.ports import Store

log = structlog.get_logger(__name__)

REST_SECONDS: Final = 1.0
"""How long a store or a site that is in trouble is left alone."""
IDLE_SECONDS: Final = 0.02
"""How long to rest when no site had much that was new: reading a few entries costs as much as
reading many, on processors that visitors wait for."""
MANY: Final = 250
"""New entries of one site that are worth going on at once."""


class LearningLoop:
    """The learners of all sites."""

    def __init__(
        self,
        store: Store,
        *,
        learner_of: Callable[[str], SiteLearner],
        finisher_of: Callable[[str], Finisher],
        clock: Callable[[], float],
    ) -> None:
        """``learner_of`` and ``finisher_of`` make those of a site; ``clock`` gives seconds."""
        self._store = store
        self._clock = clock
        self._learner_of = learner_of
        self._finisher_of = finisher_of
        self._learners: dict[str, SiteLearner] = {}
        self._resting: dict[str, float] = {}
        """Until when a site is left alone, by the clock."""
        self._finishing = Finishing(finisher_of)
        self._identity = store.identity
        self._away: StorageError | None = None
        """What the store said last, if it did not answer."""

    def run(self, stop: threading.Event) -> None:
        """Learn until ``stop`` is set, then leave checkpoints."""
        while not stop.is_set():
            try:
                sites = self._sites()
            except StorageError as exc:
                log.warning("store_unavailable", error=exc.message)
                self._away = exc
                stop.wait(REST_SECONDS)
                continue
            now = self._clock()
            awake = (site for site in sites if self._resting.get(site, 0.0) <= now)
            turns = [self._learn(site) for site in awake if not stop.is_set()]
            self._finishing.tend(sites, now)
            if not any(turns):
                stop.wait(IDLE_SECONDS)
        self._leave_checkpoints()

    def _sites(self) -> list[str]:
        """The sites of the store, which may be another one than before."""
        sites = self._store.sites()
        if self._store.identity != self._identity:
            log.warning("another_store", hint="learning begins with what that one holds")
            self._learners, self._identity = {}, self._store.identity
            self._finishing = Finishing(self._finisher_of)
        return sites

    def _learn(self, site: str) -> bool:
        """One step of one site, and whether much is left to do."""
        try:
            if site not in self._learners:
                self._learners[site] = self._learner_of(site)
            behind = self._learners[site].step() >= MANY
        except BanditError as exc:
            self._away = exc if isinstance(exc, StorageError) else None
            log.warning("learning_stopped", site=site, error=exc.message, hint=exc.hint)
            self._resting[site] = self._clock() + REST_SECONDS
            return False
        self._away = None
        return behind

    def _leave_checkpoints(self) -> None:
        """Spare the next learner what can be spared; a store that is away is waited for once."""
        for site, learner in self._learners.items():
            if self._away is not None:
                log.warning("checkpoints_not_left", error=self._away.message)
                return
            try:
                learner.finish()
            except BanditError as exc:
                self._away = exc if isinstance(exc, StorageError) else None
                log.warning("checkpoint_not_left", site=site, error=exc.message)
