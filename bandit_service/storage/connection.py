"""The connections over which a visitor is answered: as little as possible between us and Redis."""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import Any, NamedTuple

import hiredis
import redis


class Peer(NamedTuple):
    """How the server knows one connection: its own run id, and the number of the client."""

    server: str
    client: int


class NotSent(redis.RedisError):
    """Raised when commands were not sent, because no connection could be opened."""


class BareConnection(threading.local):
    """One plain connection a thread, for the commands that visitors wait for.

    redis-py opens it (address, TLS, password, database); from then on commands are packed and
    replies parsed by hiredis on the bare socket. The kernel keeps the time limits: Python's own
    would ask it whether the socket is ready before every read and write.
    """

    def __init__(self, pool: redis.ConnectionPool, *, timeout: float) -> None:
        """``timeout`` is in seconds."""
        self._pool = pool
        self._limit = struct.pack("ll", int(timeout), int(timeout % 1 * 1_000_000))
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._reader = hiredis.Reader()
        self._process = 0
        self.peer = Peer("", 0)
        """What carried the last commands; to be asked about when they were not answered."""

    def call(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send commands in one write and return their replies.

        Raises:
            NotSent: if there is no connection.
            redis.ResponseError: the first error among the replies.
            OSError: if the connection fails; which commands took effect is not known.
        """
        plain = self._open()
        try:
            plain.sendall(b"".join(hiredis.pack_command(command) for command in commands))
            replies = [self._reply(plain) for _ in commands]
        except BaseException:
            self.close()
            raise
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise redis.ResponseError(str(reply))
        return replies

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.disconnect()

    def _open(self) -> socket.socket:
        if self._socket is None or self._process != os.getpid():
            try:
                return self._connect()
            except (redis.RedisError, OSError) as exc:
                raise NotSent(str(exc)) from exc
        return self._socket

    def _connect(self) -> socket.socket:
        self._process = os.getpid()
        self._reader = hiredis.Reader()
        # The pool's own make_connection counts what it made, for ever, and ends at a hundred.
        connection: Any = self._pool.connection_class(**self._pool.connection_kwargs)
        connection.connect()
        self.peer = peer_of(connection)
        plain: socket.socket = connection._sock  # noqa: SLF001 - it has no public name
        plain.settimeout(None)
        for limit in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            plain.setsockopt(socket.SOL_SOCKET, limit, self._limit)
        self._connection, self._socket = connection, plain
        return plain

    def _reply(self, plain: socket.socket) -> Any:
        while (reply := self._reader.gets()) is False:
            received = plain.recv(65_536)
            if not received:
                raise ConnectionError("Redis closed the connection")
            self._reader.feed(received)
        return reply


class ClientConnection:
    """The same calls through a client that was given, which need not have a socket."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.peer = Peer("", 0)

    def call(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send commands and return their replies."""
        return [self._client.execute_command(*command) for command in commands]

    def close(self) -> None:
        """Nothing of its own to drop."""


def peer_of(connection: Any) -> Peer:
    """How the server at the other end of an open connection names both."""
    connection.send_command("INFO", "server")
    said = connection.read_response().decode()
    connection.send_command("CLIENT", "ID")
    return Peer(run_id(said), int(connection.read_response()))


def run_id(said: str) -> str:
    """The run id in what INFO says: a server that was started again has another."""
    for line in said.splitlines():
        name, _, value = line.partition(":")
        if name == "run_id":
            return value.strip()
    return ""


def text_of(reply: Any) -> str:
    """A reply that is a text, whether it came as one or as bytes."""
    return reply.decode() if isinstance(reply, bytes) else str(reply)
