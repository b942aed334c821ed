"""SIGKILL for one process after another, at moments that a seed chooses, some of them aimed.

A seed shuffles a deck that holds every kind several times and every moment once, again and again,
so that a short run meets all of them too.

After each kill the killer waits until a process of that kind is back at work, and until traffic is
acknowledged again; one that does not come back in time ends the run with the service's own words.
Some kills overlap: a second process dies while the first is still gone. ``serve`` itself, which
brings everything back, is never killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import redis

from bandit_service.storage.redis_store import RedisStore
from tests.chaos.moments import MOMENTS, Moment, wait_for
from tests.chaos.processes import KINDS, WORKERS, Kind, Service

BACK_SECONDS: Final = 60.0
"""How long a process may take to be back at work."""
OVERLAPPING: Final = 0.25
"""Share of kills that another one follows before the process is back."""
PAUSE_SECONDS: Final = 1.0
"""Longest random pause before a kill."""
_AT_RANDOM: Final[dict[Kind, int]] = {"worker": 2, "learner": 1, "redis": 2, "archiver": 1}
"""How often each kind is in the deck without a moment."""

Card = tuple[Kind, Moment | None]


class NotBackError(Exception):
    """Raised when a killed process was not replaced in time."""


class Killer:
    """Kills what runs under one ``Service``."""

    def __init__(
        self,
        service: Service,
        store: RedisStore,
        *,
        rng: random.Random,
        answered: Callable[[], int],
        told: Callable[[str], None],
    ) -> None:
        """``answered`` counts the acknowledged requests so far; ``told`` is given lines to show."""
        self._service = service
        self._site = store.site("main")
        self._client: Any = redis.Redis(unix_socket_path=store.url.removeprefix("unix://"))
        self._rng = rng
        self._answered = answered
        self._told = told
        self.kills: Counter[str] = Counter()
        """Kills by kind, and aimed ones by ``kind, moment`` as well."""
        self.total = 0
        self.overlapped = 0
        self.absent: tuple[Kind, ...] = tuple(k for k in KINDS if not service.pids(k))
        self._present = [kind for kind in KINDS if kind not in self.absent]
        self._deck: list[Card] = []

    def run(self, kills: int) -> None:
        """Kill so many processes.

        Raises:
            NotBackError: if one of them did not come back.
        """
        while self.total < kills:
            time.sleep(self._rng.random() * PAUSE_SECONDS)
            self._step(kills - self.total)

    def close(self) -> None:
        """Let go of Redis."""
        self._client.close()

    def _step(self, left: int) -> None:
        """One kill, or two that overlap, and the way back."""
        first, moment = self._draw()
        kinds = [first]
        if left > 1 and self._rng.random() < OVERLAPPING:
            kinds.append(self._rng.choice(self._present))
            self.overlapped += 1
        began, answered, killed = time.monotonic(), self._answered(), set[int]()
        learned = self._learned() if "learner" in kinds else None
        what = self._strike(kinds[0], moment, killed)
        for kind in kinds[1:]:
            time.sleep(self._rng.random() * 0.3)
            what += " + " + self._strike(kind, None, killed)
        for kind in kinds:
            self._await(lambda k=kind: self._back(k, killed, learned), kind)  # type: ignore[misc]
        self._await(lambda: self._answered() > answered, "traffic")
        self._told(f"{self.total:4} {what}, back after {time.monotonic() - began:.1f} s")

    def _draw(self) -> Card:
        """The next card of the deck, which is shuffled anew when it is empty."""
        if not self._deck:
            self._deck = [(kind, None) for kind in self._present for _ in range(_AT_RANDOM[kind])]
            self._deck += [(m.kind, m) for m in MOMENTS if m.kind in self._present]
            self._rng.shuffle(self._deck)
        return self._deck.pop()

    def _strike(self, kind: Kind, moment: Moment | None, killed: set[int]) -> str:
        """Kill one process of a kind; which, in words."""
        name: str = kind
        if moment is not None and wait_for(moment, self._service.data, self._client):
            name = f"{kind}, {moment.name}"
            self.kills[name] += 1
        pids = [pid for pid in self._service.pids(kind) if pid not in killed]
        if not pids:
            return f"({kind} was gone)"
        pid = self._rng.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            self.kills[kind] += 1
            self.total += 1
        return name

    def _back(self, kind: Kind, killed: set[int], learned: str | None) -> bool:
        """Whether a kind is complete, by processes that were not killed, and at work."""
        if kind == "worker":
            ready = set(self._service.ready_workers()) - killed
            return len(ready) == WORKERS
        if not set(self._service.pids(kind)) - killed:
            return False
        if kind == "learner":
            return self._learned() not in (None, learned)
        return kind != "redis" or self._answers()

    def _answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def _learned(self) -> str | None:
        """The snapshot that serves."""
        try:
            name = self._client.hget("bandit:{main}:pulse", "name")
        except redis.RedisError:
            return None
        return None if name is None else name.decode()

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + BACK_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise NotBackError(f"{what} did not come back within {BACK_SECONDS:g} s")
            time.sleep(0.02)
