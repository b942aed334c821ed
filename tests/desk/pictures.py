"""Pictures for creatives that have none: drawn from their address, as SVG, served on loopback."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

from tests.desk.served import running


def drawing(path: str) -> str:
    """A landscape of a few shapes that follows from the path."""
    rng = Random(path)
    hue = rng.randrange(360)
    hills = "".join(
        f'<path fill="hsl({(hue + 25 * n) % 360} 45% {58 - 14 * n}%)" d="M0 {210 + 55 * n} '
        f"Q {rng.randrange(100, 300)} {rng.randrange(90, 200) + 50 * n} 340 {200 + 50 * n} "
        f'T 640 {190 + 55 * n} V360 H0Z"/>'
        for n in range(3)
    )
    people = "".join(
        f'<g transform="translate({rng.randrange(120, 520)} {rng.randrange(200, 260)})" '
        f'fill="hsl({rng.randrange(360)} 55% 24%)"><circle r="24"/>'
        '<path d="M-34 110 Q-34 34 0 34 Q34 34 34 110Z"/></g>'
        for _ in range(rng.randrange(0, 4))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" width="640" height="360">'
        f'<rect width="640" height="360" fill="hsl({hue} 55% 82%)"/>'
        f'<circle cx="{rng.randrange(80, 560)}" cy="{rng.randrange(50, 130)}" r="44" '
        f'fill="hsl({(hue + 40) % 360} 85% 70%)"/>{hills}{people}</svg>'
    )


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if "missing" in self.path:
            self.send_error(404)
            return
        data = drawing(self.path).encode()
        self.send_response(200)
        self.send_header("Content-Type", "image/svg+xml")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "max-age=3600")
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def pictures() -> Iterator[str]:
    """Where pictures are, for as long as the context lasts."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    with running(server) as url:
        yield url
