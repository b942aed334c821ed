"""Whom a request comes from, as far as it says: a person, a crawler or a prefetching browser.

A page's own call has an ``Origin``, and its headers are the visitor's browser's: they count, and
scripts cannot change them. A call without one comes from a site's server, whose user agent is its
HTTP library's and stands in every list of crawlers; there ``context.user_agent`` and
``context.purpose`` count, which the server copies from its visitor's request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bandit_service.serving.crawlers import Crawlers, Kind
from bandit_service.serving.page_requests import PageRequest


def kind_of(
    crawlers: Crawlers, environ: dict[str, Any], context: Mapping[str, object]
) -> Kind | None:
    """What a WSGI request with this context comes from; None: from a person."""
    if "HTTP_ORIGIN" not in environ:
        return crawlers.kind(context.get("user_agent"), context.get("purpose"))
    purpose = environ.get("HTTP_SEC_PURPOSE") or environ.get("HTTP_PURPOSE")
    return crawlers.kind(environ.get("HTTP_USER_AGENT"), purpose)


def kind_of_page(crawlers: Crawlers, environ: dict[str, Any], page: PageRequest) -> Kind | None:
    """The same for a page: one visitor, so what any of its slots says holds for all."""
    kind = kind_of(crawlers, environ, page.context)
    for slot in page.slots:
        if kind is None and slot.context:
            kind = kind_of(crawlers, environ, slot.context)
    return kind
