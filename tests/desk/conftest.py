"""What the desk's tests share: people who are signed in, and a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from bandit_service.services import Services
from bandit_service.web.app import create_app
from tests.browsers import signed_in_page
from tests.desk.lantern import Lantern, lantern
from tests.desk.people import Person
from tests.desk.pictures import pictures
from tests.desk.served import served

END_MS: Final = 1_900_000_000_000
"""When the week of the demo's site ends."""


@pytest.fixture
def person(app: Flask) -> Person:
    """Somebody who has not signed in."""
    return Person(app)


@pytest.fixture
def signed_in(app: Flask, services: Services) -> Callable[[str], Person]:
    """Makes somebody who has signed in with a key of a role."""

    def make(role: str) -> Person:
        key, _ = services.keys.create("main", role, label=f"the {role}")  # type: ignore[arg-type]
        services.refresh()
        somebody = Person(app)
        assert somebody.sign_in(key).status_code == 303
        return somebody

    return make


@pytest.fixture
def editor(signed_in: Callable[[str], Person]) -> Person:
    return signed_in("editor")


@pytest.fixture
def admin(signed_in: Callable[[str], Person]) -> Person:
    return signed_in("admin")


class Site(NamedTuple):
    """The demo's site, behind a socket."""

    lantern: Lantern
    url: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo's site after a week; tests of one module share it."""
    config = tmp_path_factory.mktemp("config")
    with pictures() as drawn, lantern(drawn, end=END_MS, config=config) as found:
        app = create_app(found.services)
        with served(app) as url:
            yield Site(found, url)


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of an editor who is signed in; it fails the test that makes it report an error."""
    with signed_in_page(browser, site.url, site.lantern.key("editor", "Ada")) as found:
        yield found
