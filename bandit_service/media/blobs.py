"""Bytes under names, in a folder of this machine. What is there never changes.

A file is there whole or not at all: it is written beside its place, synced, and renamed. Writing
one that is there changes nothing, so that two processes may write the same at once.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from bandit_service.errors import MediaError


class Blobs(Protocol):
    """Where bytes are kept. Methods raise MediaError where that fails."""

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under a name that says what it is; again, nothing changes."""

    def get(self, name: str) -> bytes | None:
        """What is kept under a name, or None."""


class FolderBlobs:
    """A folder, made when the first is kept; its files are this user's alone."""

    def __init__(self, path: Path) -> None:
        """Keep files in ``path``."""
        self.path = path

    def put(self, name: str, data: bytes) -> None:
        """See ``Blobs.put``."""
        place = self.path / name
        try:
            if place.exists():
                return
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(place, data)
        except OSError as exc:
            raise self._failed("written", exc) from exc

    def get(self, name: str) -> bytes | None:
        """See ``Blobs.get``."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._failed("read", exc) from exc

    def _write(self, place: Path, data: bytes) -> None:
        handle, draft = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.path)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            Path(draft).replace(place)
        finally:
            with suppress(FileNotFoundError):
                Path(draft).unlink()
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _failed(self, what: str, exc: OSError) -> MediaError:
        return MediaError(
            f"pictures cannot be {what} in {self.path}: {exc.strerror or exc}",
            hint="is the folder there, this user's, and has its disk room? see media_url",
        )
