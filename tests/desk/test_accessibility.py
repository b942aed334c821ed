"""Every page passes axe-core, by day and by night, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page

from tests.browsers import signed_in_page
from tests.desk.conftest import Site

AXE: Final = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
RULES: Final = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
}
FILM: Final = "/desk/placements/the-long-summer"
PAGES: Final = (
    "/desk",
    "/desk?q=nothing+like+this",
    FILM,
    "/desk/placements/season-finale",
    "/desk/placements/empty-spot",
    f"{FILM}?done=paused&of=bay-at-noon&was=1",
    f"{FILM}/edit",
    f"{FILM}/new-variant",
    f"{FILM}/variants/kiss-at-dusk",
    "/desk/placements/the-salt-road/new-variant",
    "/desk/new-placement",
    "/desk/import",
    "/desk/personas",
    "/desk/next",
    "/desk/next?persona=comedy",
    "/desk/policies",
    "/desk/nowhere",
)
DRAWN: Final = "() => !document.querySelector('.chart:not(.drawn)')"
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "day": {"viewport": {"width": 1280, "height": 900}},
    "night": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
}


@pytest.fixture(scope="module", params=LOOKS)
def looked_at(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    key = site.lantern.key("admin", "Ada")
    options = {**LOOKS[request.param], "bypass_csp": True}  # axe is put into the page by us
    with signed_in_page(browser, site.url, key, **options) as page:
        yield page


def violations(page: Page) -> list[str]:
    """What axe-core finds, in a line each."""
    page.evaluate(AXE)
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(looked_at: Page, path: str) -> None:
    looked_at.goto(path)
    looked_at.wait_for_function(DRAWN)

    assert violations(looked_at) == []


def test_axe_finds_nothing_in_a_form_that_is_refused(looked_at: Page) -> None:
    looked_at.goto(f"{FILM}/new-variant")
    looked_at.fill("#image_url", "javascript:alert(1)")
    looked_at.click("text=Save as a draft")
    looked_at.wait_for_selector("#problem-image_url")

    assert violations(looked_at) == []


@pytest.mark.parametrize("cell", ["Fine", "<b>not fine</b>"])
def test_axe_finds_nothing_in_the_preview_of_an_import(looked_at: Page, cell: str) -> None:
    sheet = f"placement,variant,headline\nthe-salt-road,new-one,{cell}\n".encode()
    looked_at.goto("/desk/import")
    looked_at.set_input_files("#sheet", {"name": "a.csv", "mimeType": "text/csv", "buffer": sheet})
    looked_at.click("text=Look at what it would do")
    looked_at.wait_for_selector("#would")

    assert violations(looked_at) == []


def test_axe_finds_nothing_where_one_signs_in(browser: Browser, site: Site) -> None:
    for look in LOOKS.values():
        context = browser.new_context(base_url=site.url, bypass_csp=True, **look)
        page = context.new_page()
        page.goto("/desk/sign-in")
        page.fill("#key", "nonsense")
        page.press("#key", "Enter")
        page.wait_for_selector("#key-problem")
        assert violations(page) == []
        context.close()


def test_axe_is_no_decoration(looked_at: Page) -> None:
    looked_at.goto("/desk/personas")
    looked_at.evaluate("document.querySelector('h1').style.color = 'rgb(128 128 128 / .4)'")
    looked_at.evaluate("document.body.append(document.createElement('input'))")

    found = " ".join(violations(looked_at))

    assert "color-contrast" in found
    assert "label" in found


def test_no_page_is_wider_than_a_phone(looked_at: Page) -> None:
    for path in PAGES:
        looked_at.goto(path)
        wide = looked_at.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, path
