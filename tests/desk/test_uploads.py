"""Uploading pictures: what they become, and what is refused."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from bandit_service.services import Services
from tests.desk.forms import CARD, POSTER, form_of, problem_at, said_after, send, value_of, variant
from tests.desk.people import Person, text_of


def picture(kind: str = "PNG", size: tuple[int, int] = (640, 360)) -> bytes:
    """A picture of two colours."""
    drawn = Image.new("RGB", size, "teal")
    drawn.paste("orange", (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    drawn.save(out, kind)
    return out.getvalue()


def upload(person: Person, path: str, data: bytes, name: str, **typed: Any) -> TestResponse:
    """Send a creative's form with a file."""
    fields = {**CARD, "tags": "couple", "image_url": "", **typed, **form_of(person, path)}
    return person.client.post(
        path,
        base_url="https://desk.example",
        data=multipart(fields, name, data),
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
    )


BOUNDARY = "----a-boundary"


def multipart(fields: dict[str, str], name: str, data: bytes) -> bytes:
    """A form with a file, as browsers send it."""
    head = 'Content-Disposition: form-data; name="{}"'.format
    parts = [f"{head(key)}\r\n\r\n{value}".encode() for key, value in fields.items()]
    parts.append(f'{head("picture")}; filename="{name}"\r\n\r\n'.encode() + data)
    mark = f"--{BOUNDARY}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_uploaded_and_shown_from_here(
    editor: Person, services: Services, kind: str
) -> None:
    response = upload(editor, f"{POSTER}/new-variant", picture(kind), "two.bin")

    assert "added as a draft" in said_after(editor, response)
    address = variant(services, "the-second-one", "poster").image_url or ""
    assert address.startswith("https://desk.example/media/")
    shown = editor.get(address.removeprefix("https://desk.example"))
    assert shown.status_code == 200
    assert (shown.mimetype or "").startswith("image/")
    assert "immutable" in shown.headers["Cache-Control"]
    assert Image.open(io.BytesIO(shown.data)).size == (640, 360)


def test_a_picture_names_a_creative_that_has_no_name(editor: Person, services: Services) -> None:
    upload(editor, f"{POSTER}/new-variant", picture(), "x.png", headline="Named by headline")

    assert variant(services, "named-by-headline", "poster").image_url


@pytest.mark.parametrize(
    ("file", "alt", "name"),
    [
        ("Two Spoons.jpg", "", "two-spoons"),
        ("写真.jpg", "A pier", "a-pier"),
        ("写真.jpg", "", "variant"),
    ],
)
def test_a_picture_without_words_is_named_as_its_file_was(
    editor: Person, services: Services, file: str, alt: str, name: str
) -> None:
    send(editor, "/desk/new-placement", name="Spot", kind="thumbnail")

    for wanted in (name, f"{name}-2"):
        sent = {"headline": "", "alt": alt}
        upload(editor, "/desk/placements/spot/new-variant", picture(), file, **sent)
        assert variant(services, wanted, "spot").image_url


def test_a_refused_form_keeps_the_name_of_its_file(editor: Person) -> None:
    send(editor, "/desk/new-placement", name="Spot", kind="thumbnail")
    wrong = {"headline": "", "target_url": "javascript:x"}

    response = upload(editor, "/desk/placements/spot/new-variant", picture(), "Pier.jpg", **wrong)

    assert problem_at(response, "target_url")
    assert value_of(response, "id") == "pier"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "SVG"),
        (b"%PDF-1.4", "PDF"),
        (b"", "empty"),
        (b"not a picture", ""),
        (b"x" * (11 * 1_048_576), "11.0 MB"),
    ],
)
def test_what_is_no_picture_is_refused_at_the_field_and_nothing_is_lost(
    editor: Person, services: Services, data: bytes, words: str
) -> None:
    before = services.store.site("main").length()

    response = upload(editor, f"{POSTER}/new-variant", data, "evil.svg")

    assert response.status_code == 422
    assert words in problem_at(response, "picture")
    assert value_of(response, "headline") == "The second one"
    assert services.store.site("main").length() == before


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(editor: Person) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(bomb, "PNG")

    response = upload(editor, f"{POSTER}/new-variant", bomb.getvalue(), "bomb.png")

    assert response.status_code == 422
    assert "pixels" in problem_at(response, "picture")


def test_a_picture_is_kept_where_the_rest_of_the_form_is_refused(editor: Person) -> None:
    response = upload(editor, f"{POSTER}/new-variant", picture(), "a.png", headline="")

    assert response.status_code == 422
    assert value_of(response, "image_url").startswith("https://desk.example/media/")


def test_a_form_beyond_all_bounds_is_refused_in_words(editor: Person) -> None:
    fields = form_of(editor, f"{POSTER}/new-variant")
    response = editor.client.post(
        f"{POSTER}/new-variant",
        base_url="https://desk.example",
        data=fields,
        environ_overrides={"CONTENT_LENGTH": str(10**9)},
    )

    assert response.status_code == 413
    assert "too large" in text_of(response)
