"""What a page shows: the variants, in the room that there was, as text, and each once."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import CDPSession, Route

from bandit_service.events.entries import DEFAULT_SHOWN
from tests.tag.conftest import MARKUP, Visit

PICTURE = '<img data-bandit="title-1/artwork" src="/img/default-320x180.svg" alt="Default">'
HEADLINE = '<h2 data-bandit="title-1/headline">Default</h2>'
CARD = """<a data-bandit="title-2" href="/nowhere"><img src="/img/default-320x180.svg" alt="">
<h3>Default</h3><p>Always here</p></a>"""
SHIFTS = """window.shifts = []; window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
new PerformanceObserver((list) => shifts.push(...list.getEntries().map((entry) => entry.value)))
  .observe({ type: "layout-shift", buffered: true });"""
"""What moves by itself, and what the page's policy forbade."""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PAINTED = """performance.getEntriesByType("paint").length
  && [...document.images].every((image) => image.naturalWidth)"""


def shifts(visit: Visit) -> list[float]:
    """Every layout shift so far, of what was painted by now."""
    for _ in range(3):
        visit.page.evaluate(FRAMES)
    found: list[float] = visit.page.evaluate("shifts")
    return found


def seen(visit: Visit) -> None:
    """Wait until all of a page is painted, and forget what moved by then."""
    visit.page.wait_for_function(PAINTED)
    shifts(visit)
    visit.page.evaluate("shifts.length = 0")


def after_painting(visit: Visit, body: str, state: str = "shown") -> None:
    """Open a page whose answer comes only when its own content was seen."""
    visit.context.add_init_script(SHIFTS)
    visit.service.hold("/v1/decide/page")
    visit.open(body)
    seen(visit)
    visit.service.let_go("/v1/decide/page")
    visit.state("[data-bandit]", state)


# -- pictures, headlines, cards


def test_all_slots_of_a_page_are_asked_for_at_once_and_shown(visit: Visit) -> None:
    visit.open(PICTURE + HEADLINE + CARD)

    for selector in ("img", "h2", "a"):
        visit.state(selector, "shown")
    assert visit.page.get_attribute("img", "src") == f"{visit.website.url}/img/variant-320x180.svg"
    assert visit.page.get_attribute("img", "alt") == "The variant"
    assert visit.text("h2") == "The variant's line"
    assert visit.text("h3") == "A card"
    assert visit.text("p") == "Always here"
    assert visit.page.get_attribute("a", "href") == f"{visit.website.url}/there"
    (asked,) = visit.service.calls("/v1/decide/page")
    names = [slot["placement"] for slot in asked["slots"]]
    assert names == ["title-1.artwork", "title-1.headline", "title-2"]
    assert visit.errors == []
    assert visit.warnings() == []


def test_a_page_with_more_slots_than_a_request_may_have_asks_again(visit: Visit) -> None:
    many = "".join(f'<h4 data-bandit="s{n}">Default</h4>' for n in range(60))

    visit.open(many + HEADLINE)

    visit.state("h2", "shown")
    assert sorted(len(b["slots"]) for b in visit.service.calls("/v1/decide/page")) == [11, 50]


def test_elements_of_one_placement_show_one_decision(visit: Visit) -> None:
    visit.open('<h2 data-bandit="choice">1</h2><h3 data-bandit="choice">2</h3>')

    visit.state("h2", "shown")
    visit.state("h3", "shown")
    assert visit.text("h2") == visit.text("h3")
    assert len(visit.service.decisions()) == 1


def test_a_heading_keeps_the_link_that_it_holds(visit: Visit) -> None:
    visit.open('<h2 data-bandit="title-2"><a href="/nowhere">Default</a></h2>')

    visit.state("h2", "shown")
    assert visit.text("h2 > a") == "A card"
    assert visit.page.get_attribute("h2 > a", "href") == f"{visit.website.url}/there"


def test_a_picture_with_sources_of_its_own_shows_the_variant(visit: Visit) -> None:
    visit.open(
        '<picture><source srcset="/img/default-640x360.svg"><img data-bandit="title-1/artwork" '
        'src="/img/default-320x180.svg" srcset="/img/default-320x180.svg 2x" alt=""></picture>'
    )

    visit.state("img", "shown")
    visit.page.wait_for_function("document.querySelector('img').currentSrc.includes('variant')")


@pytest.mark.parametrize("placement", ["nowhere", "paused", "choice"])
def test_a_slot_without_anything_to_show_keeps_its_own_and_the_others_go_on(
    visit: Visit, placement: str
) -> None:
    # "choice" has headlines alone, and the element is a picture
    visit.open(f'<img data-bandit="{placement}" src="/img/default-320x180.svg" alt="">' + HEADLINE)

    visit.state("h2[data-bandit]", "shown")
    visit.state("img", "default")
    assert visit.page.get_attribute("img", "src") == "/img/default-320x180.svg"
    assert visit.errors == []


# -- nothing but text and web addresses


def test_a_headline_with_markup_stays_text(visit: Visit) -> None:
    visit.open('<h2 data-bandit="markup">Default</h2>')

    visit.state("h2", "shown")
    assert visit.page.evaluate("document.querySelector('h2').textContent") == MARKUP
    assert visit.page.evaluate("document.querySelector('h2').childElementCount") == 0
    assert visit.page.title() == "A page"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:document.title='owned'",
        " javascript:document.title='owned'",
        "java\nscript:document.title='owned'",
        "data:text/html,<script>parent.document.title='owned'</script>",
        "vbscript:x",
        "blob:http://127.0.0.1/1",
        "file:///etc/passwd",
        "http://[",
    ],
)
def test_an_address_that_is_none_of_the_web_is_never_set(visit: Visit, address: str) -> None:
    # given an answer that no service of ours would give
    def hostile(route: Route) -> None:
        variant = {"id": "v", "headline": "Line", "image_url": address, "target_url": address}
        slots = [
            {"decision": "x", "placement": slot["placement"], "variant": variant, "logged": False}
            for slot in json.loads(route.request.post_data or "")["slots"]
        ]
        route.fulfill(json={"slots": slots}, headers={"Access-Control-Allow-Origin": "*"})

    visit.context.route("**/v1/decide/page", hostile)
    visit.open(PICTURE + CARD)

    visit.state("a", "shown")
    visit.state("img[data-bandit]", "default")
    assert visit.text("h3") == "Line"
    assert visit.page.get_attribute("a", "href") == "/nowhere"
    assert visit.page.get_attribute("a img", "src") == "/img/default-320x180.svg"
    assert visit.page.get_attribute("img[data-bandit]", "src") == "/img/default-320x180.svg"
    assert visit.page.title() == "A page"


# -- the room that there was


SPOT = "<img src='/img/default-9x9.svg' alt=''>"
"""Something small to wait for."""
LONG = f'<h2 data-bandit="long" style="width: 400px">Default</h2>{SPOT}'
BODIES = {
    "picture": '<img data-bandit="tall" src="/img/default-320x180.svg" alt="">',
    "picture in a fluid box": """<img data-bandit="tall" src="/img/default-320x180.svg" alt=""
        width=320 height=180 style="width: 50%; height: auto">""",
    "longer line": LONG,
    "shorter line": """<h2 data-bandit="title-1/headline" style="width: 300px">The own headline of
        this page, which takes several lines in the room that it has</h2>""",
    "card": """<a data-bandit="title-2" href="/"><img src="/img/default-200x300.svg" alt="">
        <h3>Default</h3></a>""",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_nothing_moves_when_the_variant_takes_the_place_of_what_was_seen(
    visit: Visit, body: str
) -> None:
    after_painting(visit, f"{body}{SPOT}<p>Below</p>" * 2)

    assert shifts(visit) == []
    assert visit.errors == []


def test_without_the_tag_the_same_change_would_move_the_page(visit: Visit) -> None:
    visit.context.add_init_script(SHIFTS)
    visit.open('<img src="/img/default-320x180.svg" alt=""><p>Below</p>', tag="<!-- none -->")
    seen(visit)

    visit.page.evaluate("document.querySelector('img').src = '/img/tall-180x640.svg'")
    visit.page.wait_for_function("document.querySelector('img').naturalHeight === 640")

    assert sum(shifts(visit)) > 0.01


def test_a_long_headline_is_made_to_fit_and_all_of_it_stays_in_the_page(visit: Visit) -> None:
    after_painting(
        visit,
        '<h2 data-bandit="long" style="width: 400px">Default</h2><img src="/img/default-9x9.svg">',
    )

    size = visit.page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('h2 > span')).fontSize)"
    )
    assert 0.65 * 24 < size < 24
    assert visit.text("h2").startswith("A much longer line")
    assert len(visit.page.evaluate("document.querySelector('h2').textContent")) > 100


def test_a_window_that_changes_its_height_alone_moves_nothing(visit: Visit) -> None:
    after_painting(
        visit,
        '<h2 data-bandit="long" style="width: 400px">Default</h2><img src="/img/default-9x9.svg">',
    )

    visit.page.set_viewport_size({"width": 1000, "height": 640})
    visit.page.wait_for_function("innerHeight === 640")
    visit.page.evaluate(FRAMES)

    assert visit.page.evaluate("document.querySelector('h2').style.minHeight") != ""


def test_a_page_that_changes_its_width_lets_headlines_flow_again(visit: Visit) -> None:
    after_painting(
        visit,
        '<h2 data-bandit="long" style="width: 400px">Default</h2><img src="/img/default-9x9.svg">',
    )

    visit.page.set_viewport_size({"width": 500, "height": 700})

    visit.page.wait_for_function("!document.querySelector('h2').style.minHeight")
    assert visit.page.evaluate("document.querySelector('h2').childElementCount") == 0
    assert visit.page.get_attribute("h2", "style") == "width: 400px;"


def test_many_headlines_are_fitted_in_few_layouts(visit: Visit) -> None:
    # given as many slots as one answer has, of which some need less room than there is
    names = ("long", "choice", "title-2", "title-1/headline", "markup")
    many = "".join(f'<h4 data-bandit="{name}" style="width: 200px">D</h4>' for name in names * 10)
    visit.context.add_init_script(SHIFTS)
    visit.service.hold("/v1/decide/page")
    visit.open(many + SPOT)
    seen(visit)
    browser = visit.context.new_cdp_session(visit.page)
    browser.send("Performance.enable")
    before = layouts(browser)

    # when they are shown
    visit.service.let_go("/v1/decide/page")
    visit.page.wait_for_function(
        "document.querySelectorAll('[data-bandit-state=shown]').length === 50"
    )

    # then the browser has measured the page a few times, and nothing has moved
    assert layouts(browser) - before < 25
    assert shifts(visit) == []


def layouts(browser: CDPSession) -> float:
    """How often the browser has laid the page out."""
    metrics = browser.send("Performance.getMetrics")["metrics"]
    found: dict[str, float] = {metric["name"]: metric["value"] for metric in metrics}
    return found["LayoutCount"]


# -- elements that come later, pages that come back


def test_elements_that_come_later_are_asked_for_and_never_seen_before_their_answer(
    visit: Visit,
) -> None:
    visit.open(HEADLINE)
    visit.state("h2", "shown")
    visit.service.hold("/v1/decide/page")

    seen: list[str] = visit.page.evaluate(
        """async (html) => {
          document.body.insertAdjacentHTML("beforeend", `<div>${html}</div>`);
          const visible = [];
          for (let n = 0; n < 5; n++) {
            await new Promise(requestAnimationFrame);
            visible.push(getComputedStyle(document.querySelector("img")).visibility);
          }
          return visible;
        }""",
        PICTURE,
    )
    visit.service.let_go("/v1/decide/page")
    visit.state("img", "shown")

    assert set(seen) == {"hidden"}
    assert visit.page.evaluate("document.querySelector('img').style.visibility") == ""
    assert [len(b["slots"]) for b in visit.service.calls("/v1/decide/page")] == [1, 1]


def test_an_element_that_comes_later_shows_what_its_placement_shows_already(visit: Visit) -> None:
    visit.open('<h2 data-bandit="choice">Default</h2>')
    visit.state("h2", "shown")

    visit.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<h3 data-bandit=choice>Default</h3>')"
    )

    visit.state("h3", "shown")
    assert visit.text("h3") == visit.text("h2")
    assert len(visit.service.decisions()) == 1


def test_an_element_of_a_placement_that_was_refused_is_never_hidden(visit: Visit) -> None:
    visit.open('<h2 data-bandit="nowhere">Default</h2>')
    visit.state("h2", "default")

    visit.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<h3 data-bandit=nowhere>Default</h3>')"
    )

    visit.state("h3", "default")
    assert visit.page.evaluate("document.querySelector('h3').style.visibility") == ""
    assert len(visit.service.calls("/v1/decide/page")) == 1


def test_an_element_that_is_taken_out_and_put_back_shows_what_it_did(visit: Visit) -> None:
    visit.open('<p></p><h2 data-bandit="choice">Default</h2>')
    visit.state("h2", "shown")
    line = visit.text("h2")

    visit.page.evaluate(
        """async () => {
          const element = document.querySelector("h2");
          element.remove();
          await new Promise(requestAnimationFrame);
          element.removeAttribute("data-bandit-state");
          document.querySelector("p").after(element);
        }"""
    )

    visit.state("h2", "shown")
    assert visit.text("h2") == line
    visit.page.click("h2")
    visit.service.until(lambda: ("choice", "click") in visit.service.events())
    assert len(visit.service.decisions()) == 1


def test_an_element_that_is_given_another_placement_shows_that(visit: Visit) -> None:
    visit.open(HEADLINE)
    visit.state("h2", "shown")

    visit.page.evaluate("document.querySelector('h2').dataset.bandit = 'title-2'")

    visit.page.wait_for_function("document.querySelector('h2').textContent === 'A card'")


def test_a_page_that_is_restored_shows_and_reports_what_it_did(visit: Visit) -> None:
    # given a page that was left, and kept whole by the browser
    visit.put("Elsewhere", path="/elsewhere", tag="<!-- none -->")
    visit.open('<h2 data-bandit="choice">Default</h2>')
    visit.page.evaluate("addEventListener('pageshow', (e) => { window.back = e.persisted })")
    visit.state("h2", "shown")
    line = visit.text("h2")
    visit.page.goto(f"{visit.website.url}/elsewhere")

    # when the visitor comes back and clicks
    visit.page.evaluate("history.back()")
    visit.page.wait_for_function("window.back")
    visit.page.click("h2")

    # then it is the same decision
    visit.service.until(lambda: ("choice", "click") in visit.service.events())
    assert visit.text("h2") == line
    assert len(visit.service.decisions()) == 1
    assert len(visit.service.calls("/v1/decide/page")) == 1


def test_a_page_that_is_prerendered_asks_only_once_it_is_shown(visit: Visit) -> None:
    visit.context.add_init_script(
        """window.early = true;
        Object.defineProperty(document, "prerendering", { get: () => window.early });"""
    )
    visit.open(HEADLINE)
    visit.page.wait_for_function("window.bandit")
    visit.page.evaluate(FRAMES)
    assert visit.service.calls("/v1/decide/page") == []

    visit.page.evaluate(
        "window.early = false; document.dispatchEvent(new Event('prerenderingchange'))"
    )

    visit.state("h2", "shown")
    assert len(visit.service.calls("/v1/decide/page")) == 1


# -- who visits


def test_a_page_that_says_who_visits_shows_the_change_at_once(visit: Visit) -> None:
    visit.open('<h2 data-bandit="choice">Default</h2>')
    visit.state("h2", "shown")

    visit.page.evaluate(
        "bandit.setVisitor({ id: 7, traits: { genres: ['romance'] }, context: { channel: 'app' } })"
    )

    visit.service.until(lambda: len(visit.service.calls("/v1/decide/page")) == 2)
    first, second = visit.service.calls("/v1/decide/page")
    assert (first["traits"], second["traits"]) == ({}, {"genres": ["romance"]})
    assert (second["visitor"], second["context"]["channel"]) == ("7", "app")
    assert visit.service.decisions()[1].persona == "romantic"


def test_what_a_page_says_before_the_tag_is_there_counts(visit: Visit) -> None:
    early = "<script>(window.bandit ||= []).push(['setVisitor', {persona: 'romantic'}])</script>"

    visit.open(HEADLINE, tag=early + visit.tag())

    visit.state("h2", "shown")
    (asked,) = visit.service.calls("/v1/decide/page")
    assert asked["persona"] == "romantic"


def test_persona_traits_and_context_may_be_attributes(visit: Visit) -> None:
    tag = visit.tag(
        data_visitor="ann",
        data_traits='{"genres": ["romance"]}',
        data_context='{"country": "PT", "device": "tv"}',
    )

    visit.open(HEADLINE, tag=tag)

    visit.state("h2", "shown")
    (asked,) = visit.service.calls("/v1/decide/page")
    assert (asked["visitor"], asked["traits"]) == ("ann", {"genres": ["romance"]})
    assert asked["context"].items() >= {"country": "PT", "device": "tv", "channel": "web"}.items()
    assert 0 <= asked["context"]["hour"] < 24


# -- two tags, and a strict policy


def test_the_same_tag_twice_is_one(visit: Visit) -> None:
    visit.open(HEADLINE, tag=visit.tag() * 2)

    visit.state("h2", "shown")
    visit.page.click("h2")
    visit.service.until(lambda: len(visit.service.events()) == 2)
    assert len(visit.service.calls("/v1/decide/page")) == 1
    assert len(visit.service.decisions()) == 1
    assert sorted(visit.service.events()) == [
        ("title-1.headline", "click"),
        ("title-1.headline", "impression"),
    ]


def test_two_tags_each_show_their_own_elements(visit: Visit) -> None:
    other, _ = visit.service.services.keys.create("main", "site", origins=(visit.website.url,))
    visit.service.services.refresh()
    second = visit.tag(data_key=other, data_attribute="data-shop", id="shop")

    visit.open(HEADLINE + '<h3 data-shop="title-2">Default</h3>', tag=visit.tag() + second)

    visit.state("h2", "shown")
    visit.page.wait_for_selector("h3[data-shop-state=shown]")
    asked = {body["key"]: body["slots"] for body in visit.service.calls("/v1/decide/page")}
    assert asked == {
        visit.key: [{"placement": "title-1.headline"}],
        other: [{"placement": "title-2"}],
    }
    assert visit.page.evaluate("bandit !== document.querySelector('#shop').bandit")
    assert visit.errors == []


def test_two_tags_that_want_the_same_elements_are_said_to(visit: Visit) -> None:
    visit.open(HEADLINE, tag=(visit.tag() + visit.tag(data_key="another")).replace(" async", ""))

    visit.state("h2", "shown")
    visit.page.wait_for_load_state("load")
    assert len([text for text in visit.warnings() if "two tags" in text]) == 1


def test_the_tag_works_under_a_strict_policy_with_a_nonce(visit: Visit) -> None:
    policy = (
        f"default-src 'none'; script-src 'nonce-r4nd0m' 'strict-dynamic'; base-uri 'none'; "
        f"connect-src {visit.service.url}; img-src {visit.website.url}; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    visit.context.add_init_script(SHIFTS)

    visit.open(
        PICTURE + HEADLINE + CARD + '<h4 data-bandit="long">Default</h4>',
        tag=visit.tag(nonce="r4nd0m"),
        Content_Security_Policy=policy,
    )

    for selector in ("img", "h2", "a", "h4"):
        visit.state(selector, "shown")
    visit.page.click("h2")
    visit.service.until(lambda: ("title-1.headline", "click") in visit.service.events())
    assert visit.page.evaluate("violations") == []
    assert visit.errors == []


def test_a_policy_that_forbids_the_service_leaves_the_page_as_it_is(visit: Visit) -> None:
    visit.open(
        HEADLINE,
        tag=visit.tag(nonce="r4nd0m"),
        Content_Security_Policy="script-src 'nonce-r4nd0m'; connect-src 'none'",
    )

    visit.state("h2", "default")
    visit.page.wait_for_function("window.bandit")
    assert visit.text("h2") == "Default"
    assert visit.errors == []


def test_nothing_of_what_was_shown_is_told_as_the_pages_own(visit: Visit) -> None:
    visit.open(PICTURE + HEADLINE)

    visit.service.until(lambda: len(visit.service.events()) == 2)
    assert DEFAULT_SHOWN not in {kind for _, kind in visit.service.events()}
