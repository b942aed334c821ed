"""Pictures over HTTP: uploaded by editors, shown to everybody, and harmless as pages."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient

from bandit_service.errors import MediaError
from bandit_service.media.blobs import FolderBlobs
from bandit_service.media.store import MAX_BYTES
from bandit_service.services import Services
from bandit_service.web.app import create_app
from bandit_service.web.bodies import MAX_DRAINED
from tests.conftest import Api, Headers, body_of, error_of
from tests.media.pictures import bomb, drawing, photo, saved, shown

PHOTO = saved(photo(), "JPEG")


def kept(services: Services) -> list[Path]:
    folder = services.settings.media_path
    return sorted(folder.iterdir()) if folder.exists() else []


def test_an_uploaded_picture_is_shown_to_everybody_and_may_be_kept_for_ever(
    api: Api, client: FlaskClient
) -> None:
    # when
    response = api.upload(PHOTO)
    answer = body_of(response, 201)

    # then
    assert (
        response.headers["Location"] == answer["url"] == f"http://localhost/media/{answer['name']}"
    )
    assert (answer["width"], answer["height"], answer["type"]) == (320, 200, "image/jpeg")
    for url in (answer["url"], answer["small_url"]):
        seen = client.get(url.removeprefix("http://localhost"))
        assert seen.status_code == 200
        assert seen.mimetype == "image/jpeg"
        assert seen.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert seen.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert seen.headers["X-Content-Type-Options"] == "nosniff"
        assert seen.headers["Content-Security-Policy"].endswith("; sandbox")
        assert "default-src 'none'" in seen.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in seen.headers
        assert shown(seen.data).size == (320, 200)
    assert len(client.get(f"/media/{answer['name']}").data) == answer["bytes"]
    head = client.head(f"/media/{answer['name']}")
    assert (head.status_code, head.data) == (200, b"")


def test_an_upload_may_be_the_image_of_a_variant(api: Api) -> None:
    url = body_of(api.upload(PHOTO), 201)["url"]
    body = {"kind": "thumbnail", "variants": [{"id": "a", "image_url": url, "status": "live"}]}
    body_of(api.put("/v1/placements/spot", body))

    assert body_of(api.decide(placement="spot"))["variant"]["image_url"] == url


def test_the_same_picture_has_the_same_address(api: Api, services: Services) -> None:
    first = body_of(api.upload(PHOTO), 201)

    assert body_of(api.upload(PHOTO), 201) == first
    assert len(kept(services)) == 2


@pytest.mark.parametrize("address", ["https://creatives.example", "https://shop.example/bandit/"])
def test_the_address_is_the_one_at_which_browsers_reach_the_service(
    services: Services, auth: Headers, address: str
) -> None:
    services.settings = msgspec.structs.replace(services.settings, public_url=address)
    api = Api(create_app(services).test_client(), auth)

    answer = body_of(api.upload(PHOTO), 201)

    assert answer["url"] == f"{address.rstrip('/')}/media/{answer['name']}"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'<svg onload="alert(1)"/>', "SVG"),
        (bomb(20_000, 10_000), "pixels"),
        (PHOTO[:900], "damaged"),
        (b"", "empty"),
    ],
)
def test_what_is_refused_is_named_and_nothing_of_it_is_kept(
    api: Api, services: Services, data: bytes, said: str
) -> None:
    error = error_of(api.upload(data), 422)

    assert (error["code"], error["field"]) == ("invalid_picture", "picture")
    assert said in error["message"]
    assert error["hint"]
    assert kept(services) == []


def test_what_the_sender_calls_it_does_not_matter(api: Api) -> None:
    for called in ("image/png", "text/html", "application/x-www-form-urlencoded"):
        assert body_of(api.upload(PHOTO, Content_Type=called), 201)["type"] == "image/jpeg"


def test_a_form_with_a_picture_is_told_how_to_send_it(api: Api) -> None:
    response = api.client.post(
        "/v1/media", data={"file": (io.BytesIO(PHOTO), "a.jpg")}, headers=api.auth["editor"]
    )

    error = error_of(response, 422)
    assert "form" in error["message"]
    assert "body" in error["hint"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_picture_that_is_too_large_is_read_to_its_end_and_refused(
    api: Api, services: Services, announced: bool
) -> None:
    # given a picture of just the limit, and one byte more
    limit = PHOTO.ljust(MAX_BYTES)
    assert body_of(api.upload(limit), 201)
    read: list[int] = []

    class Counting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            read.append(len(found))
            return found

    # when
    much = Counting(limit + b" ")
    environ = {"wsgi.input": much, "wsgi.input_terminated": True}
    if announced:
        environ["CONTENT_LENGTH"] = str(MAX_BYTES + 1)
    response = api.client.post("/v1/media", headers=api.auth["editor"], environ_overrides=environ)

    # then
    error = error_of(response, 413)
    assert str(MAX_BYTES) in error["hint"]
    assert MAX_BYTES < sum(read) <= MAX_BYTES + 1 + MAX_DRAINED


def test_uploads_have_a_rate_of_their_own(services: Services, auth: Headers) -> None:
    services.settings = msgspec.structs.replace(services.settings, media_rate="2/hour")
    api = Api(create_app(services).test_client(), auth)

    answers = [api.upload(PHOTO) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[2].headers["Retry-After"]) >= 1
    assert api.get("/v1/placements").status_code == 200


def test_nobody_uploads_without_an_editors_key(client: FlaskClient, auth: Headers) -> None:
    error_of(client.post("/v1/media", data=PHOTO), 401)
    error_of(client.post("/v1/media", data=PHOTO, headers=auth["site"]), 403)


@pytest.mark.parametrize(
    "name", ["none.jpg", "..%2f..%2fkeys", "%00", "0" * 40 + ".jpg", "0" * 40 + ".svg", ".", "a/b"]
)
def test_what_is_not_there_is_not_found(client: FlaskClient, name: str) -> None:
    response = client.get(f"/media/{name}")

    error_of(response, 404)
    assert "immutable" not in response.headers.get("Cache-Control", "")


def test_a_disk_that_takes_nothing_is_told_of(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FolderBlobs, name: str, data: bytes) -> None:
        raise MediaError("pictures cannot be written: no space", hint="make room")

    monkeypatch.setattr(FolderBlobs, "put", full)

    assert error_of(api.upload(PHOTO), 503)["code"] == "media_unavailable"


def test_pictures_of_one_site_are_not_told_from_those_of_another(
    services: Services, client: FlaskClient, api: Api
) -> None:
    key, _ = services.keys.create("other", "editor")
    services.refresh()
    other = client.post(
        "/v1/media", data=saved(drawing(), "PNG"), headers={"Authorization": f"Bearer {key}"}
    )

    assert body_of(other, 201)["name"] == body_of(api.upload(saved(drawing(), "PNG")), 201)["name"]
    assert "other" not in other.text
