"""One keep-alive connection, on which an exchange is over by its deadline.

The standard library's HTTP rather than httpx: its import takes a quarter of the time, a decision a
third of the processor time (``python -m bench client``), it brings nothing into a website that is
not there already, and is mended with Python itself. What it lacks is a bound on the whole exchange:
a socket's timeout begins anew with every byte that trickles in. So the socket it is given asks the
deadline before every step; name, connection and handshake are bounded too.

A connection that failed in any way is never used again: what the service still sends on it would
be read as the answer to the next request.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
from typing import Any, Final, NamedTuple, cast

from bandit_service.client.deadline import Deadline
from bandit_service.client.place import Place
from bandit_service.client.resolver import Resolver

MAX_ANSWER: Final = 16 * 1_048_576
"""Largest answer that is read, in bytes: a page of 50 of the largest variants has 2 MB."""


class Unsent(Exception):
    """Raised when the request did not reach the service whole, so it was not carried out."""


class Unanswered(Exception):
    """Raised when the request was sent and no whole answer came: it may have been carried out."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connection:
    """A connection that is open until it fails or is closed."""

    def __init__(self, sock: socket.socket, host: str, port: int) -> None:
        """Speak over ``sock``, which is connected to ``host``."""
        self._socket = _TimedSocket(sock)
        self._http = http.client.HTTPConnection(host, port)
        self._http.auto_open = 0  # it would connect anew by itself, without a deadline
        self._http.sock = cast(socket.socket, self._socket)

    @classmethod
    def to(
        cls, place: Place, resolver: Resolver, tls: ssl.SSLContext | None, deadline: Deadline
    ) -> Connection:
        """A new connection.

        Raises:
            Unsent: if none could be made in time.
        """
        try:
            sock = _connected(resolver, deadline)
            if tls is not None:
                sock = _secured(sock, tls, place.host, deadline)
        except OSError as exc:
            raise Unsent(_said(exc)) from exc
        return cls(sock, place.host, place.port)

    def post(self, path: str, body: bytes, headers: dict[str, str], deadline: Deadline) -> Reply:
        """Send a request and read the answer.

        Raises:
            Unsent: if it could not be sent whole.
            Unanswered: if it was, and no whole answer came.
        """
        self._socket.deadline = deadline
        try:
            self._http.request("POST", path, body, headers)
            self._socket.flush()
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            raise Unsent(_said(exc)) from exc
        try:
            response = self._http.getresponse()
            return Reply(response.status, response.headers, _whole(response))
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.close()
            raise Unanswered(_said(exc)) from exc

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: it is open, and the other end said nothing since."""
        return self._http.sock is not None and self._socket.silent

    def close(self) -> None:
        """Let go of the connection; nothing is sent, so a forked child may do it too."""
        self._http.close()
        self._socket.close()


class _TimedSocket:
    """The part of a socket that ``http.client`` uses, with a deadline over all of it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._unsent = b""
        self.deadline = Deadline(0)

    @property
    def silent(self) -> bool:
        """Whether there is nothing to read, not even the end."""
        return not self._poll.poll(0)

    def sendall(self, data: bytes) -> None:
        """Take in what is to be sent.

        ``http.client`` sends head and body apart, which would wake the service up twice.
        """
        self._unsent += data

    def flush(self) -> None:
        """Send what was taken in; TimeoutError if that takes too long."""
        left, self._unsent = memoryview(self._unsent), b""
        while left:
            self._sock.settimeout(self.deadline.require())
            left = left[self._sock.send(left) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """What is received, to be read once."""
        if mode != "rb":
            raise ValueError(f"mode {mode!r} is not one that http.client uses")
        return io.BufferedReader(_TimedInput(self, self._sock))

    def close(self) -> None:
        """Close it, once what is being read from it is closed too."""
        self._sock.close()


class _TimedInput(io.RawIOBase):
    """The bytes that a socket receives."""

    def __init__(self, timed: _TimedSocket, sock: socket.socket) -> None:
        super().__init__()
        self._timed = timed
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(self._timed.deadline.require())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connected(resolver: Resolver, deadline: Deadline) -> socket.socket:
    """A connection to the first address that takes one.

    An address that says nothing leaves the others their share of the time.
    """
    addresses = resolver.addresses(deadline)
    failure: OSError = OSError("there is no address")
    for n, (family, address) in enumerate(addresses):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(deadline.require() / (len(addresses) - n))
            sock.connect(address)
            # A body of several packets need not wait for the receipt of the first
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            sock.close()
            failure = exc
        else:
            return sock
    raise failure


def _secured(
    sock: socket.socket, tls: ssl.SSLContext, host: str, deadline: Deadline
) -> socket.socket:
    try:
        sock.settimeout(deadline.require())
        return tls.wrap_socket(sock, server_hostname=host)
    except OSError:
        sock.close()
        raise


def _whole(response: http.client.HTTPResponse) -> bytes:
    """The body, if it is as long as announced and no longer than MAX_ANSWER."""
    announced = response.length
    if announced is not None and announced > MAX_ANSWER:
        raise ValueError(f"the answer has {announced} bytes")
    # Asked for all of it, http.client complains of what is missing; asked for so much, it does not.
    body = response.read(MAX_ANSWER + 1) if announced is None else response.read()
    if len(body) > MAX_ANSWER:
        raise ValueError(f"the answer has more than {MAX_ANSWER} bytes")
    return body


def _said(exc: Exception) -> str:
    """What went wrong, in a few words of one line."""
    text = str(exc).partition("\n")[0][:200]
    return text or type(exc).__name__
