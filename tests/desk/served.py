"""Servers on loopback, and an application behind one, for a browser to open."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing."""


@contextmanager
def running(server: http.server.HTTPServer) -> Iterator[str]:
    """Where a server is, for as long as the context lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Where the application is, for as long as the context lasts."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    with running(server) as url:
        yield url
