"""The connections over which a visitor is answered: as little as possible between us and Redis."""

from __future__ import annotations

import os
import threading
from typing import Any

import hiredis
import redis


class BareConnection(threading.local):
    """One plain connection a thread, for the commands that visitors wait for.

    redis-py opens it (address, TLS, password, database); from then on commands are packed and
    replies parsed by hiredis on the bare socket.
    """

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self._pool = pool
        self._connection: Any = None
        self._reader = hiredis.Reader()
        self._process = 0

    def call(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send commands in one write and return their replies.

        Raises:
            redis.ResponseError: the first error among the replies.
            OSError: if the connection fails; which commands took effect is not known.
        """
        socket = self._open()
        try:
            socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))
            replies = [self._reply(socket) for _ in commands]
        except BaseException:
            self.close()
            raise
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise redis.ResponseError(str(reply))
        return replies

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _open(self) -> Any:
        if self._connection is None or self._process != os.getpid():
            self._process = os.getpid()
            self._reader = hiredis.Reader()
            connection: Any = self._pool.make_connection()
            connection.connect()
            self._connection = connection
        return self._connection._sock  # noqa: SLF001 - redis-py has no public name for it

    def _reply(self, socket: Any) -> Any:
        while (reply := self._reader.gets()) is False:
            received = socket.recv(65_536)
            if not received:
                raise ConnectionError("Redis closed the connection")
            self._reader.feed(received)
        return reply


class ClientConnection:
    """The same calls through a client that was given, which need not have a socket."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def call(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send commands and return their replies."""
        return [self._client.execute_command(*command) for command in commands]

    def close(self) -> None:
        """Nothing of its own to drop."""
