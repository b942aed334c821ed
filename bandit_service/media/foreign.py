"""What a file is that is no picture of ours, by its first bytes, and what to do about it.

People upload what they have. "This is no picture" helps nobody who sees one; the kinds that are met
most are named, with the way to one that is taken. Nothing here opens a file.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

ACCEPTED: Final = "JPEG, PNG, WebP or GIF"
_EXPORT: Final = f"export it as {ACCEPTED}"
_AS_BODY: Final = "send the bytes of the picture itself as the body"
_LOOKED: Final = 4_096
"""How many of the first bytes say what a file is."""


class _Kind(NamedTuple):
    pattern: re.Pattern[bytes]
    name: str
    """In words that go behind "this is"."""
    remedy: str = _EXPORT


def _begins(pattern: bytes, name: str, remedy: str = _EXPORT) -> _Kind:
    return _Kind(re.compile(rb"\A(?:" + pattern + rb")", re.IGNORECASE | re.DOTALL), name, remedy)


_KINDS: Final = (
    _begins(rb"\Z", "empty", _AS_BODY),
    _begins(
        rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP",
        "a picture that is damaged",
        "does it open on your machine? save it again, and send that",
    ),
    _Kind(
        re.compile(rb"<svg[\s>:]", re.IGNORECASE),
        "an SVG, a document that may run scripts in the page that shows it",
        f"{_EXPORT}, at twice the size it is shown at",
    ),
    _begins(rb"\s*--.*Content-Disposition", "a form", _AS_BODY),
    _begins(
        rb"\s*<(!doctype|\?xml|!--|html|head|script|body)",
        "a web page",
        "save the picture itself, and send that",
    ),
    _begins(rb"....ftyp(heic|heix|mif1|msf1)", "a HEIC, as phones take them"),
    _begins(rb"....ftypavi[fs]", "an AVIF"),
    _begins(rb"....ftyp|\x1aE\xdf\xa3", "a video"),
    _begins(rb"%PDF", "a PDF"),
    _begins(rb"8BPS", "a Photoshop file"),
    _begins(rb"II\*\x00|MM\x00\*", "a TIFF, or a camera's raw file"),
    _begins(rb"BM", "a BMP"),
    _begins(rb"PK\x03\x04", "a ZIP archive, or an office document"),
    _begins(rb"\x1f\x8b", "compressed with gzip"),
    _begins(rb"\x00\x00\x00\x0cJXL |\xff\x0a", "a JPEG XL"),
)


def foreign(data: bytes) -> tuple[str, str]:
    """What a file is, in words that go behind "this is", and what to do about it."""
    head = data[:_LOOKED]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # text of two bytes a character
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    head = head.removeprefix(b"\xef\xbb\xbf")
    for kind in _KINDS:
        if kind.pattern.search(head):
            return kind.name, kind.remedy
    return "no picture that can be read", f"send {ACCEPTED}"
