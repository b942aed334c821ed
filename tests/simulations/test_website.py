"""Lantern, the demo's website: every picture drawn, every title there, nothing of anybody else."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Final

import pytest

from bandit_service.catalog.document import read_document
from simulations.website.artwork import MOTIFS, drawn
from simulations.website.server import PEOPLE, Lantern, Website
from simulations.website.titles import (
    CATALOG,
    HOME,
    PICTURES,
    decided,
    pictures,
    placed,
    read_catalog,
    rows,
)

SERVICE: Final = "http://127.0.0.1:1"
ALL: Final = pictures(read_catalog())


@pytest.fixture
def url() -> Iterator[str]:
    website = Website(Lantern(service=SERVICE, key="bk_demo_key"), port=0)
    thread = threading.Thread(target=website.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{website.server_port}"
    website.shutdown()
    thread.join()
    website.server_close()


def get(url: str) -> tuple[int, dict[str, str], str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, dict(exc.headers), exc.read().decode()


# -- pictures


@pytest.mark.parametrize("path", ALL)
def test_every_picture_is_drawn_of_nothing_but_shapes(path: str) -> None:
    root = ET.fromstring(drawn(ALL[path]))

    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {
        *("svg", "defs", "linearGradient", "stop", "g", "rect", "circle", "ellipse"),
        *("path", "polygon", "text"),
    }
    assert root.get("viewBox") == "0 0 640 360"
    assert "".join(root.itertext()).endswith(ALL[path].name)


def test_a_picture_is_drawn_alike_every_time_and_no_two_variants_of_a_title_look_the_same() -> None:
    every = {path: drawn(picture) for path, picture in ALL.items()}

    assert every == {path: drawn(picture) for path, picture in ALL.items()}
    assert len(set(every.values())) == len(every)


def test_every_tag_of_a_creative_with_a_picture_looks_like_something() -> None:
    tags = {
        tag
        for place in read_catalog()["placements"]
        for variant in place["variants"]
        if "image_url" in variant
        for tag in variant["tags"]
    }
    assert tags <= set(MOTIFS)


def test_every_picture_of_the_catalog_is_there(url: str) -> None:
    document = read_document(placed(CATALOG.read_text("utf-8"), url).encode(), name="demo.toml")

    addresses = [v.image_url for p in document.placements for v in p.variants or () if v.image_url]
    assert len(addresses) > 20
    for address in addresses:
        status, headers, text = get(address)
        assert (status, headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
        assert text.startswith("<svg ")


def test_no_address_of_the_catalog_is_left_that_is_not_there(url: str) -> None:
    text = placed(CATALOG.read_text("utf-8"), url)

    assert PICTURES not in text
    assert HOME not in text
    document = read_document(text.encode(), name="demo.toml")
    for target in {v.target_url for p in document.placements for v in p.variants or ()}:
        assert target is not None
        assert get(target)[0] == 200


# -- pages


def test_the_front_page_has_a_slot_for_every_placement_and_rows_that_are_full(url: str) -> None:
    _, _, html = get(url)

    slots = re.findall(r'data-bandit="([^"]+)"', html)
    assert sorted(slots) == sorted(decided(read_catalog()))
    assert len(rows(read_catalog())) >= 4
    for address in re.findall(r'(?:src|href)="(/[^"]*)"', html):
        assert get(url + address)[0] == 200, address


def test_every_person_declares_genres_that_tell_its_persona() -> None:
    rules = {
        genre: persona["id"]
        for persona in read_catalog()["personas"]
        for rule in persona["rules"]
        if rule["trait"] == "genres"
        for genre in rule["any"]
    }
    for person in PEOPLE:
        assert {rules[genre] for genre in person.genres.split()} <= {person.id}
    assert {"romantic", "comedy", "action"} <= {person.id for person in PEOPLE}


def test_every_page_is_under_a_policy_with_a_nonce_of_its_own(url: str) -> None:
    policies = []
    for _ in range(2):
        _, headers, html = get(url)
        policy = headers["Content-Security-Policy"]
        (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
        assert html.count(f'nonce="{nonce}"') == html.count("<script")
        assert "unsafe" not in policy
        assert f"connect-src {SERVICE}" in policy
        policies.append(policy)
    assert policies[0] != policies[1]


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/art/../server.py",
        "/art/x.svg",
        "/titles/<script>",
        "/titles/",
        "/pages/base.html",
    ],
)
def test_nothing_else_is_served(url: str, path: str) -> None:
    status, headers, text = get(url + path)

    assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert "import" not in text
