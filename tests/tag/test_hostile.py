"""What pages, services and browsers get wrong costs neither the page nor what is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Route

from tests.tag.conftest import NOTICED, Visit

HEADLINE = '<h2 data-bandit="title-1/headline">Default</h2>'
LINE = "title-1.headline"
DECIDE = "/v1/decide/page"
VARIANT = {"id": "only", "kind": "headline", "headline": "Variant"}


def answered(route: Route, status: int, body: str) -> None:
    """Answer a page of any origin with this."""
    route.fulfill(status=status, body=body, headers={"Access-Control-Allow-Origin": "*"})


# -- services


@pytest.mark.parametrize(
    "body",
    [
        *("null", "5", '"slots"', "[]", '{"slots": 5}', '{"slots": null}', '{"refused": 7}'),
        *('{"slots": [null]}', '{"slots": [{"placement": "title-1.headline"}]}'),
        *('{"refused": [null]}', "<html>", ""),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_none_leaves_the_page_as_it_was_and_is_told(
    visit: Visit, status: int, body: str
) -> None:
    visit.context.route(f"**{DECIDE}", lambda route: answered(route, status, body))

    visit.open(HEADLINE)
    visit.state("h2", "default")

    assert visit.text("h2") == "Default"
    assert visit.errors == []


@pytest.mark.parametrize("body", ["null", '{"error": null}', "<html>", ""])
def test_an_error_that_says_nothing_is_told_by_its_status(visit: Visit, body: str) -> None:
    visit.context.route(f"**{DECIDE}", lambda route: answered(route, 502, body))

    visit.open(HEADLINE)
    visit.state("h2", "default")

    (warning,) = visit.warnings()
    assert "answered 502" in warning
    assert "undefined" not in warning


# -- pages


@pytest.mark.parametrize(
    "early",
    [
        "(window.bandit ||= []).push(['setVisitor', null])",
        "(window.bandit ||= []).push(['setVistor', {}])",
        "(window.bandit ||= []).push(null)",
        "window.bandit = {}",
    ],
)
def test_a_page_that_says_it_wrongly_gets_its_variants_all_the_same(
    visit: Visit, early: str
) -> None:
    visit.open(HEADLINE, tag=f"<script>{early}</script>{visit.tag()}")

    visit.state("h2", "shown")
    assert visit.errors == []


def test_an_element_whose_id_is_the_tags_name_does_no_harm(visit: Visit) -> None:
    visit.open(HEADLINE + "<p id=bandit></p>")

    visit.state("h2", "shown")
    assert visit.page.evaluate("typeof bandit.refresh") == "function"
    assert visit.errors == []


def test_a_visitor_who_left_is_nobody(visit: Visit) -> None:
    visit.open(HEADLINE, tag=visit.tag(data_visitor="ann"))
    visit.state("h2", "shown")

    visit.page.evaluate("bandit.setVisitor({ id: null })")
    visit.service.until(lambda: len(visit.service.calls(DECIDE)) == 2)
    visit.page.evaluate("bandit.setVisitor(null)")
    visit.service.until(lambda: len(visit.service.calls(DECIDE)) == 3)

    visitors = [body["visitor"] for body in visit.service.calls(DECIDE)]
    assert visitors[0] == "ann"
    assert visitors[1] == visitors[2] != "ann"


# -- elements that go


def test_an_element_that_goes_before_it_was_seen_for_long_enough_is_not_seen(visit: Visit) -> None:
    visit.context.clock.install()
    visit.open(f'<div style="height: 3000px"></div>{HEADLINE}')
    visit.state("h2", "shown")

    visit.page.evaluate("document.querySelector('h2').scrollIntoView()")
    visit.page.evaluate(f"{NOTICED}.then(() => document.querySelector('h2').remove())")
    visit.pass_time(2000)

    assert visit.service.events() == []


def test_an_element_that_goes_while_it_waits_is_told_as_nothing(visit: Visit) -> None:
    visit.context.clock.install()
    visit.service.hold(DECIDE)
    visit.open(HEADLINE)
    visit.page.wait_for_function("window.bandit")
    visit.pass_time(50)
    visit.page.evaluate("document.querySelector('h2').remove()")
    visit.pass_time(50)

    with visit.page.expect_response(f"**{DECIDE}"):
        visit.service.let_go(DECIDE)
    visit.pass_time(2000)

    assert visit.service.calls("/v1/events") == []
    assert visit.errors == []


def test_a_page_that_changes_its_elements_asks_only_for_those_that_are_there(
    visit: Visit,
) -> None:
    # given a page of an application, whose elements are others by now
    visit.open(f"<main>{HEADLINE}</main>")
    visit.state("h2", "shown")
    visit.page.evaluate(
        "document.querySelector('main').innerHTML = '<h3 data-bandit=choice>Default</h3>'"
    )
    visit.state("h3", "shown")

    # when it says who visits
    visit.page.evaluate("bandit.setVisitor({ id: 'ann' })")
    visit.service.until(lambda: len(visit.service.calls(DECIDE)) == 3)

    # then it asks for what is there
    asked = [slot["placement"] for slot in visit.service.calls(DECIDE)[-1]["slots"]]
    assert asked == ["choice"]

    # and what comes back is chosen for who visits now
    visit.page.evaluate(f"document.querySelector('main').innerHTML = {json.dumps(HEADLINE)}")
    visit.service.until(lambda: len(visit.service.calls(DECIDE)) == 4)
    last: Any = visit.service.calls(DECIDE)[-1]
    assert (last["visitor"], last["slots"]) == ("ann", [{"placement": LINE}])


def test_elements_that_are_gone_are_not_kept(visit: Visit) -> None:
    visit.open(f"<main>{HEADLINE}</main>")
    visit.state("h2", "shown")

    gone = visit.page.evaluate(
        """async () => {
          const main = document.querySelector("main");
          const gone = [];
          for (let n = 0; n < 20; n++) {
            const element = document.createElement("h2");
            element.dataset.bandit = "title-1/headline";
            main.replaceChildren(element);
            gone.push(new WeakRef(element));
            await new Promise(requestAnimationFrame);
          }
          main.replaceChildren();
          window.gone = gone;
          return gone.length;
        }"""
    )
    assert gone == 20

    visit.page.request_gc()

    assert visit.page.evaluate("gone.filter((one) => one.deref()).length") <= 1  # the newest


# -- networks


def test_the_network_that_is_back_is_used_at_once_however_long_it_was_gone(visit: Visit) -> None:
    # given a page that has tried in vain for so long that it tries seldom
    visit.context.clock.install()
    visit.open(HEADLINE)
    visit.state("h2", "shown")
    visit.service.until(visit.service.events)
    visit.context.set_offline(True)
    visit.page.click("h2")
    for _ in range(8):
        visit.pass_time(100_000)

    # when the network is back
    visit.context.set_offline(False)
    visit.pass_time(1000)

    # then the click arrives
    visit.service.until(lambda: (LINE, "click") in visit.service.events())


def test_a_service_that_is_gone_for_long_does_not_fill_the_browser(visit: Visit) -> None:
    visit.context.route("**/v1/events", lambda route: route.abort())
    visit.context.add_init_script(
        """for (let n = 0; n < 300; n++) {
          const event = { decision: `d${n}`, type: "click", id: "click", at: Date.now() };
          localStorage[`bandit:data-bandit:d${n} click`] = JSON.stringify(event);
        }"""
    )

    visit.open(HEADLINE)
    visit.state("h2", "shown")

    assert visit.page.evaluate("localStorage.length") <= 102  # a visitor, and what was just seen


# -- consent


def test_a_consent_that_is_withdrawn_takes_back_what_was_not_sent_yet(visit: Visit) -> None:
    visit.context.clock.install()
    visit.open(HEADLINE)
    visit.state("h2", "shown")
    visit.page.evaluate("bandit.event('title-1/headline', 'like')")
    visit.service.until(lambda: (LINE, "like") in visit.service.events())

    visit.page.evaluate("bandit.consent(false)")
    visit.pass_time(60_000)

    assert (LINE, "impression") not in visit.service.events()
    assert visit.page.evaluate("localStorage.length + sessionStorage.length") == 0
