"""Stand-ins: pictures that say in words what a picture that is nowhere would show.

A catalog may speak of pictures that nobody can load: those of the shipped one lie below
``.example``, which is nobody's for ever (RFC 2606). In their place stand words on a ground whose
colour comes from them.
"""

from __future__ import annotations

import io
import textwrap
from typing import Final
from urllib.parse import urlsplit
from zlib import crc32

from PIL import Image, ImageDraw, ImageFont

SIZE: Final = (640, 360)
"""In pixels."""
_LINE: Final = 28
"""Letters in a line."""


def is_nowhere(url: str | None) -> bool:
    """Whether an address is one that no browser can load."""
    return (urlsplit(url or "").hostname or "").endswith(".example")


def stand_in(words: str) -> bytes:
    """A PNG that says ``words``."""
    ground = f"hsl({crc32(words.encode()) % 360}, 45%, 30%)"
    image = Image.new("RGB", SIZE, ground)
    text = textwrap.fill(words, _LINE, max_lines=5, placeholder="…")
    middle = (SIZE[0] / 2, SIZE[1] / 2)
    font = ImageFont.load_default(40)
    ImageDraw.Draw(image).text(middle, text, "white", font, anchor="mm", align="center", spacing=14)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()
