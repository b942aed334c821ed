"""Where the variant is at fault, the page keeps its own content, and the view earns nothing.

A picture that is broken or comes too late, and a variant without anything for the element: who
meets one depends on what was drawn. So such a view counts once it is seen, like any other.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import ConsoleMessage

from tests.tag.conftest import NOTICED, Visit

OWN = "/img/default-320x180.svg"
HEADLINE = '<h2 data-bandit="title-1/headline">Default</h2>'
FAULTS = {"gone": "a broken picture", "choice": "nothing for this element"}
"""What is wrong with the variant of a placement, for an element that is a picture."""


def picture(placement: str) -> str:
    return f'<img data-bandit="{placement}" src="{OWN}" alt="Default" width=320 height=180>'


def reported(visit: Visit, placement: str) -> list[str]:
    """The types of what was reported of a placement."""
    return [kind for place, kind in visit.service.events() if place == placement]


def keeps_its_own(visit: Visit, selector: str) -> bool:
    """Whether an element shows what the page came with."""
    shown = visit.page.locator(selector)
    return (shown.get_attribute("src"), shown.get_attribute("alt")) == (OWN, "Default")


def clicks_all(visit: Visit, placement: str) -> None:
    """Click on the picture and watch; then click on what works, and wait for that to arrive."""
    visit.page.click(f"img[data-bandit='{placement}']")
    visit.page.evaluate(f"bandit.event('{placement}', 'watch', 0.5)")
    visit.page.click("h2")
    visit.service.until(lambda: "click" in reported(visit, "title-1.headline"))


@pytest.mark.parametrize("placement", FAULTS)
def test_a_variant_that_cannot_be_shown_is_seen_and_earns_nothing(
    visit: Visit, placement: str
) -> None:
    # given a page with a variant at fault, beside one that is not
    visit.open(picture(placement) + HEADLINE)
    visit.state("img", "default")
    visit.state("h2", "shown")

    # when a visitor looks, clicks and watches
    visit.service.until(lambda: reported(visit, placement))
    clicks_all(visit, placement)

    # then it is an impression alone, and the console names the variant
    assert keeps_its_own(visit, "img")
    assert reported(visit, placement) == ["impression"]
    assert len([note for note in visit.notes() if "impression" in note]) == 2
    (warning,) = visit.warnings()
    assert placement in warning
    assert FAULTS[placement] in warning


@pytest.mark.parametrize("placement", FAULTS)
def test_a_variant_at_fault_that_nobody_sees_is_not_reported(visit: Visit, placement: str) -> None:
    visit.context.clock.install()
    visit.open('<div style="height: 3000px"></div>' + picture(placement))
    visit.state("img", "default")

    visit.pass_time(3000)

    assert keeps_its_own(visit, "img")
    assert visit.service.calls("/v1/events") == []


def test_a_picture_that_turns_out_to_be_broken_later_gives_way_too(visit: Visit) -> None:
    # given a lazy picture, which is loaded only when it comes near
    body = picture("gone").replace("<img", "<img loading=lazy")
    visit.open(f'{HEADLINE}<div style="height: 9000px"></div>{body}')
    visit.state("img", "shown")
    assert reported(visit, "gone") == []

    # when it does
    visit.page.locator("img").scroll_into_view_if_needed()
    visit.state("img", "default")
    visit.service.until(lambda: reported(visit, "gone"))
    clicks_all(visit, "gone")

    # then
    assert keeps_its_own(visit, "img")
    assert reported(visit, "gone") == ["impression"]


def too_late(message: ConsoleMessage) -> bool:
    return "a late picture" in message.text


@pytest.mark.parametrize(("margin", "seen"), [(0, ["impression"]), (600, [])])
def test_a_picture_that_comes_too_late_leaves_what_was_seen_and_is_its_variants_fault(
    visit: Visit, margin: int, seen: list[str]
) -> None:
    # given a page whose own picture is there, all of it in view or less than half; a variant whose
    # picture is slow, and a clock that stands still
    visit.context.clock.install()
    slow = visit.website.hold("/img/variant-320x180.svg")
    visit.service.hold("/v1/decide/page")
    body = picture("title-1/artwork").replace("<img", f'<img style="margin-top: {margin}px"')
    visit.open(HEADLINE + body, tag=visit.tag(data_deadline="5000"))
    visit.page.wait_for_function("document.querySelector('img').naturalWidth")
    visit.page.evaluate(NOTICED)
    with visit.page.expect_request("**/img/variant-320x180.svg"):
        visit.service.let_go("/v1/decide/page")

    # when its slot is looked at until the deadline has passed, and clicked, and the picture comes
    visit.pass_time(6000)
    visit.state("img", "default")
    visit.page.evaluate("document.querySelector('img').click()" if seen else "0")
    with visit.page.expect_console_message(too_late):
        slow.set()
    visit.page.click("h2")
    visit.service.until(lambda: "click" in reported(visit, "title-1.headline"))

    # then
    assert keeps_its_own(visit, "img")
    assert reported(visit, "title-1.artwork") == seen


def test_a_variant_at_fault_gives_way_to_the_pages_own_also_where_another_was_shown(
    visit: Visit,
) -> None:
    # given a page that shows a variant
    visit.open(picture("title-1/artwork"))
    visit.state("img", "shown")

    # when the next one is broken
    visit.context.route("**/img/variant-320x180.svg", lambda route: route.abort())
    visit.page.evaluate("document.querySelector('img').dataset.bandit = 'gone'")

    # then the page has its own again
    visit.service.until(lambda: reported(visit, "gone"))
    visit.state("img", "default")
    assert keeps_its_own(visit, "img")
    assert reported(visit, "gone") == ["impression"]


def test_an_element_that_goes_while_it_waits_and_comes_back_is_asked_for_again(
    visit: Visit,
) -> None:
    visit.service.hold("/v1/decide/page")
    visit.open(f"<main>{HEADLINE}</main>")
    visit.page.wait_for_function("window.bandit")
    with visit.page.expect_response("**/v1/decide/page"):
        visit.page.evaluate("document.querySelector('h2').remove()")
        visit.service.let_go("/v1/decide/page")
    visit.page.evaluate(NOTICED)

    visit.page.evaluate(f"document.querySelector('main').innerHTML = `{HEADLINE}`")

    visit.state("h2", "shown")
    assert visit.warnings() == []
