"""The server's queues have an end, and idle clients cannot take all places in them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bandit_service.cli.processes import free_port

CONNECTIONS = 3
IDLE_SECONDS = 1.0
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

SERVE = f"""
from bandit_service.web.server import serve
serve("tests.web.test_server:make", host="127.0.0.1", port={{port}}, workers=1,
      connections={CONNECTIONS}, idle_seconds={IDLE_SECONDS})
"""


def make():  # type: ignore[no-untyped-def] # noqa: ANN201 - a WSGI application, by its protocol
    """What the server serves."""

    def application(environ, start_response):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    return application


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answer(link: socket.socket) -> float:
    """Ask once; how long the answer took, in seconds."""
    started = time.monotonic()
    link.sendall(REQUEST)
    assert link.recv(1000).startswith(b"HTTP/1.1 200")
    return time.monotonic() - started


def closed_after(link: socket.socket) -> float:
    """Wait until the server closes the connection; how long that took, in seconds."""
    started = time.monotonic()
    assert link.recv(1000) == b""
    return time.monotonic() - started


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server with few places."""
    number = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVE.format(port=number)])
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                connect(number).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield number
    finally:
        process.terminate()
        process.wait(20)


def test_who_finds_no_place_waits_for_one_and_is_answered(port: int) -> None:
    with ExitStack() as stack:
        links = [stack.enter_context(connect(port)) for _ in range(CONNECTIONS)]
        assert max(answer(link) for link in links) < IDLE_SECONDS

        # All places are taken until the idle ones are closed.
        late = stack.enter_context(connect(port))
        assert answer(late) > IDLE_SECONDS / 2
        assert all(closed_after(link) < 5 for link in links)


def test_whoever_says_nothing_is_closed(port: int) -> None:
    with connect(port) as silent:
        assert IDLE_SECONDS / 2 < closed_after(silent) < 10

    with connect(port) as unfinished:
        unfinished.sendall(REQUEST[:10])
        started = time.monotonic()
        unfinished.recv(1000)  # a 408 or nothing
        assert time.monotonic() - started < 10


def test_a_head_without_end_is_refused(port: int) -> None:
    with connect(port) as link:
        started = time.monotonic()
        try:
            link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 1_000_000)
            refused = link.recv(1000)
        except ConnectionError:
            refused = b""
        assert not refused.startswith(b"HTTP/1.1 200")
        assert time.monotonic() - started < 10
