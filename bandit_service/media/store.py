"""Pictures under the name of what they hold: ``HASH.jpg``, and ``HASH-small.jpg`` for lists.

HASH is of the bytes that are kept, so the same picture is kept once however often it is sent, a
name never means another picture, and browsers may keep what they have got for ever. No name tells
whose it is, and none can be guessed without the picture: all sites share one store.

The small copy is put first: where the large one is, both are. Nothing is ever removed: what the log
says was shown may be looked at for as long as the log is.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from bandit_service.errors import PayloadTooLarge
from bandit_service.media.blobs import Blobs, FolderBlobs

MAX_BYTES: Final = 10 * 1_048_576
"""Largest file that is taken, in bytes."""
_HASH_BYTES: Final = 20
NAME: Final = re.compile(r"[0-9a-f]{40}(-small)?\.(jpg|png|webp)")
"""What a picture of ours may be called."""
_ENDINGS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
TYPES: Final = {ending: kind for kind, ending in _ENDINGS.items()}


class Stored(NamedTuple):
    """A picture that is kept."""

    name: str
    small: str
    """Name of the copy for lists."""
    width: int
    height: int
    bytes: int
    type: str


class Found(NamedTuple):
    """A picture to be served."""

    data: bytes
    type: str


class MediaStore:
    """The pictures of all sites."""

    def __init__(self, blobs: Blobs) -> None:
        """Keep them in ``blobs``."""
        self._blobs = blobs

    def add(self, data: bytes) -> Stored:
        """Keep the picture in a file.

        Raises:
            PayloadTooLarge: if the file is over MAX_BYTES.
            InvalidPicture: if it is no picture that is taken; nothing was kept.
            MediaError: if it cannot be kept.
        """
        from bandit_service.media.pictures import redrawn  # noqa: PLC0415 - pillow takes 10 MB

        if len(data) > MAX_BYTES:
            raise PayloadTooLarge(
                f"the picture has {len(data) / 1_048_576:.1f} MB",
                field="picture",
                hint=f"at most {MAX_BYTES // 1_048_576} MB: save it smaller, or as JPEG",
            )
        large, small = redrawn(data)
        digest = blake2b(large.data, digest_size=_HASH_BYTES).hexdigest()
        stored = Stored(
            f"{digest}.{_ENDINGS[large.type]}",
            f"{digest}-small.{_ENDINGS[small.type]}",
            large.width,
            large.height,
            len(large.data),
            large.type,
        )
        self._blobs.put(stored.small, small.data)
        self._blobs.put(stored.name, large.data)
        return stored

    def get(self, name: str) -> Found | None:
        """The picture of that name; None if there is none, or it is no name of ours.

        Raises:
            MediaError: if it cannot be read.
        """
        if not NAME.fullmatch(name):
            return None
        data = self._blobs.get(name)
        return None if data is None else Found(data, TYPES[name.rpartition(".")[2]])


def small_of(name: str) -> str:
    """Name or address of the small copy of a picture of ours."""
    stem, _, ending = name.rpartition(".")
    return f"{stem}-small.{ending}"


def media_store(url: str, folder: Path) -> MediaStore:
    """The store at ``url``: a folder, or an address that fsspec knows; empty: ``folder``.

    Raises:
        SettingsError: if the address cannot be used.
    """
    if "://" not in url:
        return MediaStore(FolderBlobs(Path(url).expanduser() if url else folder))
    from bandit_service.media.objects import ObjectBlobs  # noqa: PLC0415 - 0.1 s, for few

    return MediaStore(ObjectBlobs(url))
