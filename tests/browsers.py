"""A real Chromium, and pages of it that are signed in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS: Final = 30_000
"""How long anything may take on a busy machine, in ms."""


def browser_path() -> str | None:
    """The machine's own browser."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium; without one the test is skipped, or fails in CI."""
    path = browser_path()
    if path is None:
        reason = f"no browser on PATH: none of {', '.join(BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            ignore_default_args=["--disable-back-forward-cache"],  # as people's browsers
        )
        expect.set_options(timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def signed_in_page(browser: Browser, url: str, key: str, **options: Any) -> Iterator[Page]:
    """A page in a context of its own; what scripts and policies complain of fails the test."""
    context = browser.new_context(base_url=url, **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    try:
        page.goto("/desk/sign-in")
        page.fill("#key", key)
        page.press("#key", "Enter")
        page.wait_for_url("**/desk")
        yield page
        assert not complaints, complaints
    finally:
        context.close()
