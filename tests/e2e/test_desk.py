"""An editor's first ten minutes, on the real program and in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import signed_in_page
from tests.e2e.processes import Caller, Program, until

QUICK = """
[rewards]
window_seconds = 1.0
[policy]
typical_reward = 0.25
slot_seconds = 1.0
holdout = 0.2
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    (tmp_path / "config" / "site.toml").write_text(QUICK)
    yield program
    program.stop()
    assert program.leftovers() == []


def shown(caller: Caller) -> str | None:
    """Ask as a website does for what to show, see it, and click it if it is the kiss.

    None where there is nothing to show, as in a process that has not heard of it yet.
    """
    status, answer = caller.call("POST", "/v1/decide", {"placement": "the-long-summer"})
    if status in (404, 409):
        return None
    assert status == 200, answer
    events = [{"decision": answer["decision"], "type": "impression"}]
    if answer["variant"]["id"] == "a-kiss-at-dusk":
        events.append({"decision": answer["decision"], "type": "click"})
    assert caller.call("POST", "/v1/events", {"events": events})[0] == 202
    return str(answer["variant"]["id"])


def register(page: Page, headline: str, tag: str) -> None:
    """Fill the form of a creative and publish it."""
    page.get_by_role("link", name="Add a variant").first.click()
    page.get_by_label("Headline").fill(headline)
    page.get_by_label("Other tags").fill(tag)
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_role("status").filter(has_text="is live")).to_be_visible()


@pytest.mark.slow
def test_an_editor_registers_sees_traffic_and_pauses(program: Program, browser: Browser) -> None:
    program.serve("--no-seed-catalog")
    site = program.caller(program.key("site"))
    url, key = f"http://127.0.0.1:{program.port}", program.key("editor")

    with signed_in_page(browser, url, key) as page:
        # an empty desk says what to do first
        expect(page.get_by_role("heading", name="Make your first placement")).to_be_visible()
        page.get_by_role("link", name="New placement").first.click()
        page.get_by_label("Name").fill("The Long Summer")
        page.get_by_label("Headline: a line of text").check()
        page.get_by_role("button", name="Make the placement").click()
        expect(page.get_by_role("heading", name="The Long Summer")).to_be_visible()

        # two creatives, published
        register(page, "A kiss at dusk", "couple")
        register(page, "Two brothers, one boat", "group")
        expect(page.get_by_text("Nobody has seen it yet.")).to_have_count(2)

        # visitors come; the page moves by itself, without being loaded again
        page.evaluate("window.loadedOnce = true")
        until(lambda: shown(site) is not None, 30)
        seen = {shown(site) for _ in range(120)}
        assert seen == {"a-kiss-at-dusk", "two-brothers-one-boat"}
        summary = page.locator("[data-live=now]")
        expect(summary.get_by_text("Click rate")).to_be_visible()
        page.wait_for_function(
            "() => Number(document.querySelector('[data-live=now] dd').textContent) >= 120"
        )
        expect(page.locator("#variant-a-kiss-at-dusk").get_by_text("100%")).to_be_visible()
        assert page.evaluate("window.loadedOnce")

        # what is paused is gone from decisions, and back after an undo
        page.get_by_role("button", name="Pause a-kiss-at-dusk").click()
        expect(page.get_by_role("status").filter(has_text="is paused")).to_be_visible()
        until(lambda: {shown(site) for _ in range(20)} == {"two-brothers-one-boat"}, 30)
        page.get_by_role("button", name="Undo", exact=True).click()
        expect(page.get_by_role("status").filter(has_text="as it was before")).to_be_visible()
        until(lambda: "a-kiss-at-dusk" in {shown(site) for _ in range(20)}, 30)

        # and the way out
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()
        page.goto("/desk")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.slow
def test_an_admin_goes_back_to_earlier_settings(program: Program, browser: Browser) -> None:
    # given a site that learned under two settings
    program.serve()
    other = program.folder / "other.toml"
    other.write_text(QUICK.replace("holdout = 0.2", "holdout = 0.4"))
    made = program.run("rebuild", "--settings", str(other))
    assert made.returncode == 0, made.stderr
    url, key = f"http://127.0.0.1:{program.port}", program.key("admin")

    with signed_in_page(browser, url, key) as page:
        page.goto("/desk/policies")
        expect(page.get_by_role("row", name="policy.holdout 0.2 0.4")).to_be_visible()

        # when
        page.get_by_role("button", name="Go back to these settings of generation 1").click()

        # then the page says so by itself, and everything serves under the first ones
        expect(page.get_by_text("its result serves")).to_be_visible()
        expect(page.get_by_role("heading", name="Generation 3 Serves now")).to_be_visible()
        expect(page.get_by_role("row", name="policy.holdout 0.4 0.2")).to_be_visible()
