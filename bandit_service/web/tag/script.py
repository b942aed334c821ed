"""The script as it is served: its bytes, plain and compressed, and the name of its content.

The version names the content, so what is cached under it never goes stale. It is worked out here,
from the bytes, rather than written into a file that could disagree with them.
"""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files
from typing import Final, NamedTuple

MAX_COMPRESSED: Final = 5_000
"""Most that browsers may have to fetch, in bytes."""


class TagScript(NamedTuple):
    """One version of the tag."""

    plain: bytes
    compressed: bytes
    """By gzip, without a time in it: the same script gives the same bytes."""
    version: str
    """16 hexadecimal digits."""

    @property
    def path(self) -> str:
        """Where this version can be cached for ever."""
        return f"/tag-{self.version}.js"


def tag_script() -> TagScript:
    """The tag that comes with this package."""
    plain = (files(__package__) / "tag.js").read_bytes()
    version = hashlib.sha256(plain).hexdigest()[:16]
    return TagScript(plain, gzip.compress(plain, 9, mtime=0), version)
