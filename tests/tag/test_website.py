"""A person on the demo's website: who it plays is what it sees, and its clicks are learned."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
from playwright.sync_api import Browser, Page

from bandit_service.catalog.document import read_document
from bandit_service.cli.processes import free_port
from bandit_service.events.entries import Decision
from simulations.website.server import Lantern, Website
from simulations.website.titles import CATALOG, decided, placed, read_catalog
from tests.tag.conftest import PATIENCE_S, Service

PLACEMENTS = sorted(decided(read_catalog()))


@pytest.fixture
def lantern(service: Service) -> Iterator[str]:
    """The address of the website, of which the service knows the catalog."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    services = service.services
    key, _ = services.keys.create("main", "site", origins=(url,))
    text = placed(CATALOG.read_text("utf-8"), url)
    services.editor("main", by="test").put_document(read_document(text.encode(), name="demo"))
    services.refresh()
    website = Website(Lantern(service=service.url, key=key), port=port)
    thread = threading.Thread(target=website.serve_forever, args=(0.02,))
    thread.start()
    yield url
    website.shutdown()
    thread.join()
    website.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 1400})
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context.new_page()
    context.close()


def of(service: Service, persona: str) -> list[Decision]:
    """The newest decision for a persona on each placement."""
    newest = {d.placement: d for d in service.decisions() if d.persona == persona}
    return [newest[place] for place in sorted(newest)]


def all_decided(service: Service, persona: str) -> bool:
    return [decision.placement for decision in of(service, persona)] == PLACEMENTS


def shown(page: Page, decision: Decision) -> bool:
    """Whether the page shows what was decided."""
    slot = page.locator(f"[data-bandit='{decision.placement}']")
    (place,) = (p for p in read_catalog()["placements"] if p["id"] == decision.placement)
    variant = next(v for v in place["variants"] if v["id"] == decision.arm.partition("@")[0])
    if "headline" in variant and variant["headline"] not in slot.inner_text():
        return False
    picture = slot if place["kind"] == "thumbnail" else slot.locator("img")
    return "image_url" not in variant or variant["image_url"].rpartition("/")[2] in (
        picture.get_attribute("src") or ""
    )


def test_who_a_person_plays_is_what_the_service_is_told_and_what_the_page_shows(
    page: Page, lantern: str, service: Service
) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(lantern)
    page.wait_for_selector("[data-bandit-state]")

    for person in ("romantic", "comedy", "action"):
        page.click(f"label:has([value={person}])")
        service.until(partial(all_decided, service, person))
        page.wait_for_function(
            """([persona, count]) => [...document.querySelectorAll(".reason")].filter(
              ({ textContent }) => textContent.includes(`"${persona}"`)).length === count""",
            arg=[person, len(PLACEMENTS)],
        )
        for decision in of(service, person):
            assert shown(page, decision), decision.placement

    assert complaints == []


def test_what_a_person_clicks_and_watches_is_reported(
    page: Page, lantern: str, service: Service
) -> None:
    page.goto(lantern)
    page.click("label:has([value=romantic])")
    service.until(partial(all_decided, service, "romantic"))
    page.wait_for_selector(".reason >> text=romantic", state="attached")

    page.click("[data-bandit='the-long-summer']")
    page.wait_for_url("**/titles/the-long-summer")
    page.click("#like")

    service.until(lambda: ("the-long-summer", "like") in service.events())
    service.until(lambda: ("the-long-summer", "click") in service.events())


def test_a_person_is_told_why_when_it_asks(page: Page, lantern: str) -> None:
    page.goto(lantern)
    page.wait_for_selector(".reason", state="attached")
    assert not page.locator(".reason").first.is_visible()

    page.check("#why")

    assert page.locator(".reason").first.is_visible()
    assert " % for " in page.locator(".reason").first.inner_text()


@pytest.mark.parametrize("path", ["", "/titles/second-helpings"])
def test_a_phone_shows_all_of_the_width_of_a_page(page: Page, lantern: str, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(lantern + path)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
