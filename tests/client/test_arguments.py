"""What a client is made with."""

from __future__ import annotations

import pytest

from bandit_service.client import Client
from bandit_service.client.place import Place, place_at
from bandit_service.errors import InvalidInput
from tests.client.conftest import KEY


@pytest.mark.parametrize(
    ("url", "place", "shown"),
    [
        ("http://127.0.0.1:8080", Place("http", "127.0.0.1", 8080, ""), "http://127.0.0.1:8080"),
        ("http://host", Place("http", "host", 80, ""), "http://host:80"),
        ("HTTPS://Host/a/b/", Place("https", "host", 443, "/a/b"), "https://host:443/a/b"),
        ("http://[::1]:9", Place("http", "::1", 9, ""), "http://[::1]:9"),
    ],
)
def test_an_address_is_understood(url: str, place: Place, shown: str) -> None:
    assert place_at(url) == place
    assert str(place) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "127.0.0.1",
        "ftp://host",
        "http://",
        "http://:80",
        "http://host:99999",
        "http://host:x",
        "http://[::1",
        "http://host/?key=a",
        "http://host/#a",
        "http://host/a b",
        "http://host/é",
    ],
)
def test_an_address_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Client(url, KEY)

    assert raised.value.field == "url"
    assert repr(url) in raised.value.message
    assert "http://127.0.0.1:8080" in (raised.value.hint or "")


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput) as raised:
        Client("http://me:hunter2@host", KEY)

    assert "hunter2" not in str(raised.value.as_dict())


def test_white_space_around_a_key_is_dropped() -> None:
    with Client("http://127.0.0.1:1", f" {KEY}\r\n") as client:
        assert client.decide("film").logged is False  # it could be written into a header


@pytest.mark.parametrize("key", ["", " \n", "bk_main_a\r\nX: y", "bk main", "bk_é", "bk_\x00"])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Client("http://host", key)

    assert raised.value.field == "key"
    assert "keys create" in (raised.value.hint or "")
    assert not key.strip() or key not in str(raised.value.as_dict())


@pytest.mark.parametrize("field", ["deadline", "events_deadline"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_deadline_that_is_over_at_once_is_refused(field: str, seconds: float) -> None:
    with pytest.raises(InvalidInput) as raised:
        Client("http://host", KEY, **{field: seconds})  # type: ignore[arg-type]

    assert raised.value.field == field


def test_a_queue_needs_room() -> None:
    with Client("http://host", KEY) as client, pytest.raises(InvalidInput, match="size is 0"):
        client.queue(size=0)
