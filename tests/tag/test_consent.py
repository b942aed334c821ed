"""Without consent nothing of the visitor is kept or sent; with it, all that the page knows."""

from __future__ import annotations

import pytest

from tests.tag.conftest import Visit

HEADLINE = '<h2 data-bandit="title-1/headline">Default</h2>'
DECIDE = "/v1/decide/page"
STORED = "Object.keys(localStorage).length + Object.keys(sessionStorage).length"


@pytest.mark.parametrize("consent", [None, "no", "", "true"])
def test_without_consent_the_situation_alone_is_sent_and_nothing_is_kept(
    visit: Visit, consent: str | None
) -> None:
    tag = visit.tag(
        data_consent=consent,
        data_visitor="ann",
        data_persona="romantic",
        data_traits='{"genres": ["romance"]}',
        data_context='{"country": "PT"}',
    )

    visit.open(HEADLINE, tag=tag)
    visit.state("h2", "shown")
    visit.page.click("h2")
    visit.service.until(lambda: ("title-1.headline", "click") in visit.service.events())

    (asked,) = visit.service.calls(DECIDE)
    assert set(asked) == {"key", "context", "counts", "partial", "slots"}
    assert set(asked["context"]) == {"channel", "device", "hour", "country"}
    (decision,) = visit.service.decisions()
    assert (decision.visitor, decision.persona, decision.traits) == (None, "unknown", {})
    assert visit.page.evaluate(STORED) == 0
    assert visit.context.cookies() == []


def test_with_consent_a_visitor_is_known_again_on_the_next_page(visit: Visit) -> None:
    for path in ("/one", "/two"):
        visit.open(HEADLINE, path=path)
        visit.state("h2", "shown")

    first, second = visit.service.calls(DECIDE)
    assert first["visitor"] == second["visitor"]
    assert len(first["visitor"]) > 20
    assert {d.visitor for d in visit.service.decisions()} != {None}


def test_consent_may_be_given_on_the_page(visit: Visit) -> None:
    visit.open(HEADLINE, tag=visit.tag(data_consent=None, data_persona="romantic"))
    visit.state("h2", "shown")

    visit.page.evaluate("bandit.consent(true); bandit.refresh()")
    visit.service.until(lambda: len(visit.service.calls(DECIDE)) == 2)

    before, after = visit.service.calls(DECIDE)
    assert "visitor" not in before
    assert (bool(after["visitor"]), after["persona"]) == (True, "romantic")


@pytest.mark.parametrize("before", ["yes", None])
def test_consent_that_is_withdrawn_leaves_nothing_behind(visit: Visit, before: str | None) -> None:
    # given what an earlier page kept, and something of the page's own
    visit.open(HEADLINE)
    visit.state("h2", "shown")
    visit.page.click("h2")
    visit.page.evaluate("localStorage.theirs = 1")
    visit.open(HEADLINE, path="/next", tag=visit.tag(data_consent=before))
    visit.state("h2", "shown")

    visit.page.evaluate("bandit.consent(false)")
    visit.page.evaluate("bandit.refresh()")
    visit.service.until(lambda: len(visit.service.calls(DECIDE)) == 3)

    assert visit.page.evaluate("Object.keys(localStorage)") == ["theirs"]
    assert visit.page.evaluate("Object.keys(sessionStorage)") == []
    assert "visitor" not in visit.service.calls(DECIDE)[-1]


def test_a_browser_that_refuses_storage_to_the_page_gets_its_variants_all_the_same(
    visit: Visit,
) -> None:
    visit.context.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"]) {
          Object.defineProperty(window, name, { get() { throw new DOMException("no"); } });
        }"""
    )

    visit.open(HEADLINE)
    visit.state("h2", "shown")
    visit.page.click("h2")

    visit.service.until(lambda: ("title-1.headline", "click") in visit.service.events())
    assert visit.errors == []
