"""Servers that behave as they are told to, on real sockets: for what a good service never does."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from bandit_service.client import DecideAnswer, VariantAnswer

MOST_SECONDS = 20.0
"""How long a server hangs at most where it is told to: longer than any test takes."""

ANSWER = DecideAnswer(
    decision="d" * 32,
    placement="film",
    variant=VariantAnswer(id="kiss", version=1, kind="headline", headline="A kiss"),
    persona="romantic",
    persona_confidence=0.7,
    probability=0.5,
    match=0.1,
    snapshot="1-0.aa.bb",
    reason="learned",
)
"""What a service might decide."""


class Request:
    """A request that a server received."""

    def __init__(self, line: str, headers: dict[str, str], body: bytes) -> None:
        self.line = line
        self.headers = headers
        self.body = body

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Ends(Exception):
    """Raised by a behaviour that is done with its connection."""


Behaviour = Callable[["Server", socket.socket, Request], None]


class Server:
    """Behaves in turn as ``behaviours`` say, a request each; the last one goes on for ever."""

    def __init__(
        self, behaviours: Sequence[Behaviour], *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self._behaviours = list(behaviours)
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.over = threading.Event()
        self.requests: list[Request] = []
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def reported(self) -> list[list[dict[str, Any]]]:
        """The events of each request that reports some."""
        return [each.json["events"] for each in self.requests if each.path == "/v1/events"]

    @property
    def event_ids(self) -> list[str]:
        """The ids of all events, in the order in which they came."""
        return [event["id"] for events in self.reported for event in events]

    def behave(self, *behaviours: Behaviour) -> None:
        """Behave otherwise from the next request on."""
        with self._lock:
            self._behaviours = list(behaviours)

    def close(self) -> None:
        self.over.set()
        self.deafen()
        with self._lock:
            sockets, threads = list(self._sockets), list(self._threads)
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    def deafen(self) -> None:
        """Take no more connections; nothing listens there from now on."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def hang_up(self) -> None:
        """Close every connection, as a service does that restarts."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.append(sock)
                self.connections += 1
            self._start(self._serve, sock)

    def _secured(self, sock: socket.socket) -> socket.socket:
        if self._tls is None:
            return sock
        try:
            return self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            sock.close()
            raise

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, Ends), self._secured(sock) as one, one.makefile("rb") as received:
            while (request := _request(received)) is not None:
                with self._lock:
                    self.requests.append(request)
                    first, *later = self._behaviours
                    self._behaviours = later or [first]
                first(self, one, request)


def _request(received: Any) -> Request | None:
    line = received.readline().decode().strip()
    if not line:
        return None
    headers = {}
    while header := received.readline().decode().strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Request(line, headers, received.read(int(headers["content-length"])))


def answers(
    body: object = None, status: int = 200, headers: dict[str, str] | None = None
) -> Behaviour:
    """Answer with JSON, or with these bytes."""

    def behave(server: Server, sock: socket.socket, request: Request) -> None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        sock.sendall(head(len(sent), status, headers) + sent)

    return behave


def head(length: int, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """The head of an answer."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def decides(server: Server, sock: socket.socket, request: Request) -> None:
    """Decide as a service does, for every slot alike."""
    asked, one = request.json, msgspec.to_builtins(ANSWER)
    body = {"slots": [one] * len(asked["slots"])} if "slots" in asked else one
    answers(body)(server, sock, request)


def accepts(server: Server, sock: socket.socket, request: Request) -> None:
    """Take all events."""
    answers({"accepted": len(request.json["events"]), "rejected": []}, 202)(server, sock, request)


def refuses(status: int, code: str, **more: str) -> Behaviour:
    """Answer with an error as the service words them."""
    return answers({"error": {"code": code, "message": "it said no", **more}}, status)


def hangs(server: Server, sock: socket.socket, request: Request) -> None:
    """Say nothing."""
    server.over.wait(MOST_SECONDS)


def trickles(server: Server, sock: socket.socket, request: Request) -> None:
    """Send a good answer, a byte every 20 ms: no single wait is long."""
    body = json.dumps(msgspec.to_builtins(ANSWER)).encode()
    for byte in head(len(body)) + body:
        sock.sendall(bytes([byte]))
        if server.over.wait(0.02):
            return


def closes(server: Server, sock: socket.socket, request: Request) -> None:
    """Read the request, and close."""
    raise Ends


def resets(server: Server, sock: socket.socket, request: Request) -> None:
    """Read the request, and break the connection off."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    raise Ends


def says(raw: bytes) -> Behaviour:
    """Send these bytes, and close."""

    def behave(server: Server, sock: socket.socket, request: Request) -> None:
        sock.sendall(raw)
        raise Ends

    return behave


def announces(length: int) -> Behaviour:
    """Announce so many bytes, and send none."""

    def behave(server: Server, sock: socket.socket, request: Request) -> None:
        sock.sendall(head(length))
        hangs(server, sock, request)

    return behave


def floods(server: Server, sock: socket.socket, request: Request) -> None:
    """Send an answer that never ends."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not server.over.is_set():
        sock.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def passes(port: int) -> Behaviour:
    """Pass the request on to who listens at ``port`` here, and its answer back."""

    def behave(server: Server, sock: socket.socket, request: Request) -> None:
        status, body = _carried_out(port, request)
        sock.sendall(head(len(body), status) + body)

    return behave


def passes_and_resets(port: int) -> Behaviour:
    """Pass the request on, and break off once it was answered."""

    def behave(server: Server, sock: socket.socket, request: Request) -> None:
        status, _ = _carried_out(port, request)
        assert status < 300
        resets(server, sock, request)

    return behave


def _carried_out(port: int, request: Request) -> tuple[int, bytes]:
    onward = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Authorization": request.headers["authorization"]}
        onward.request("POST", request.path, request.body, headers)
        answer = onward.getresponse()
        return answer.status, answer.read()
    finally:
        onward.close()
