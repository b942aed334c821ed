"""What a page reports: what was seen and clicked, once, whatever the network does meanwhile."""

from __future__ import annotations

import io
import wave
from collections import Counter

import pytest
from playwright.sync_api import Route

from bandit_service.events.entries import Tick
from bandit_service.outcomes.join import Join
from bandit_service.outcomes.rewards import RewardSettings
from tests.tag.conftest import Visit

LINE = "title-1.headline"
HEADLINE = '<h2 data-bandit="title-1/headline">Default</h2>'
EVENTS = "/v1/events"
DECIDE = "/v1/decide/page"
KEPT = "Object.keys(localStorage).filter((name) => name.startsWith('bandit:')).length"


@pytest.fixture
def visit(visit: Visit) -> Visit:
    """A browser whose clock can be moved on."""
    visit.context.clock.install()
    return visit


def counted(visit: Visit) -> Counter[tuple[str, str]]:
    """Placement and type of the events that count: once for each id of a decision."""
    placements = {decision.id: decision.placement for decision in visit.service.decisions()}
    ids = {
        (event["decision"], event["id"], event["type"])
        for body in visit.service.calls(EVENTS)
        for event in body["events"]
    }
    return Counter((placements[decision], kind) for decision, _, kind in ids)


def beacons(visit: Visit) -> int:
    """How many beacons the page has sent."""
    sent: int = visit.page.evaluate("window.beacons")
    return sent


COUNT_BEACONS = """window.beacons = 0;
const send = navigator.sendBeacon.bind(navigator);
navigator.sendBeacon = (...words) => (window.beacons++, send(...words));"""


# -- impressions


def test_an_impression_is_half_of_it_for_half_a_second(visit: Visit) -> None:
    # given a slot of which a third is in view
    visit.open(
        '<div style="height: 640px"></div><a data-bandit="choice" style="display: block; '
        'height: 180px">Default</a><div style="height: 2000px"></div>'
    )
    visit.state("a", "shown")
    visit.pass_time(1500)
    assert visit.service.events() == []

    # when more of it comes into view, but not for long
    visit.page.evaluate("scrollTo(0, 60)")
    visit.pass_time(400)
    visit.page.evaluate("scrollTo(0, 0)")
    visit.pass_time(1500)
    assert visit.service.events() == []

    # and then to stay
    visit.page.evaluate("scrollTo(0, 60)")
    visit.service.until(visit.service.events)
    assert visit.service.events() == [("choice", "impression")]


def test_what_is_larger_than_the_window_is_seen_when_it_fills_half_of_it(visit: Visit) -> None:
    visit.open('<a data-bandit="choice" style="display: block; height: 3000px">Default</a>')

    visit.service.until(visit.service.events)
    assert visit.service.events() == [("choice", "impression")]


def test_what_was_below_is_reported_only_when_it_is_scrolled_to(visit: Visit) -> None:
    visit.open(HEADLINE + '<div style="height: 3000px"></div><h3 data-bandit="choice">D</h3>')
    visit.service.until(visit.service.events)
    visit.pass_time(1500)
    assert visit.service.events() == [(LINE, "impression")]

    visit.page.locator("h3").scroll_into_view_if_needed()

    visit.service.until(lambda: len(visit.service.events()) == 2)
    assert visit.service.events()[1] == ("choice", "impression")


def test_a_picture_on_its_way_counts_as_seen_and_is_clicked_only_once_it_is_there(
    visit: Visit,
) -> None:
    # given a page whose pictures are all slow
    picture = visit.website.hold("/img/variant-320x180.svg")
    visit.website.hold("/img/default-320x180.svg")
    visit.page.goto(
        visit.put(
            '<img data-bandit="title-1/artwork" src="/img/default-320x180.svg" width=320 '
            'height=180 alt="">'
        ),
        wait_until="commit",
    )
    visit.state("img", "shown")

    # when a visitor looks and clicks before the variant is there
    visit.pass_time(1500)
    visit.page.click("img")

    # then that is an impression alone
    visit.service.until(visit.service.events)
    assert counted(visit) == {("title-1.artwork", "impression"): 1}

    # and a click on the variant is one
    picture.set()
    visit.page.wait_for_function("document.querySelector('img').complete")
    visit.page.click("img")
    visit.service.until(lambda: counted(visit)[("title-1.artwork", "click")])


# -- clicks


def test_a_click_leaves_by_beacon_and_arrives_though_the_page_goes(visit: Visit) -> None:
    visit.context.add_init_script(COUNT_BEACONS)
    visit.put("There", path="/there", tag="<!-- none -->")
    visit.open('<a data-bandit="title-2" href="/"><img src="/img/default-320x180.svg" alt=""></a>')
    visit.state("a", "shown")
    visit.page.evaluate("addEventListener('pagehide', () => { sessionStorage.n = beacons })")

    visit.page.click("a")
    visit.page.wait_for_url("**/there")

    assert visit.page.evaluate("Number(sessionStorage.n)") >= 1
    visit.service.until(lambda: counted(visit).total() == 2)
    assert counted(visit) == {("title-2", "impression"): 1, ("title-2", "click"): 1}


def test_a_click_on_the_link_that_it_is_in_counts_for_each_slot_in_it(visit: Visit) -> None:
    visit.open(
        '<a href="#"><img data-bandit="title-1/artwork" src="/img/default-320x180.svg" alt="">'
        f"{HEADLINE}<b>Play</b></a><i>Elsewhere</i>"
    )
    visit.state("h2", "shown")
    visit.state("img", "shown")

    visit.page.click("i")
    visit.page.click("b")

    clicked = [(LINE, "click"), ("title-1.artwork", "click")]
    visit.service.until(lambda: all(counted(visit)[one] for one in clicked))
    assert [counted(visit)[one] for one in clicked] == [1, 1]


def test_clicks_with_the_keyboard_and_the_middle_button_count_and_the_right_one_does_not(
    visit: Visit,
) -> None:
    body = "".join(
        f'<h2 data-bandit="{name}" class="{name}"><a href="#">D</a></h2>'
        for name in ("choice", "long", "markup")
    )
    visit.open(body)
    visit.page.wait_for_function(
        "document.querySelectorAll('[data-bandit-state=shown]').length === 3"
    )

    visit.page.click(".choice", button="right")
    visit.page.focus(".long a")
    visit.page.keyboard.press("Enter")
    visit.page.click(".markup a", button="middle")

    clicked = [("markup", "click"), ("long", "click")]
    visit.service.until(lambda: all(counted(visit)[one] for one in clicked))
    assert [counted(visit)[one] for one in clicked] == [1, 1]
    assert counted(visit)[("choice", "click")] == 0


def test_an_event_of_a_type_counts_once_for_a_decision(visit: Visit) -> None:
    visit.open(HEADLINE)
    visit.state("h2", "shown")

    for _ in range(3):
        visit.page.click("h2")
    visit.page.evaluate("bandit.event('title-1/headline', 'like')")
    visit.page.evaluate("bandit.event('title-1/headline', 'scrolled', 0.5, 'a')")
    visit.page.evaluate("bandit.event('title-1/headline', 'scrolled', 0.7, 'b')")
    visit.service.until(lambda: counted(visit).total() == 5)

    assert counted(visit) == {
        (LINE, "impression"): 1,
        (LINE, "click"): 1,
        (LINE, "like"): 1,
        (LINE, "scrolled"): 2,
    }


# -- offline


def test_clicks_made_offline_arrive_once_when_the_network_is_back(visit: Visit) -> None:
    # given a page that was shown, and then lost the network
    visit.open(HEADLINE)
    visit.service.until(visit.service.events)
    visit.page.wait_for_function(f"{KEPT} === 0")
    visit.context.set_offline(True)

    # when the visitor clicks
    visit.page.click("h2")
    visit.pass_time(1200)
    assert visit.service.events() == [(LINE, "impression")]
    assert visit.page.evaluate(KEPT) == 1

    # and the network is back
    visit.context.set_offline(False)
    visit.service.until(lambda: counted(visit)[(LINE, "click")])

    # then the click is there, with the time that it was made at, and the browser keeps nothing
    visit.page.wait_for_function(f"{KEPT} === 0")
    assert visit.service.events() == [(LINE, "impression"), (LINE, "click")]
    (click,) = visit.service.calls(EVENTS)[-1]["events"]
    assert 1.0 < click["age"] < 60


def test_clicks_made_offline_arrive_from_a_later_page(visit: Visit) -> None:
    visit.open(HEADLINE)
    visit.service.until(visit.service.events)
    visit.context.set_offline(True)
    visit.page.click("h2")
    visit.page.goto("about:blank")
    visit.context.set_offline(False)

    visit.open("<p>No slots here</p>", path="/later")

    visit.service.until(lambda: counted(visit)[(LINE, "click")])
    visit.page.wait_for_function(f"{KEPT} === 0")


def test_a_click_that_a_dead_service_never_got_is_sent_again_and_learned_once(
    visit: Visit,
) -> None:
    # given a service that is gone when the visitor clicks, though the browser is online
    visit.open(HEADLINE)
    visit.service.until(visit.service.events)
    visit.context.route("**/v1/events", lambda route: route.abort("connectionrefused"))
    visit.page.click("h2")
    visit.pass_time(300)

    # when it is back, and two further pages are opened
    visit.context.unroute("**/v1/events")
    for path in ("/second", "/third"):
        visit.open("<p>No slots here</p>", path=path)
        visit.page.wait_for_function(f"{KEPT} === 0")

    # then the click is in the log, and teaches once
    visit.service.until(lambda: counted(visit)[(LINE, "click")])
    fold = Join(RewardSettings())
    outcomes = [o for position, entry in visit.service.log() for o in fold.apply(position, entry)]
    assert [(o.kind, o.reward) for o in outcomes] == [("rewarded", 1.0)]
    assert fold.counts.late_events == 0


@pytest.mark.parametrize("status", [429, 500, 503])
def test_events_that_the_service_cannot_take_now_are_kept(visit: Visit, status: int) -> None:
    visit.context.route("**/v1/events", lambda route: route.fulfill(status=status, body="{}"))
    visit.open(HEADLINE)

    visit.page.wait_for_function(f"{KEPT} === 1")
    visit.pass_time(1500)
    assert visit.page.evaluate(KEPT) == 1

    visit.context.unroute("**/v1/events")
    visit.open("<p>Later</p>", path="/later")
    visit.service.until(lambda: counted(visit)[(LINE, "impression")])


def test_events_that_the_service_refuses_for_good_are_let_go(visit: Visit) -> None:
    visit.context.route("**/v1/events", lambda route: route.fulfill(status=401, body="{}"))
    visit.open(HEADLINE)
    visit.page.wait_for_function(f"{KEPT} === 1")

    visit.page.wait_for_function(f"{KEPT} === 0")


def test_old_and_broken_leftovers_do_not_keep_new_events_from_arriving(visit: Visit) -> None:
    visit.context.add_init_script(
        """localStorage["bandit:data-bandit:old x"] = JSON.stringify({ at: 1, decision: "old" });
        localStorage["bandit:data-bandit:zzz"] = "not JSON";
        localStorage["other"] = "theirs";"""
    )
    visit.open(HEADLINE)

    visit.service.until(lambda: (LINE, "impression") in visit.service.events())
    assert visit.page.evaluate("localStorage.other") == "theirs"
    assert not visit.page.evaluate("localStorage['bandit:data-bandit:old x']")
    assert visit.errors == []


# -- watching


def sound(seconds: float) -> bytes:
    """A silent WAV."""
    data = io.BytesIO()
    with wave.open(data, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(1)
        writer.setframerate(8_000)
        writer.writeframes(b"\x80" * round(8_000 * seconds))
    return data.getvalue()


def test_what_is_watched_on_the_page_after_the_click_counts_for_the_decision(
    visit: Visit,
) -> None:
    def play(route: Route) -> None:
        route.fulfill(body=sound(0.4), content_type="audio/wav")

    visit.context.route("**/sound.wav", play)
    visit.put('<audio data-bandit-watch="title-2" src="/sound.wav"></audio>', path="/there")
    visit.open('<a data-bandit="title-2" href="/"><h3>Default</h3></a>')
    visit.state("a", "shown")
    visit.page.click("a")
    visit.page.wait_for_url("**/there")
    visit.page.wait_for_function("window.bandit")

    visit.page.evaluate("document.querySelector('audio').play()")

    visit.service.until(lambda: counted(visit)[("title-2", "watch")])
    values = [
        event["value"]
        for body in visit.service.calls(EVENTS)
        for event in body["events"]
        if event["type"] == "watch"
    ]
    assert 0.8 < values[0] <= 1.0


def test_an_event_of_what_was_never_decided_is_not_sent(visit: Visit) -> None:
    visit.open(HEADLINE)
    visit.service.until(visit.service.events)

    visit.page.evaluate("bandit.event('title-2', 'watch', 0.5)")

    visit.pass_time(1200)
    assert visit.service.events() == [(LINE, "impression")]


# -- what is no decision


def test_nothing_is_reported_of_an_answer_that_was_not_logged(visit: Visit) -> None:
    # given a crawler, which gets the canonical variant
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    context = visit.context.browser.new_context(user_agent=agent)  # type: ignore[union-attr]
    context.clock.install()
    page = context.new_page()
    page.goto(visit.put(HEADLINE))

    page.wait_for_selector("h2[data-bandit-state=shown]")
    page.click("h2")
    page.clock.run_for(5_000)
    context.close()

    assert visit.service.calls(EVENTS) == []
    assert visit.service.decisions() == []


def test_a_page_left_in_the_background_is_not_seen(visit: Visit) -> None:
    visit.context.add_init_script(
        """window.away = true;
        Object.defineProperty(document, "hidden", { get: () => window.away });"""
    )
    visit.open(HEADLINE)
    visit.state("h2", "shown")
    visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    visit.pass_time(1500)
    assert visit.service.events() == []

    visit.page.evaluate("away = false; document.dispatchEvent(new Event('visibilitychange'))")

    visit.service.until(visit.service.events)


def test_what_nobody_has_seen_for_long_is_asked_for_again_when_the_visitor_comes_back(
    visit: Visit,
) -> None:
    # given a page of which one slot was seen and another was not
    visit.open(HEADLINE + '<div style="height: 3000px"></div><h3 data-bandit="choice">D</h3>')
    visit.state("h3", "shown")
    visit.service.until(visit.service.events)

    # when the visitor looks at it again after a quarter of an hour
    visit.pass_time(15 * 60_000)
    visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    # then the unseen one alone is decided anew, and what was seen never changes
    visit.service.until(lambda: len(visit.service.calls(DECIDE)) == 2)
    asked = [[slot["placement"] for slot in body["slots"]] for body in visit.service.calls(DECIDE)]
    assert asked == [[LINE, "choice"], ["choice"]]
    assert len(visit.service.decisions()) == 3


def test_a_click_arrives_from_a_page_that_tells_nobody_where_it_is(visit: Visit) -> None:
    # given a policy under which beacons come from nowhere, so that the key's origin is not there
    visit.open(HEADLINE, Referrer_Policy="no-referrer")
    visit.state("h2", "shown")
    visit.page.click("h2")

    # when another page is opened
    visit.open("<p>No slots here</p>", path="/later", Referrer_Policy="no-referrer")

    # then the click is sent again, under CORS
    visit.service.until(lambda: (LINE, "click") in visit.service.events())


def test_decisions_of_a_page_count_only_if_they_are_seen(visit: Visit) -> None:
    visit.open(HEADLINE + '<div style="height: 3000px"></div><h3 data-bandit="choice">D</h3>')
    visit.state("h3", "shown")
    visit.service.until(visit.service.events)

    fold = Join(RewardSettings())
    for position, entry in visit.service.log():
        fold.apply(position, entry)
    last = visit.service.log()[-1][0]
    kinds = {
        o.decision.placement: o.kind
        for o in fold.apply(last._replace(ms=last.ms + 10**7), Tick(at=0))
    }

    assert kinds == {LINE: "defaulted", "choice": "censored"}
