"""From a file that somebody sent to a picture that may be shown: the only door to pillow's readers.

What is kept is drawn anew from the pixels alone. So nothing else of the file survives: no EXIF (its
orientation is applied first), no place where it was taken, no text, no second file that the same
bytes are to another program. Colours of a profile become sRGB: browsers take a picture for that
which says nothing.

A *bomb*, a small file of very many pixels, is refused by its header, before any pixel is decoded.
So is a JPEG of very many scans: each of them goes over all pixels, and takes 80 bytes of the file.

Which format is kept depends on the picture, not on what came:

- a photo: JPEG. WebP is a quarter smaller, but mail programs that do not show it are still about,
  and the same address serves mails;
- at most 256 colours (drawings, lettering): PNG, which keeps edges sharp, and is smaller then;
- a photo with transparency: WebP. JPEG has none, and a PNG of it is some ten times the size.

Animations are refused: which of its pictures would be the one that visitors respond to? Pictures
wider or higher than LARGE pixels are made smaller; so is the copy for lists.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import Final, Literal, NamedTuple

from PIL import Image, ImageCms, ImageOps

from bandit_service.errors import InvalidPicture
from bandit_service.media.foreign import ACCEPTED, foreign

MAX_PIXELS: Final = 20_000_000
"""Most pixels of a picture: more than twice 4K. Each takes four bytes, in up to four copies for a
moment."""
MAX_JPEG_PIXELS: Final = 50_000_000
"""Most pixels of a JPEG, as cameras make them: a half or less of its width is decoded."""
MAX_SIDE: Final = 20_000
"""Longest side, in pixels: what is longer is a strip."""
MAX_SCANS: Final = 50
"""Most times that a progressive JPEG may go over its pixels; programs that write them take some 10,
of 30 ms each where there are most pixels."""
LARGE: Final = 2_048
"""Longest side of what is kept, in pixels."""
SMALL: Final = 480
"""Longest side of the copy for lists, in pixels."""
QUALITY: Final = 86
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
PHOTOS: Final = ("JPEG", "MPO")
"""What pillow calls a JPEG; the second has more views of the same."""
MOVING: Final = ("PNG", "WEBP", "GIF")
"""Formats whose further pictures are an animation; those of a JPEG are other views of one."""
GRAPHIC_COLOURS: Final = 256
_MARKER: Final = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
"""Begins each part of a JPEG; among pixels, FF stands before 00 alone or a marker of ``_BARE``."""
_SCAN: Final = b"\xda"
_END: Final = b"\xd9"
_BARE: Final = frozenset(bytes([code]) for code in (0x01, *range(0xD0, 0xD9)))
"""Markers that no length follows."""

Type = Literal["image/jpeg", "image/png", "image/webp"]


class Encoded(NamedTuple):
    """A picture as it is kept."""

    data: bytes
    type: Type
    width: int
    height: int


class Picture(NamedTuple):
    """A picture, and the same for lists."""

    large: Encoded
    small: Encoded


def redrawn(data: bytes) -> Picture:
    """The picture in a file, drawn anew.

    Raises:
        InvalidPicture: if it is no picture that is taken, with the way to one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities that do no harm, of which files are full
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return _redrawn(data)


def _redrawn(data: bytes) -> Picture:
    image = _opened(data)
    _check(image)
    _check_scans(image, data)
    try:
        return _drawn(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as exc:
        raise _too_many_pixels() from exc
    except Exception as exc:  # what pillow's readers raise is not for it alone to choose
        raise InvalidPicture(
            f"the picture is damaged: {str(exc)[:200]}",
            field="picture",
            hint="does it open on your machine? save it again, and send that",
        ) from exc


def _opened(data: bytes) -> Image.Image:
    """The file as far as its header; no pixel is decoded."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise _too_many_pixels() from exc
    except Exception as exc:  # as above
        what, remedy = foreign(data)
        raise InvalidPicture(f"this is {what}", field="picture", hint=remedy) from exc


def _check(image: Image.Image) -> None:
    width, height = image.size
    most = MAX_JPEG_PIXELS if image.format in PHOTOS else MAX_PIXELS
    if width * height > most:
        raise _too_many_pixels(f"the picture has {width} x {height} pixels")
    if max(width, height) > MAX_SIDE:
        raise InvalidPicture(
            f"the picture has {width} x {height} pixels",
            field="picture",
            hint=f"at most {MAX_SIDE} on a side",
        )
    if image.format in MOVING and getattr(image, "is_animated", False):
        raise InvalidPicture(
            f"the picture moves: it is an animated {image.format}",
            field="picture",
            hint=f"send one still picture of it, as {ACCEPTED}; or give the address of the "
            "animation, kept elsewhere, as image_url",
        )


def _check_scans(image: Image.Image, data: bytes) -> None:
    if image.format in PHOTOS and _scans(data) > MAX_SCANS:
        raise InvalidPicture(
            f"the picture is a JPEG of more than {MAX_SCANS} scans",
            field="picture",
            hint="save it again, as a plain JPEG",
        )


def _scans(data: bytes) -> int:
    """Scans of the first picture in a JPEG, counted no further than one beyond MAX_SCANS.

    What stands behind its end is not looked at: phones put a film there.
    """
    found, place = 0, 0
    while found <= MAX_SCANS and (marker := _MARKER.search(data, place)) is not None:
        kind, place = marker[1], marker.end()
        if kind == _END:
            break
        if kind not in _BARE:
            place += int.from_bytes(data[place : place + 2], "big")
        found += kind == _SCAN
    return found


def _drawn(image: Image.Image) -> Picture:
    lossy = image.format in PHOTOS
    if lossy:
        image.draft(None, _size(image, LARGE))  # decodes a half or less where that is enough
    profile = image.info.get("icc_profile")
    ImageOps.exif_transpose(image, in_place=True)
    image = _plain(image)
    graphic = image.mode in ("RGB", "RGBA") and image.getcolors(GRAPHIC_COLOURS) is not None
    large = _srgb(_within(image, LARGE), profile)
    small = _within(large, SMALL)
    return Picture(*(_encoded(each, graphic=graphic, lossy=lossy) for each in (large, small)))


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode whose colours can be mixed: RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):  # 16 bits of grey, of which pillow would keep the lower 8
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        image = _in_mode(image, "RGBA")
        opaque = image.getchannel("A").getextrema() == (255, 255)
        return image.convert("RGB") if opaque else image
    return image if image.mode == "CMYK" else _in_mode(image, "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _within(image: Image.Image, side: int) -> Image.Image:
    """The picture, made smaller if a side of it is longer."""
    if max(image.size) <= side:
        return image
    return image.resize(_size(image, side), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _size(image: Image.Image, side: int) -> tuple[int, int]:
    """Width and height of the picture within a square."""
    scale = min(1.0, side / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB; a profile that cannot be used is taken for none."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            return _converted(image, profile, mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return _in_mode(image, mode)


def _converted(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        outputMode=mode,
    )
    return image if converted is None else converted


def _encoded(image: Image.Image, *, graphic: bool, lossy: bool) -> Encoded:
    out = io.BytesIO()
    bare = Image.frombytes(image.mode, image.size, image.tobytes())  # nothing but pixels
    kind: Type
    if graphic:
        kind = "image/png"
        bare.save(out, "PNG", optimize=True)
    elif bare.mode == "RGBA":
        kind = "image/webp"
        bare.save(out, "WEBP", quality=QUALITY, method=4)
    else:
        kind = "image/jpeg"
        sampling = "4:2:0" if lossy else "4:4:4"  # lettering of a drawing keeps its edges
        bare.save(
            out, "JPEG", quality=QUALITY, optimize=True, progressive=True, subsampling=sampling
        )
    return Encoded(out.getvalue(), kind, *bare.size)


def _too_many_pixels(said: str = "the picture has very many pixels") -> InvalidPicture:
    return InvalidPicture(
        said,
        field="picture",
        hint=f"at most {MAX_PIXELS // 1_000_000} million, or {MAX_JPEG_PIXELS // 1_000_000} "
        f"million of a JPEG: save it smaller; it is shown with {LARGE} on a side at most",
    )
