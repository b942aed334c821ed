"""Files become pictures that hold pixels and nothing else; what is no picture is named."""

from __future__ import annotations

import io
import time
import tracemalloc
import zipfile
import zlib
from math import isqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat
from PIL.ExifTags import Base

from bandit_service.errors import InvalidPicture
from bandit_service.media.pictures import (
    LARGE,
    MAX_JPEG_PIXELS,
    MAX_PIXELS,
    MAX_SCANS,
    MAX_SIDE,
    SMALL,
    Encoded,
    redrawn,
)
from tests.media.pictures import bomb, drawing, photo, png_chunk, saved, scans, shown

SECRET = b"Rua da Madalena 7"
SCRIPT = b"<script>alert(1)</script>"


def refusal(data: bytes) -> InvalidPicture:
    with pytest.raises(InvalidPicture) as caught:
        redrawn(data)
    assert caught.value.field == "picture"
    assert caught.value.hint
    return caught.value


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' pixels, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


# -- what is kept


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_looks_as_it_did(kind: str) -> None:
    image = photo()

    large, small = redrawn(saved(image, kind))

    assert difference(shown(large.data), shown(saved(image, kind))) < 2
    assert (large.width, large.height) == shown(large.data).size == image.size
    assert (small.width, small.height) == shown(small.data).size == image.size


@pytest.mark.parametrize(
    ("image", "kept"),
    [
        (photo(), ("image/jpeg", "JPEG", "RGB")),
        (photo().convert("L"), ("image/png", "PNG", "RGB")),
        (photo().convert("CMYK"), ("image/jpeg", "JPEG", "RGB")),
        (drawing(), ("image/png", "PNG", "RGB")),
        (drawing().convert("P"), ("image/png", "PNG", "RGB")),
        (drawing().convert("1"), ("image/png", "PNG", "RGB")),
        (photo().convert("RGBA"), ("image/jpeg", "JPEG", "RGB")),
    ],
    ids=["photo", "grey", "for print", "drawing", "palette", "black and white", "opaque"],
)
def test_the_format_follows_from_the_picture(
    image: Image.Image, kept: tuple[str, str, str]
) -> None:
    kind = "TIFF" if image.mode == "CMYK" else "PNG"
    data = saved(image, "JPEG" if kind == "TIFF" else kind)

    large, small = redrawn(data)

    for each in (large, small):
        found = shown(each.data)
        assert (each.type, found.format, found.mode) == kept


def test_transparency_is_kept_in_a_drawing_and_in_a_photo() -> None:
    hole = Image.linear_gradient("L").resize((320, 200))
    for image, kind in ((drawing(), "image/png"), (photo(), "image/webp")):
        image.putalpha(hole.point(lambda value: 255 if value > 127 else 0))

        large, _ = redrawn(saved(image, "PNG"))

        found = shown(large.data)
        assert large.type == kind
        assert found.mode == "RGBA"
        assert [found.getpixel((9, y))[3] for y in (9, 190)] == [0, 255]  # type: ignore[index]


def test_a_gif_with_a_transparent_colour_keeps_it() -> None:
    image = drawing().convert("P", palette=Image.Palette.ADAPTIVE)
    corner = image.getpixel((0, 0))

    large, _ = redrawn(saved(image, "GIF", transparency=corner))

    assert shown(large.data).getpixel((0, 0))[3] == 0  # type: ignore[index]


def test_the_copy_for_lists_is_small_and_a_very_large_picture_is_made_smaller() -> None:
    large, small = redrawn(saved(photo(4000, 1000), "JPEG"))

    assert (large.width, large.height) == (LARGE, LARGE // 4)
    assert (small.width, small.height) == (SMALL, SMALL // 4)
    assert difference(shown(large.data), photo(LARGE, LARGE // 4)) < 3


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_a_picture_of_odd_proportions_keeps_a_pixel_each_way(size: tuple[int, int]) -> None:
    large, small = redrawn(saved(drawing(*size), "PNG"))

    for each in (large, small):
        assert min(each.width, each.height) >= 1
        assert shown(each.data).size == (each.width, each.height)


def test_sixteen_bits_of_grey_do_not_turn_white() -> None:
    grey = Image.linear_gradient("L").resize((320, 200))
    deep = grey.convert("I").point(lambda value: value * 256).convert("I;16")

    large, _ = redrawn(saved(deep, "PNG"))

    assert difference(shown(large.data), grey) < 2


def test_colours_of_a_profile_become_those_of_browsers() -> None:
    # given a picture whose profile is Lab-based: the same numbers are other colours
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = redrawn(saved(photo(), "PNG")).large.data

    # then one that says sRGB stays, one that cannot be used is taken for none, and none is kept
    for profile in (srgb, lab, b"no profile at all"):
        large, _ = redrawn(saved(photo(), "PNG", icc_profile=profile))
        assert difference(shown(large.data), shown(plain)) < 1
        assert "icc_profile" not in shown(large.data).info


def test_a_profile_of_wider_colours_is_converted() -> None:
    # given a profile with red and blue changed places, made of sRGB's own
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = (srgb.index(tag) for tag in (b"rXYZ", b"bXYZ"))
    srgb[red : red + 4], srgb[blue : blue + 4] = b"bXYZ", b"rXYZ"
    image = Image.new("RGB", (8, 8), "#ff0000")

    # when
    large, _ = redrawn(saved(image, "PNG", icc_profile=bytes(srgb)))

    # then
    found = shown(large.data).convert("RGB").getpixel((4, 4))
    assert isinstance(found, tuple)
    assert found[2] > 200
    assert found[0] < 60


# -- what is not kept


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_turned_upright_and_says_nothing_of_its_camera(kind: str) -> None:
    # given a photo that lies on its side, and says where it was taken
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif[Base.ImageDescription] = SECRET.decode()
    data = saved(photo(), kind, exif=exif)
    assert SECRET in data

    # when
    large, small = redrawn(data)

    # then
    assert difference(shown(large.data), photo().rotate(-90, expand=True)) < 3
    assert (large.width, large.height) == (200, 320)
    for each in (large, small):
        assert SECRET not in each.data
        assert not shown(each.data).getexif()


def polyglots() -> dict[str, bytes]:
    """Pictures that are something else as well."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("evil.html", SCRIPT)
    png, jpeg, gif = (saved(photo(), kind) for kind in ("PNG", "JPEG", "GIF"))
    return {
        "a JPEG and a ZIP archive": jpeg + zipped.getvalue(),
        "a JPEG with a script behind it": jpeg + SCRIPT,
        "a JPEG with a script as its comment": saved(photo(), "JPEG", comment=SCRIPT),
        "a GIF with a script behind it": gif + SCRIPT,
        "a GIF with a script as its comment": saved(photo(), "GIF", comment=SCRIPT),
        "a PNG with a script behind it": png + SCRIPT,
        "a PNG with a script as text": png[:33] + png_chunk(b"tEXt", b"x\x00" + SCRIPT) + png[33:],
        "a PNG with a script in a chunk": png[:33] + png_chunk(b"evIl", SCRIPT) + png[33:],
    }


@pytest.mark.parametrize("name", polyglots())
def test_a_file_that_is_something_else_as_well_is_a_picture_alone_afterwards(name: str) -> None:
    data = polyglots()[name]
    assert b"script" in data or b"PK" in data

    for each in redrawn(data):
        assert b"script" not in each.data
        assert b"evil" not in each.data
        assert not zipfile.is_zipfile(io.BytesIO(each.data))


def test_the_same_picture_makes_the_same_bytes() -> None:
    data = saved(photo(), "JPEG", comment=b"first")
    other = saved(photo(), "JPEG", comment=b"second")

    assert redrawn(data) == redrawn(data) == redrawn(other)


# -- what is refused


def test_a_picture_of_two_hundred_megapixels_is_refused_before_it_is_decoded() -> None:
    # given
    data = bomb(20_000, 10_000)
    assert len(data) < 2_000
    tracemalloc.start()
    started = time.process_time()

    # when
    error = refusal(data)

    # then
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "pixels" in error.message
    assert time.process_time() - started < 0.5
    assert peak < 2_000_000


@pytest.mark.parametrize("size", [(10_000, 10_000), (5000, 4001), (40_000, 30), (30, 40_000)])
def test_a_picture_of_too_many_pixels_or_too_long_is_refused(size: tuple[int, int]) -> None:
    assert "pixels" in refusal(bomb(*size)).message


@pytest.mark.slow
def test_a_picture_of_just_as_many_pixels_as_may_be_is_taken() -> None:
    for kind, most in (("PNG", MAX_PIXELS), ("JPEG", MAX_JPEG_PIXELS)):
        side = isqrt(most)
        assert side < MAX_SIDE

        large, _ = redrawn(saved(Image.new("RGB", (side, side), "#204060"), kind))

        assert (large.width, large.height) == (LARGE, LARGE)
        assert "pixels" in refusal(saved(Image.new("1", (side, side + 2)), kind)).message


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded() -> None:
    begun = time.process_time()

    assert "scans" in refusal(scans(100_000)).message

    assert time.process_time() - begun < 1.0


def test_a_progressive_photo_is_taken_whatever_stands_behind_it() -> None:
    film = b"\xff\xda" * 1_000

    plain, _ = redrawn(saved(photo(), "JPEG", progressive=True))

    assert redrawn(saved(photo(), "JPEG", progressive=True) + film).large == plain
    assert (redrawn(scans(20)).large.width, MAX_SCANS) == (640, 50)


def frames() -> dict[str, bytes]:
    more: dict[str, Any] = {"save_all": True, "append_images": [drawing()]}
    return {kind: saved(photo(), kind, **more) for kind in ("GIF", "WEBP", "PNG")}


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_refused(kind: str) -> None:
    error = refusal(frames()[kind])

    assert "moves" in error.message
    assert kind in error.message
    assert "image_url" in (error.hint or "")


def test_a_photo_with_further_views_of_the_same_is_its_first_one() -> None:
    data = saved(photo(), "MPO", save_all=True, append_images=[drawing()])

    large, _ = redrawn(data)

    assert difference(shown(large.data), photo()) < 3


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (SVG, "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- \x00 -->\n' + SVG, "SVG"),
        (SVG.decode().encode("utf-16"), "SVG"),
        (b"<!DOCTYPE html><p>", "web page"),
        (b"  <script>alert(1)</script>", "web page"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', "form"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00", "AVIF"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", "video"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\x00\x01", "Photoshop"),
        (saved(photo(), "TIFF"), "TIFF"),
        (saved(photo(), "BMP"), "BMP"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xff\x0a", "JPEG XL"),
        (bytes(range(256)), "no picture"),
        (b"headline,image\n", "no picture"),
    ],
)
def test_what_is_no_picture_of_ours_is_named(data: bytes, named: str) -> None:
    error = refusal(data)

    assert named in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_of_which_a_part_is_missing_is_refused(kind: str) -> None:
    data = saved(photo(), kind)

    assert refusal(data[: len(data) * 2 // 3]).message


def test_text_that_grows_when_it_is_unpacked_does_no_harm() -> None:

    png = saved(photo(), "PNG")
    text = png_chunk(b"zTXt", b"x\x00\x00" + zlib.compress(bytes(100_000_000)))

    assert "damaged" in refusal(png[:33] + text + png[33:]).message


FILES = [
    saved(image, kind)
    for image in (photo(64, 40), drawing(64, 40))
    for kind in ("JPEG", "PNG", "WEBP", "GIF")
]


@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255))))
def test_whatever_is_wrong_with_a_file_it_is_a_picture_or_is_refused(
    data: bytes, changes: list[tuple[int, int]]
) -> None:
    broken = bytearray(data)
    for place, value in changes:
        broken[place % len(broken)] = value

    try:
        found = redrawn(bytes(broken))
    except InvalidPicture:
        return
    for each in found:
        assert isinstance(each, Encoded)
        shown(each.data).load()
