"""A website: pages that a test writes, pictures of the size that their name says."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PICTURE: Final = """<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}">
<rect width="100%" height="100%" fill="{2}"/></svg>"""


class Website(ThreadingHTTPServer):
    """Pages by path; ``/img/NAME-WxH.svg`` is a picture of that size."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, tuple[str, dict[str, str]]] = {}
        self.held: dict[str, threading.Event] = {}
        self.fetched: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def put(self, path: str, html: str, **headers: str) -> str:
        """Serve a page; its address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (html, named)
        return self.url + path

    def hold(self, path: str) -> threading.Event:
        """Answer nothing at ``path`` until the event is set."""
        return self.held.setdefault(path, threading.Event())

    def stop(self) -> None:
        for event in self.held.values():
            event.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Website

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in self.server.held:
            self.server.held[path].wait(30)
        self.server.fetched.append(path)
        size = re.fullmatch(r"/img/([a-z]+)-(\d+)x(\d+)\.svg", path)
        if path in self.server.pages:
            html, headers = self.server.pages[path]
            self._send(200, "text/html; charset=utf-8", html, headers)
        elif size is not None:
            name, width, height = size.groups()
            fill = {"default": "gray", "tall": "green"}.get(name, "orange")
            self._send(200, "image/svg+xml", PICTURE.format(width, height, fill), {})
        else:
            self._send(404, "text/plain", "not here", {})

    def _send(self, status: int, kind: str, text: str, headers: dict[str, str]) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass
