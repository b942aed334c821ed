"""The pages in a real browser: by keyboard, without scripts, while numbers move."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import signed_in_page
from tests.desk.conftest import Site

FILM: Final = "/desk/placements/the-salt-road"
POLLED: Final = "response => response.url.includes('/live')"


def tab_to(page: Page, name: str, most: int = 60) -> None:
    """Press Tab until the element of this accessible name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        told = page.evaluate(
            "() => { const e = document.activeElement;"
            " const l = e.labels?.[0]?.innerText ?? ''; return (e.innerText || '') + l }"
        )
        if name in told:
            return
    pytest.fail(f"{name!r} cannot be reached with Tab")


def test_a_creative_is_registered_by_keyboard_alone(page: Page, site: Site) -> None:
    page.goto(FILM)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    tab_to(page, "Add a variant")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new-variant")

    # a mistake leads to the field that it is about
    tab_to(page, "Save and publish")
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem-headline")
    assert page.evaluate("document.activeElement.id") == "problems"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "headline"

    page.keyboard.type("Salt, sand and a secret")
    tab_to(page, "question")
    page.keyboard.press("Space")
    tab_to(page, "Other tags")
    page.keyboard.type("desert,")
    page.keyboard.type("walk")
    page.keyboard.press("Enter")
    tab_to(page, "Save and publish")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status").filter(has_text="is live")).to_be_visible()
    editor = site.lantern.services.editor("main", by="test")
    made = editor.variant("the-salt-road", "salt-sand-and-a-secret")
    assert made.status == "live"
    assert set(made.tags) == {"question", "desert", "walk"}


def test_a_tag_is_finished_by_enter_in_every_form(page: Page) -> None:
    for path in ("/desk/new-placement", f"{FILM}/edit", f"{FILM}/new-variant"):
        page.goto(path, wait_until="networkidle")
        page.fill("#more_tags", "new and rare")

        page.press("#more_tags", "Enter")

        assert page.is_checked("input[name=tags][value='new and rare']")
        assert page.input_value("#more_tags") == ""
        assert page.url.endswith(path)


def test_enter_in_a_field_never_publishes(page: Page, site: Site) -> None:
    page.goto("/desk/placements/the-salt-road/new-variant")
    page.fill("#headline", "A well, at last")
    page.fill("#id", "by-enter")

    page.press("#more_tags", "Enter")

    page.wait_for_url(re.compile(r"done=added"))
    made = site.lantern.editor.variant("the-salt-road", "by-enter")
    assert made.status == "draft"
    site.lantern.editor.remove("the-salt-road", "by-enter")


def test_the_focus_can_always_be_seen(page: Page) -> None:
    page.goto("/desk")
    for _ in range(15):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " const a = getComputedStyle(e, '::after');"
            " return s.outlineStyle !== 'none' || a.outlineStyle !== 'none' }"
        )
        assert seen, page.evaluate("document.activeElement.outerHTML")


def test_what_is_typed_is_shown_as_visitors_will_see_it(page: Page) -> None:
    page.goto("/desk/placements/season-finale/new-variant")
    page.fill("#headline", "<b>Plain & simple</b>")

    for screen in page.locator("[data-says=headline]").all():
        assert screen.inner_text() == "<b>Plain & simple</b>"

    page.fill("#image_url", "javascript:alert(1)")
    expect(page.locator(".desktop .waiting")).to_be_visible()
    page.fill("#image_url", "/missing.png")
    expect(page.locator(".desktop .lost")).to_be_visible()


def test_everything_works_without_scripts(browser: Browser, site: Site) -> None:
    key = site.lantern.key("editor")
    with signed_in_page(browser, site.url, key, java_script_enabled=False) as page:
        page.fill("#q", "lisbon")
        page.press("#q", "Enter")
        expect(page.locator(".card")).to_have_count(1)
        page.click(".card h2 a")
        expect(page.get_by_text("Charts need JavaScript").first).to_be_visible()
        page.get_by_role("link", name="Add a variant").click()
        page.fill("#headline", "Nine minutes, no more")
        page.fill("#more_tags", "question, joke")
        page.get_by_role("button", name="Save as a draft").click()
        expect(page.get_by_role("status").filter(has_text="added as a draft")).to_be_visible()
        expect(page.locator("time").first).to_contain_text("UTC")


def test_times_are_in_the_viewers_zone(browser: Browser, site: Site) -> None:
    key = site.lantern.key("editor")
    options = {"timezone_id": "Pacific/Kiritimati", "locale": "en-GB"}
    with signed_in_page(browser, site.url, key, **options) as page:
        page.goto(FILM)
        time = page.locator(".past time").last
        told, utc = time.inner_text(), time.get_attribute("title") or ""

    # the catalog was made at 17:46 UTC, a week before the end of lantern's week
    assert "17:46" in told.replace("07:46", "17:46")  # fourteen hours ahead: the next morning
    assert told != utc
    assert utc.endswith("UTC")


def test_numbers_are_in_the_visitors_locale(browser: Browser, site: Site) -> None:
    key = site.lantern.key("editor")
    with signed_in_page(browser, site.url, key, locale="de-DE") as page:
        page.goto("/desk/personas")
        rates = page.locator(".figures dd").all_inner_texts()

    assert any(re.fullmatch(r"\d+,\d+\s%", rate) for rate in rates), rates
    assert not any("." in rate and "%" in rate for rate in rates)


# -- numbers that move


def visit(site: Site, count: int = 30) -> None:
    """Let some visitors come to the placement, and what they did be counted."""
    site.lantern.drop_in("the-salt-road", count)


def views(page: Page) -> int:
    text = page.locator("[data-live=now] dd").first.inner_text()
    return int(re.sub(r"\D", "", text))


def test_numbers_move_without_a_reload_and_leave_the_focus_alone(page: Page, site: Site) -> None:
    page.goto(FILM)
    page.evaluate("window.loadedOnce = true")
    button = page.get_by_role("button", name=re.compile("Pause")).first
    button.focus()
    held = page.evaluate("document.activeElement.innerText")
    before = views(page)

    visit(site)
    page.wait_for_function(
        "before => Number(document.querySelector('[data-live=now] dd')"
        ".textContent.replace(/\\D/g, '')) > before",
        arg=before,
    )

    assert page.evaluate("window.loadedOnce")
    assert page.evaluate("document.activeElement.innerText") == held


def test_a_piece_that_is_being_read_is_left_alone_until_it_is_let_go(
    page: Page, site: Site
) -> None:
    page.goto(FILM)
    page.locator("[data-live=heat]").focus()
    before = page.locator("[data-live=heat]").inner_text()

    with page.expect_response(lambda r: "/live" in r.url and r.status == 200):
        visit(site)
    page.wait_for_function("() => document.querySelector('[data-live=now].fresh')")
    assert page.locator("[data-live=heat]").inner_text() == before

    page.locator("h1").click()
    page.wait_for_function(
        "before => document.querySelector('[data-live=heat]').innerText !== before", arg=before
    )


def test_nothing_is_asked_while_nobody_looks(page: Page) -> None:
    page.goto(FILM)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.clock.install()
    page.clock.run_for(20_000)
    assert [url for url in asked if "/live" in url] == []

    with page.expect_response(lambda r: "/live" in r.url):
        page.evaluate(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )


def test_what_did_not_change_is_not_sent_again(page: Page) -> None:
    page.goto("/desk/personas")
    with page.expect_response(lambda r: "/live" in r.url and r.status == 200):
        pass
    with page.expect_response(lambda r: "/live" in r.url and r.status == 304):
        pass


def test_a_service_that_does_not_answer_is_said_once(page: Page) -> None:
    page.goto("/desk/personas")
    page.route("**/live", lambda route: route.abort())

    expect(page.get_by_text("The numbers stand still")).to_be_visible()
    page.unroute("**/live")
    expect(page.locator("#said")).to_contain_text("The numbers move again")


def test_whoever_is_signed_out_meanwhile_is_told(browser: Browser, site: Site) -> None:
    key = site.lantern.key("editor")
    with signed_in_page(browser, site.url, key) as page:
        page.goto("/desk/personas")
        page.context.clear_cookies()
        expect(page.get_by_text("You were signed out")).to_be_visible()


# -- charts and pictures


def test_charts_are_drawn_by_plotly_from_our_own_address(page: Page, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.resource_type} {request.url}"))
    page.goto(FILM)
    page.wait_for_selector(".chart.drawn .plot-container")

    assert [one for one in asked if one.endswith("plotly.min.js")]
    for one in asked:
        assert one.startswith("image ") or one.split(" ")[1].startswith(site.url)


def test_files_are_kept_and_plotly_is_sent_compressed(page: Page) -> None:
    with page.expect_response("**/plotly.min.js") as found:
        page.goto(FILM)

    headers = found.value.headers
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["content-encoding"] == "gzip"


def test_a_picture_that_is_lost_says_so(page: Page) -> None:
    page.goto("/desk/placements/second-helpings")
    lost = page.locator(".pic.broken .lost").first

    expect(lost).to_be_visible()
    expect(lost).to_contain_text("does not load")
