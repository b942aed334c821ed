"""A load generator: keep-alive connections that each send the next request when answered.

One process, one thread, non-blocking sockets and requests made beforehand: a request costs it some
10 µs. It runs on the same machine as what it measures, so it reports its own processor time, which
bounds what it could ever send, and which both sides of a ratio pay alike.
"""

from __future__ import annotations

import selectors
import socket
import time
from array import array
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from bench.measures import BenchError, percentile

_LARGEST_READ: Final = 65_536
_SILENCE_SECONDS: Final = 10.0
"""How long no connection may be answered before the measurement is given up."""
_END_OF_HEAD: Final = b"\r\n\r\n"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one round of load showed."""

    replies: int
    per_second: float
    p50_ms: float
    p99_ms: float
    generator_us: float
    """Processor time of the generator itself per request, in microseconds."""


class Link:
    """One connection, and what of its answer has come."""

    __slots__ = ("received", "sent", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(0)
        self.received = b""
        self.sent = 0.0

    def send(self, request: bytes) -> None:
        """Send a request; it is far smaller than the socket's buffer, so it goes whole."""
        self.sent = time.perf_counter()
        if self.sock.send(request) != len(request):
            raise BenchError("a request did not fit into the buffer of its socket")

    def receive(self) -> bytes | None:
        """The whole answer, or None while it is incomplete."""
        data = self.sock.recv(_LARGEST_READ)
        if not data:
            raise BenchError("the server closed a connection")
        self.received += data
        if not is_complete(self.received):
            return None
        answer, self.received = self.received, b""
        return answer


def run_load(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    """Send ``requests`` for so many seconds.

    Raises:
        BenchError: if an answer is not a 2xx, or none comes.
    """
    latencies = array("d")
    spent, end = time.process_time(), time.perf_counter() + seconds

    def note(sent: float, now: float, _: bytes) -> bool:
        latencies.append(now - sent)
        return now < end

    exchange(port, requests, connections=connections, note=note)
    spent = time.process_time() - spent
    ordered = sorted(latencies)
    return Load(
        replies=len(ordered),
        per_second=len(ordered) / seconds,
        p50_ms=percentile(ordered, 0.5) * 1e3,
        p99_ms=percentile(ordered, 0.99) * 1e3,
        generator_us=spent / len(ordered) * 1e6,
    )


def exchange(
    port: int,
    requests: Iterator[bytes],
    *,
    connections: int,
    note: Callable[[float, float, bytes], bool],
) -> None:
    """Send requests until ``note(sent, received, answer)`` is false; times are in seconds.

    Raises:
        BenchError: if an answer is not a 2xx, or none comes.
    """
    links = [Link(port) for _ in range(connections)]
    try:
        with selectors.DefaultSelector() as selector:
            for link in links:
                selector.register(link.sock, selectors.EVENT_READ, link)
                link.send(next(requests))
            _pump(selector, requests, note)
    finally:
        for link in links:
            link.sock.close()


def _pump(
    selector: selectors.BaseSelector,
    requests: Iterator[bytes],
    note: Callable[[float, float, bytes], bool],
) -> None:
    clock = time.perf_counter
    while True:
        ready = selector.select(_SILENCE_SECONDS)
        if not ready:
            raise BenchError(f"nothing was answered for {_SILENCE_SECONDS:g} seconds")
        for key, _ in ready:
            link: Link = key.data
            answer = link.receive()
            if answer is None:
                continue
            check_success(answer)
            if not note(link.sent, clock(), answer):
                return
            link.send(next(requests))


def is_complete(answer: bytes) -> bool:
    """Whether an answer's head and as many bytes of body as it announces are there."""
    end = answer.find(_END_OF_HEAD)
    return end >= 0 and len(answer) >= end + 4 + body_length(answer[:end])


def body_length(head: bytes) -> int:
    """How many bytes of body the head of an answer announces."""
    start = head.lower().find(b"content-length:")
    if start < 0:
        raise BenchError("an answer has no Content-Length")
    return int(head[start + 15 :].split(b"\r\n", 1)[0])


def check_success(answer: bytes) -> None:
    """Raise BenchError unless the status is 2xx."""
    if not answer.startswith(b"HTTP/1.1 2"):
        raise BenchError(f"the server answered {answer[:300]!r}")


def body_of(answer: bytes) -> bytes:
    """The body of a complete answer."""
    return answer.partition(_END_OF_HEAD)[2]
