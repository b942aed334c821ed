"""When the answer is late, or never comes: the page keeps its own content, and says so."""

from __future__ import annotations

import pytest

from bandit_service.cli.processes import free_port
from bandit_service.events.entries import DEFAULT_SHOWN
from bandit_service.outcomes.join import Join
from bandit_service.outcomes.rewards import RewardSettings
from tests.tag.conftest import NOTICED, Visit

HEADLINE = '<h2 data-bandit="title-1/headline">Default</h2>'
BELOW = '<div style="height: 3000px"></div><h3 data-bandit="title-2">Default</h3>'
DECIDE = "/v1/decide/page"


def kept(visit: Visit) -> list[str]:
    """The placements of which the service was told that the page kept its own content."""
    return [place for place, kind in visit.service.events() if kind == DEFAULT_SHOWN]


def test_after_the_deadline_the_pages_own_stays_and_is_logged_as_shown(visit: Visit) -> None:
    # given a service that answers late
    visit.service.hold(DECIDE)
    visit.open(HEADLINE, tag=visit.tag(data_deadline=None))
    visit.state("h2", "default")
    waited = visit.page.evaluate("performance.now()")

    # when the answer comes
    visit.service.let_go(DECIDE)
    visit.service.until(lambda: kept(visit))

    # then it is not shown, nor seen, nor clicked, and the log says so
    visit.page.click("h2")
    assert waited >= 300
    assert visit.text("h2") == "Default"
    assert visit.page.get_attribute("h2", "data-bandit-state") == "default"
    assert visit.service.events() == [("title-1.headline", DEFAULT_SHOWN)]
    fold = Join(RewardSettings())
    for position, entry in visit.service.log():
        fold.apply(position, entry)
    assert fold.counts.defaults_shown == 1


def test_what_nobody_has_seen_yet_may_still_change(visit: Visit) -> None:
    visit.service.hold(DECIDE)
    visit.open(HEADLINE + BELOW, tag=visit.tag(data_deadline="50"))
    visit.state("h2", "default")
    visit.page.evaluate(NOTICED)

    visit.service.let_go(DECIDE)
    visit.state("h3", "shown")
    visit.service.until(lambda: kept(visit))

    assert kept(visit) == ["title-1.headline"]
    assert (visit.text("h2"), visit.text("h3")) == ("Default", "A card")


def test_what_was_seen_in_passing_stays(visit: Visit) -> None:
    visit.service.hold(DECIDE)
    visit.open(HEADLINE + BELOW, tag=visit.tag(data_deadline="50"))
    visit.page.locator("h3").scroll_into_view_if_needed()
    visit.page.evaluate(NOTICED)
    visit.page.evaluate("scrollTo(0, 0)")

    visit.service.let_go(DECIDE)
    visit.service.until(lambda: len(kept(visit)) == 2)

    assert visit.text("h3") == "Default"


@pytest.mark.parametrize("deadline", ["soon", "-5", "0", ""])
def test_a_deadline_that_is_no_time_is_the_usual_one(visit: Visit, deadline: str) -> None:
    visit.service.hold(DECIDE)

    visit.open(HEADLINE, tag=visit.tag(data_deadline=deadline))
    visit.state("h2", "default")

    assert visit.page.evaluate("performance.now()") >= 300


def test_until_the_deadline_nothing_flickers_and_then_the_pages_own_is_seen(visit: Visit) -> None:
    # given a tag that is there before anything is painted
    visit.service.hold(DECIDE)
    blocking = visit.tag(data_deadline="400").replace(" async", "")
    visit.context.add_init_script(
        """window.seen = [];
        const look = () => {
          const element = document.querySelector("h2");
          if (element) seen.push(getComputedStyle(element).visibility + element.textContent);
          requestAnimationFrame(look);
        };
        look();"""
    )

    visit.open(HEADLINE, tag=blocking)
    visit.state("h2", "default")
    visit.page.evaluate("new Promise(requestAnimationFrame)")

    seen = visit.page.evaluate("seen")
    assert set(seen) == {"hiddenDefault", "visibleDefault"}
    assert sorted(seen) == seen  # hidden first, and never again


# -- no service


def test_without_a_service_the_page_keeps_its_own_and_the_console_says_why_once(
    visit: Visit,
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    visit.open(HEADLINE + BELOW, tag=visit.tag(data_endpoint=nobody, data_debug=None))
    visit.state("h2", "default")
    visit.asks_again()

    assert visit.text("h2") == "Default"
    assert visit.page.evaluate("document.querySelector('h2').style.visibility") == ""
    assert visit.errors == []
    (warning,) = visit.warnings()
    assert nobody in warning
    assert f"--origin {visit.website.url}" in warning


def test_without_the_script_the_page_is_as_it_was_written(visit: Visit) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/tag.js"

    visit.open(HEADLINE, tag=visit.tag(src=nobody))

    assert visit.text("h2") == "Default"
    assert visit.errors == []


def test_a_service_that_fails_leaves_the_page_as_it_was(visit: Visit) -> None:
    visit.context.route("**/v1/decide/page", lambda route: route.fulfill(status=503, body="<html>"))

    visit.open(HEADLINE)
    visit.state("h2", "default")

    assert visit.text("h2") == "Default"
    assert visit.errors == []


# -- many


def test_every_decision_of_a_late_answer_is_accounted_for(visit: Visit) -> None:
    visit.service.hold(DECIDE)
    body = "".join(f'<h4 data-bandit="{name}">D</h4>' for name in ("choice", "markup", "long"))
    visit.open(body, tag=visit.tag(data_deadline="20"))
    visit.page.wait_for_function(
        "document.querySelectorAll('[data-bandit-state=default]').length === 3"
    )
    visit.page.evaluate(NOTICED)

    visit.service.let_go(DECIDE)
    visit.service.until(lambda: len(kept(visit)) == 3)

    assert sorted(kept(visit)) == ["choice", "long", "markup"]
