"""SIGKILL for one process after another, at moments that a seed chooses, some of them aimed.

Redis is also paused: it holds its connections and answers nobody, and then goes on, or is killed.
Web processes are killed while it is paused, one or all of them.

A seed shuffles a deck that holds every kind, every pause and every moment, again and again. Every
kind and every pause come first, so that a short run meets all of them too.

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
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

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
PAUSED_SECONDS: Final = (0.7, 2.0)
"""Shortest and longest time that Redis is paused: more than visitors are let wait for it."""
_AGAIN: Final[dict[Kind, int]] = {"worker": 1, "learner": 0, "redis": 1, "archiver": 1}
"""How often each kind is in the deck without a moment, beyond once."""

Manner = Literal["at once", "paused", "paused, then killed", "while Redis is paused"]


class Card(NamedTuple):
    """Whom to kill, when, and how."""

    kind: Kind
    moment: Moment | None = None
    manner: Manner = "at once"


PAUSES: Final = (
    Card("redis", manner="paused"),
    Card("redis", manner="paused, then killed"),
    Card("worker", manner="while Redis is paused"),
)


Progress = bytes | None
"""What changes while a process is at work."""


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
        self.pauses = 0
        """How often Redis was paused."""
        self.answered_meanwhile = 0
        """Requests that were acknowledged while Redis was paused."""
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
        card = self._draw()
        kinds: list[Kind] = [card.kind]
        if left > 1 and self._rng.random() < OVERLAPPING:
            kinds.append(self._rng.choice(self._present))
            self.overlapped += 1
        began, answered, killed = time.monotonic(), self._answered(), set[int]()
        done = self._progress()
        what = self._strike(card, killed)
        for kind in kinds[1:]:
            time.sleep(self._rng.random() * 0.3)
            what += " + " + self._strike(Card(kind), killed)
        for kind in {*kinds, "redis"}:
            self._await(lambda k=kind: self._back(k, killed, done), kind)  # type: ignore[misc]
        self._await(lambda: self._answered() > answered, "traffic")
        self._told(f"{self.total:4} {what}, back after {time.monotonic() - began:.1f} s")

    def _draw(self) -> Card:
        """The next card of the deck, which is shuffled anew when it is empty."""
        if not self._deck:
            later = [Card(kind) for kind in self._present for _ in range(_AGAIN[kind])]
            later += [Card(m.kind, m) for m in MOMENTS if m.kind in self._present]
            first = [Card(kind) for kind in self._present]
            first += [card for card in PAUSES if {card.kind, "redis"} <= {*self._present}]
            self._rng.shuffle(later)
            self._rng.shuffle(first)
            self._deck = later + first  # dealt from the end
        return self._deck.pop()

    def _strike(self, card: Card, killed: set[int]) -> str:
        """Do what a card says; what that was, in words."""
        kind, moment, manner = card
        name: str = kind
        if moment is not None and wait_for(moment, self._service.data, self._client):
            name = f"{kind}, {moment.name}"
        if manner == "at once":
            struck = self._kill(kind, killed)
        else:
            name = f"{kind}, {manner}"
            struck = self._strike_paused(manner, killed)
        if not struck:
            return f"({kind} was gone)"
        self.kills[name] += name != kind
        return name

    def _strike_paused(self, manner: Manner, killed: set[int]) -> bool:
        """Pause Redis, and kill it or web processes meanwhile; whether there was one to pause."""
        with self._paused() as there:
            if there and manner == "paused, then killed":
                self._kill("redis", killed)
            if there and manner == "while Redis is paused":
                for _ in range(self._rng.randint(1, WORKERS)):
                    self._kill("worker", killed)
        return there

    def _kill(self, kind: Kind, killed: set[int]) -> bool:
        """Kill one process of a kind; False if there is none that was not killed before."""
        pids = [pid for pid in self._service.pids(kind) if pid not in killed]
        if not pids:
            return False
        pid = self._rng.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            self.kills[kind] += 1
            self.total += 1
        return True

    @contextlib.contextmanager
    def _paused(self) -> Iterator[bool]:
        """Pause Redis, go on after a while, and let it go on at the end; False if it is gone."""
        pids = self._service.pids("redis")
        answered = self._answered()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            time.sleep(self._rng.uniform(*PAUSED_SECONDS))
            yield bool(pids)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)
            self.pauses += bool(pids)
            self.answered_meanwhile += self._answered() - answered

    def _back(self, kind: Kind, killed: set[int], done: Mapping[Kind, Progress]) -> bool:
        """Whether a kind is complete, by processes that were not killed, and at work."""
        if kind == "worker":
            ready = set(self._service.ready_workers()) - killed
            return len(ready) == WORKERS
        if not set(self._service.pids(kind)) - killed:
            return False
        if kind == "redis":
            return self._answers()
        return self._progress()[kind] not in (None, done[kind])

    def _answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def _progress(self) -> dict[Kind, Progress]:
        """The snapshot that serves, and how far the log is archived; None where nobody says."""
        try:
            learned = self._client.hget("bandit:{main}:pulse", "name")
            archived = self._client.hget("bandit:{main}:archive", "ms")
        except redis.RedisError:
            return {"learner": None, "archiver": None}
        return {"learner": learned, "archiver": archived}

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + BACK_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise NotBackError(f"{what} did not come back within {BACK_SECONDS:g} s")
            time.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
