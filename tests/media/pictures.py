"""Files that somebody may upload, made by pillow or by hand."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def photo(width: int = 320, height: int = 200) -> Image.Image:
    """Many colours, smoothly: red grows to the right, green downwards."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    blue = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, blue))


def drawing(width: int = 320, height: int = 200) -> Image.Image:
    """Four colours with sharp edges."""
    image = Image.new("RGB", (width, height), "#ffffff")
    for n, colour in enumerate(("#c02030", "#2030c0", "#000000")):
        image.paste(colour, (width * n // 4, 0, width * (n + 1) // 4, height // 2))
    return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file of this kind."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of that many pixels, all black, in few bytes; its pixels are not all there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, data) for name, data in chunks)


def scans(more: int) -> bytes:
    """A progressive JPEG, of which the last scan is repeated so many times."""
    plain = saved(Image.new("L", (640, 640), 128), "JPEG", progressive=True)
    last, end = plain[plain.rindex(b"\xff\xda") : -2], plain[-2:]
    return plain[:-2] + last * more + end


def shown(data: bytes) -> Image.Image:
    """What a browser sees of a file."""
    return Image.open(io.BytesIO(data))
