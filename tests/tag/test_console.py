"""What a web developer reads in the console: why nothing shows, once, with the remedy."""

from __future__ import annotations

import pytest

from tests.tag.conftest import Visit

HEADLINE = '<h2 data-bandit="title-1/headline">Default</h2>'
QUIET = {"data_debug": None}


def settled(visit: Visit) -> list[str]:
    """The warnings of a page that keeps its own content, asked twice."""
    visit.state("h2", "default")
    visit.asks_again()
    return visit.warnings()


def test_a_key_of_another_website_is_told_with_the_command_that_makes_one(visit: Visit) -> None:
    # the browser keeps the service's own words from a page that no key names
    key, _ = visit.service.services.keys.create("main", "site", origins=("https://shop.example",))
    for record in visit.service.services.keys.records().values():
        if record.origins == (visit.website.url,):
            visit.service.services.keys.revoke(record.id)
    visit.service.services.refresh()

    visit.open(HEADLINE, tag=visit.tag(**QUIET, data_key=key))

    (warning,) = settled(visit)
    assert visit.service.url in warning
    assert f"bandit-service keys create --role site --origin {visit.website.url}" in warning


def test_a_wrong_key_on_a_page_that_may_ask_is_told_in_the_services_words(visit: Visit) -> None:
    visit.open(HEADLINE, tag=visit.tag(**QUIET, data_key="bk_main_wrong"))

    (warning,) = settled(visit)
    assert "401: a valid key is missing" in warning
    assert f"--origin {visit.website.url}" in warning


def test_a_tag_without_a_key_says_where_keys_come_from(visit: Visit) -> None:
    visit.open(HEADLINE, tag=visit.tag(**QUIET, data_key=None))

    visit.page.wait_for_load_state("load")
    (warning,) = visit.warnings()
    assert "data-key" in warning
    assert "bandit-service keys create" in warning
    assert visit.text("h2") == "Default"
    assert visit.errors == []


def test_a_misspelt_placement_is_told_by_name(visit: Visit) -> None:
    visit.open('<h2 data-bandit="title-1/headlin">Default</h2>', tag=visit.tag(**QUIET))

    (warning,) = settled(visit)
    assert "title-1.headlin" in warning
    assert "register it" in warning


def test_a_persona_that_is_not_there_is_told_once_for_all_slots(visit: Visit) -> None:
    tag = visit.tag(**QUIET, data_persona="pirate")

    visit.open(HEADLINE + '<h3 data-bandit="choice">D</h3>', tag=tag)

    (warning,) = settled(visit)
    assert "pirate" in warning


def test_an_attribute_that_is_no_json_is_told_and_the_rest_goes_on(visit: Visit) -> None:
    visit.open(HEADLINE, tag=visit.tag(**QUIET, data_traits="genres: romance"))

    visit.state("h2", "shown")
    (warning,) = visit.warnings()
    assert "data-traits" in warning
    assert "traits" not in visit.service.calls("/v1/decide/page")[0]


def test_a_page_on_which_all_is_well_says_nothing(visit: Visit) -> None:
    visit.open(HEADLINE, tag=visit.tag(**QUIET))
    visit.state("h2", "shown")
    visit.page.click("h2")
    visit.service.until(lambda: len(visit.service.events()) == 2)

    assert visit.warnings() == []
    assert visit.complaints() == []


@pytest.mark.parametrize("debug", ["", "1"])
def test_debugging_tells_what_is_shown_why_and_what_is_reported(visit: Visit, debug: str) -> None:
    visit.open(HEADLINE, tag=visit.tag(data_debug=debug))
    visit.service.until(visit.service.events)

    told = " ".join(visit.notes())
    assert "title-1.headline shows only" in told
    assert "impression" in told
