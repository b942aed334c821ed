"""Who fetches a picture of an e-mail."""

from __future__ import annotations

import pytest

from bandit_service.serving.crawlers import Crawlers, Kind, TrafficRules
from bandit_service.serving.readers import fetched_by

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Mobile/15E148"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_AHEAD = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
OUTLOOK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Trident/7.0; MSOffice 16) like Gecko"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Edge/12.246"


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        (PHONE, None),
        (OUTLOOK, None),
        (THUNDERBIRD, None),
        (EDGE, None),
        (GMAIL, None),
        (YAHOO, None),
        ("Mozilla/5.0", "prefetch"),
        (GMAIL_AHEAD, "prefetch"),
        ("", "prefetch"),
        ("curl/8.5.0", "crawler"),
        ("Slackbot-LinkExpanding 1.0", "crawler"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "crawler"),
    ],
)
def test_readers_are_told_from_machines_that_come_ahead_of_them(
    agent: str, kind: Kind | None
) -> None:
    assert fetched_by(Crawlers(), agent, None) == kind


def test_a_browser_that_says_that_it_prefetches_is_believed() -> None:
    assert fetched_by(Crawlers(), THUNDERBIRD, "prefetch;prerender") == "prefetch"


def test_a_sites_own_rules_about_crawlers_hold_here_too() -> None:
    rules = TrafficRules(crawlers=["AcmeScanner"], people=["curl/"])

    assert fetched_by(Crawlers(rules), "AcmeScanner/1", None) == "crawler"
    assert fetched_by(Crawlers(rules), "curl/8.5.0", None) is None


def test_a_user_agent_of_any_length_is_judged_at_once() -> None:
    assert fetched_by(Crawlers(), "Mozilla/5.0 " + "x " * 30_000, None) is None
