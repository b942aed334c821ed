"""Who fetches a picture of an e-mail: its reader, a machine ahead of the reader, or a crawler.

Mail providers fetch pictures from machines of their own. Some do so when the reader opens the
e-mail (Gmail's and Yahoo's proxies): that is a view like any other, though lists of crawlers name
them. Others do so ahead of time, for every e-mail, whether or not anybody will ever look (Apple's
Mail Privacy Protection; Gmail, where a session is open while the e-mail comes in): that is not.

What tells them apart is the user agent, as providers of e-mail services report it: Apple's says
nothing but ``Mozilla/5.0``, Gmail's names a browser of 2015 and ends in ``Mozilla/5.0``. None at
all is no reader's. Rejected: Apple's addresses, which change and would have to be kept up to date;
and the time since the e-mail was sent, which nobody here knows. What pretends to be a reader's
browser, as some scanners of companies do, is taken for one.
"""

from __future__ import annotations

import re
from typing import Final

from bandit_service.serving.crawlers import Crawlers, Kind

_PROXIES: Final = re.compile(r"GoogleImageProxy|YahooMailProxy")
"""Fetch a picture when somebody looks at it."""
_AHEAD: Final = re.compile(r"(Mozilla/5\.0|.* Edge/12\.246 Mozilla/5\.0)?")
"""The whole user agent of who fetches pictures ahead of time."""


def fetched_by(crawlers: Crawlers, agent: str, purpose: str | None) -> Kind | None:
    """What a request with this user agent and purpose comes from; None: from a reader."""
    if _AHEAD.fullmatch(agent):
        return "prefetch"
    if _PROXIES.search(agent):
        return None
    return crawlers.kind(agent, purpose)
