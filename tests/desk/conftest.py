"""What the desk's tests share: people who are signed in, and a real Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from flask import Flask
from playwright.sync_api import Browser, sync_playwright

from bandit_service.services import Services
from tests.desk.people import Person

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


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


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        reason = f"no browser on PATH: none of {', '.join(BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found
