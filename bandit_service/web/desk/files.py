"""Styles and scripts, and plotly's JavaScript from its wheel: served from here, kept for a year.

An address names the digest of all files together, so it changes when any of them does and scripts
can import each other by their plain names. Under another digest (a page from before an update) the
present file is served, and not kept.

Plotly is found without being imported: its Python part would cost each web process half a second
and tens of megabytes, for nothing that is used here. It is sent compressed where that is accepted,
which is worked out on first use.
"""

from __future__ import annotations

import gzip
from hashlib import blake2b
from importlib.resources import files as resources
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from flask import Response, request

from bandit_service.errors import NotFound
from bandit_service.web.desk.headers import FOREVER
from bandit_service.web.desk.routes import PREFIX

PLOTLY: Final = "plotly.min.js"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_GZIP_LEVEL: Final = 6
_SMALL: Final = 1_024
"""What is not worth compressing, in bytes."""


class _File(NamedTuple):
    data: bytes
    mimetype: str


class Files:
    """The files of one process."""

    def __init__(self) -> None:
        """Read all of them: some tens of kilobytes, and plotly's four megabytes on first use."""
        folder = resources(__package__) / "static"
        self._files = {
            entry.name: _File(entry.read_bytes(), _TYPES[Path(entry.name).suffix])
            for entry in folder.iterdir()
            if entry.is_file()
        }
        self._plotly = plotly_path()
        self._packed: dict[str, bytes] = {}
        self.version = self._digest()

    def address(self, name: str) -> str:
        """Where a page finds a file."""
        return f"{PREFIX}/files/{self.version}/{name}"

    def answer(self, version: str, name: str) -> Response:
        """The file.

        Raises:
            NotFound: if there is none of that name.
        """
        found = self._plotly_file() if name == PLOTLY else self._files.get(name)
        if found is None:
            raise NotFound("there is no such file", hint="reload the page")
        packed = len(found.data) > _SMALL and request.accept_encodings.quality("gzip") > 0
        data = self._pack(name, found.data) if packed else found.data
        response = Response(data, content_type=f"{found.mimetype}; charset=utf-8")
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["Cache-Control"] = FOREVER if version == self.version else "no-cache"
        return response

    def _plotly_file(self) -> _File:
        known = self._files.get(PLOTLY)
        if known is None:
            known = _File(self._plotly.read_bytes(), _TYPES[".js"])
            self._files[PLOTLY] = known
        return known

    def _pack(self, name: str, data: bytes) -> bytes:
        if name not in self._packed:
            self._packed[name] = gzip.compress(data, _GZIP_LEVEL, mtime=0)
        return self._packed[name]

    def _digest(self) -> str:
        digest = blake2b(digest_size=8)
        for name in sorted(self._files):
            digest.update(name.encode() + b"\x00" + self._files[name].data)
        stamp = self._plotly.stat()
        digest.update(f"{stamp.st_size} {stamp.st_mtime_ns}".encode())
        return digest.hexdigest()


def plotly_path() -> Path:
    """Where the wheel of plotly has its JavaScript.

    Raises:
        NotFound: if it has none.
    """
    spec = find_spec("plotly")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place) / "package_data" / PLOTLY
        if path.is_file():
            return path
    raise NotFound("plotly is installed without its JavaScript", hint="pip install plotly")
