"""Bytes under names in object storage: the only door to fsspec, which speaks to all of them.

A store that takes an object whole or not at all is needed: S3, Google's, Azure's and the like. The
package of its protocol (s3fs, gcsfs, adlfs …) is installed by whoever uses it, and reads its
credentials where its own tools do. Loaded where such an address is configured, and only there.
"""

from __future__ import annotations

from typing import Any

import fsspec

from bandit_service.errors import MediaError, SettingsError


class ObjectBlobs:
    """Objects below an address such as ``s3://bucket/pictures``; see ``blobs.Blobs``."""

    def __init__(self, url: str) -> None:
        """Keep objects below ``url``; nothing is asked of the store yet.

        Raises:
            SettingsError: if no installed package speaks its protocol, or it cannot be used.
        """
        self.url = url
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError, TypeError) as exc:
            raise SettingsError(
                f"media_url {url.partition('?')[0]!r} cannot be used: {exc}",
                field="media_url",
                hint="name a folder, or an address whose package is installed: s3:// needs s3fs",
            ) from exc

    def put(self, name: str, data: bytes) -> None:
        """See ``Blobs.put``."""
        try:
            self._files.pipe_file(self._place(name), data)
        except Exception as exc:  # each protocol has errors of its own
            raise self._failed("written", exc) from exc

    def get(self, name: str) -> bytes | None:
        """See ``Blobs.get``."""
        try:
            found: Any = self._files.cat_file(self._place(name))
        except FileNotFoundError:
            return None
        except Exception as exc:  # as above
            raise self._failed("read", exc) from exc
        return bytes(found)

    def _place(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _failed(self, what: str, exc: Exception) -> MediaError:
        return MediaError(
            f"pictures cannot be {what} at {self.url.partition('?')[0]}: {str(exc)[:200]}",
            hint="is the address right, reachable, and allowed to this service? see media_url",
        )
