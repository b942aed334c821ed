"""From a name to addresses, within a deadline.

``getaddrinfo`` cannot be told to hurry, and a name server that hangs holds it for many seconds. So
it runs in a thread of its own, and whoever needs the addresses waits for it no longer than the
deadline. What was found is used for FRESH_SECONDS, and beyond that while nothing newer is found: a
name server that is away does not make the service unreachable.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bandit_service.client.deadline import Deadline

FRESH_SECONDS: Final = 30.0
"""How long addresses are used before the name is looked up again."""


class Address(NamedTuple):
    """One address that a socket can be connected to."""

    family: int
    address: Any
    """What ``socket.connect`` takes for this family."""


Lookup = Callable[[str, int], list[Address]]


def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a name, as the system finds them.

    Raises:
        OSError: if there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(family, address) for family, _, _, _, address in found]


class Resolver:
    """The addresses of one host."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        lookup: Lookup = look_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` gives seconds."""
        self._host = host
        self._port = port
        self._lookup = lookup
        self._clock = clock
        self._lock = threading.Lock()
        self._running: _Search | None = None
        self._known: list[Address] = []
        self._known_at = 0.0

    def addresses(self, deadline: Deadline) -> list[Address]:
        """The addresses, at least one.

        Raises:
            OSError: if the name has none; TimeoutError if that is not known in time.
        """
        if self._known and self._clock() - self._known_at < FRESH_SECONDS:
            return self._known
        search = self._search()
        if self._known:
            return self._known
        if not search.over.wait(deadline.require()):
            raise TimeoutError(f"{self._host} was not looked up in time")
        if search.failure is not None:
            raise OSError(f"{self._host} cannot be found: {search.failure}") from search.failure
        return search.found

    def _search(self) -> _Search:
        """The search that is going on, or a new one."""
        with self._lock:
            running = self._running
            if running is not None:
                return running
            search = self._running = _Search()
        work = threading.Thread(target=self._find, args=(search,), name="resolver", daemon=True)
        try:
            work.start()
        except RuntimeError:  # the interpreter is ending and starts no thread: look here
            self._find(search)
        return search

    def _find(self, search: _Search) -> None:
        try:
            search.found = self._lookup(self._host, self._port)
            self._known, self._known_at = search.found, self._clock()
        except (OSError, ValueError) as exc:  # the latter: what no name server can be asked for
            search.failure = exc
        finally:
            with self._lock:
                self._running = None
            search.over.set()


class _Search:
    """One look-up, and what became of it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.found: list[Address] = []
        self.failure: Exception | None = None
