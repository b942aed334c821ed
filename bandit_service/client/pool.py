"""The connections that wait for the next request.

The one used last is used next, so that those beyond what the traffic needs grow old and are let go.
A connection is not used again when the other end has closed it, nor when it waited IDLE_SECONDS:
the service closes silent ones after 15, and a request that meets this closing may or may not have
been carried out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bandit_service.client.connection import Connection
from bandit_service.client.deadline import Deadline

IDLE_SECONDS: Final = 10.0
"""How long a connection may wait."""


class Pool:
    """Connections of one process to one place, for all of its threads."""

    def __init__(
        self,
        connect: Callable[[Deadline], Connection],
        *,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most ``size`` connections wait; there is no bound on how many are in use."""
        self._connect = connect
        self._size = size
        self._clock = clock
        self._idle: deque[tuple[float, Connection]] = deque()
        self._closed = False

    def take(self, deadline: Deadline) -> Connection:
        """A connection that nobody else uses until it is given back.

        Raises:
            Unsent: if a new one was needed and could not be made.
        """
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return self._connect(deadline)
            if self._clock() - since < IDLE_SECONDS and connection.usable:
                return connection
            connection.close()

    def give(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        self._idle.append((self._clock(), connection))
        while len(self._idle) > (0 if self._closed else self._size):
            self._drop_oldest()

    def close(self) -> None:
        """Close what waits, and what is given back from now on."""
        self._closed = True
        while self._idle:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            _, connection = self._idle.popleft()
        except IndexError:  # another thread was faster
            return
        connection.close()
