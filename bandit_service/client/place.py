"""Where the service is: the URL that a website's configuration names, taken apart once."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from bandit_service.errors import InvalidInput

_PORTS: Final = {"http": 80, "https": 443}
_PREFIX: Final = re.compile(r"[!-~]*")
"""What may stand in the first line of a request."""


class Place(NamedTuple):
    """One address of the service."""

    scheme: str
    host: str
    port: int
    prefix: str
    """What comes before ``/v1`` in every path: empty, or begins with a slash and ends without."""

    @property
    def secure(self) -> bool:
        """Whether it is asked over TLS."""
        return self.scheme == "https"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def place_at(url: str) -> Place:
    """The place that a URL names.

    Raises:
        InvalidInput: if it is no http or https URL, or says more than where.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise _wrong(url, str(exc)) from exc
    if parts.scheme not in _PORTS or not host:
        raise _wrong(url, "it is not an http or https URL")
    if parts.username is not None:
        raise _wrong("the one given", "it holds a user name; the key is an argument of its own")
    if parts.query or parts.fragment or not _PREFIX.fullmatch(parts.path):
        raise _wrong(url, "it holds more than scheme, host, port and path")
    # A port of 0 can be written, and nothing listens there.
    chosen = _PORTS[parts.scheme] if port is None else port
    return Place(parts.scheme, host, chosen, parts.path.rstrip("/"))


def _wrong(url: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"url {url[:200]!r} cannot be used: {why}",
        field="url",
        hint="give the service's address, such as http://127.0.0.1:8080",
    )
