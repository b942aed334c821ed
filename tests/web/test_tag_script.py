"""The script as it is served: small, cached by its content, and made of the source that is here."""

from __future__ import annotations

import gzip
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from flask.testing import FlaskClient

from bandit_service.web.tag.script import MAX_COMPRESSED, tag_script

ROOT: Final = Path(__file__).parents[2]
TAG: Final = ROOT / "bandit_service" / "web" / "tag"


@pytest.fixture
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tag", ROOT / ".ci" / "tag.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_takes_less_than_5_kb_to_fetch() -> None:
    assert len(tag_script().compressed) < MAX_COMPRESSED == 5_000


def test_it_was_made_of_the_source_that_is_here(maker: ModuleType) -> None:
    first = tag_script().plain.decode().splitlines()[0]

    digest = re.search(r"source ([0-9a-f]{16}) \*/$", first)
    assert digest is not None
    assert f"source {digest[1]} */" in maker.head(maker.source()), "run `make tag`"


def test_every_part_of_the_source_is_in_it(maker: ModuleType) -> None:
    assert sorted(f"{part}.js" for part in maker.PARTS) == sorted(
        path.name for path in (TAG / "source").iterdir()
    )


def test_the_minifier_makes_the_same_of_it_again(maker: ModuleType) -> None:
    pytest.importorskip("minify", reason="there is no tdewolff-minify for this system")

    assert maker.minified(maker.source()).encode() == tag_script().plain, "run `make tag`"


def test_the_source_says_nothing_that_is_lost_or_dangerous() -> None:
    for path in (TAG / "source").iterdir():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// "), path
        assert len(text.splitlines()) <= 300
        for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert unsafe not in text, (path, unsafe)


@pytest.mark.parametrize("path", ["/tag.js", "/tag-0123456789abcdef.js", "/tag-nonsense.js"])
def test_what_is_not_named_by_its_content_is_cached_for_minutes(
    client: FlaskClient, path: str
) -> None:
    response = client.get(path)

    assert response.status_code == 200
    assert response.data == tag_script().plain
    assert response.mimetype == "text/javascript"
    assert "max-age=300," in response.headers["Cache-Control"]
    assert "immutable" not in response.headers["Cache-Control"]
    assert response.headers["Content-Location"] == tag_script().path


def test_what_is_named_by_its_content_is_cached_for_ever(client: FlaskClient) -> None:
    response = client.get(client.get("/tag.js").headers["Content-Location"])

    assert response.data == tag_script().plain
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_browsers_that_take_gzip_get_it(client: FlaskClient) -> None:
    packed = client.get("/tag.js", headers={"Accept-Encoding": "br, gzip"})
    plain = client.get("/tag.js", headers={"Accept-Encoding": "gzip;q=0"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != plain.headers["ETag"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_browser_that_has_it_is_told_so(client: FlaskClient, encoding: str) -> None:
    asked = {"Accept-Encoding": encoding}
    tag = client.get("/tag.js", headers=asked).headers["ETag"]

    again = client.get("/tag.js", headers={**asked, "If-None-Match": f'"other", {tag}'})
    changed = client.get("/tag.js", headers={**asked, "If-None-Match": '"other"'})

    assert (again.status_code, again.data) == (304, b"")
    assert (again.headers["ETag"], "max-age" in again.headers["Cache-Control"]) == (tag, True)
    assert changed.status_code == 200


def test_pages_of_any_origin_may_run_and_check_it(client: FlaskClient) -> None:
    response = client.get("/tag.js", headers={"Origin": "https://anywhere.example"})

    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_it_needs_no_store(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/tag.js").status_code == 200
    assert client.head("/tag.js").data == b""
