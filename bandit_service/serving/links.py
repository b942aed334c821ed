"""Addresses for where no script runs: a picture and a link in an e-mail or a notification.

Everybody who gets the e-mail can read them, so they hold no key. They hold a *token*, which an
editor makes for one placement: the placement, the channel, what is always true of those readers
(a persona, where the e-mail is for one), the site's own address, and when it ends; signed with the
site's secret. Beside it stands the reader's id, which the e-mail's program fills in: the same in
both addresses, so that a click belongs to the decision that the picture made, without cookies.

    /i/TOKEN/READER    decides when the picture is fetched, and redirects to it
    /c/TOKEN/READER    counts a click, and redirects to where the variant that was shown leads

Who has a token can ask and report for that placement under any reader's id: as much as with a key
in a page, and for one placement. A forged token is refused without asking the store. A redirect
leads nowhere but to what editors have registered: a variant's picture or target, or the token's
own home. A reader's id should be opaque, since it stands in addresses that are logged on the way;
one with other characters than ids need (an e-mail address, a field that was not filled in) is not
taken for anybody's: nothing is decided or counted then.

Rejected: a token for each reader (the programs that send e-mails fill in fields, they do not sign);
the key of a page in the address (it reaches further); a cookie (most e-mail programs keep none).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Collection
from hmac import compare_digest
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from bandit_service.catalog.limits import MAX_URL, WEBSITE, Website, said
from bandit_service.catalog.model import Placement, Variant
from bandit_service.errors import InvalidInput, NotFound
from bandit_service.events.identity import SiteSecret
from bandit_service.serving.requests import MAX_NAME, Name, check_text

MAX_DAYS: Final = 3_650
_DAY_MS: Final = 86_400_000
_MAC: Final = 9
"""Bytes of a signature."""
_MAX_TOKEN: Final = 4_096
"""Longest token, in characters."""
_ORIGIN: Final = re.compile(r"\w+://[^/?#]+")
_READER: Final = re.compile(r"[A-Za-z0-9_.~=-]{1,128}")


class LinkSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an editor wants addresses for."""

    home: Website
    """The site's own address: where paths of the catalog begin, and where a click goes that has
    nowhere else to go."""
    channel: Name = "email"
    """The context's ``channel``: email, push, …"""
    persona: Name | None = None
    """The persona of all readers, where the e-mail is for one."""
    days: Annotated[float, said(minimum=1, maximum=MAX_DAYS)] = 365.0
    """How long pictures are chosen and clicks are counted; redirects go on for ever."""


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses below this service's own; ``{reader}`` is to be filled in."""

    token: str
    picture: str
    click: str
    until: int
    """When they end, in ms since the Unix epoch."""


class Link(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a token says."""

    site: str
    placement: str
    home: str
    channel: str
    persona: str | None
    until: int
    """In ms since the Unix epoch."""


def make_links(
    secret: SiteSecret,
    site: str,
    placement: Placement,
    spec: LinkSpec,
    *,
    personas: Collection[str],
    now: int,
) -> Links:
    """Addresses for a placement; ``personas`` are the site's, ``now`` is in ms.

    Raises:
        InvalidInput: if the placement has no pictures, or something of ``spec`` cannot be used.
    """
    if placement.retired:
        raise InvalidInput(f"{placement.id!r} is retired", field="placement", hint="name another")
    if placement.kind == "headline":
        raise InvalidInput(
            f"{placement.id!r} is a placement of headlines: without a script no text can change",
            field="placement",
            hint="name one of thumbnails or cards",
        )
    check_text(spec.channel, MAX_NAME, "channel")
    if spec.persona is not None and spec.persona not in personas:
        raise InvalidInput(
            f"there is no persona {spec.persona[:80]!r}",
            field="persona",
            hint="GET /v1/personas lists them; or leave it out",
        )
    if not 1 <= spec.days <= MAX_DAYS:
        raise InvalidInput(
            f"{spec.days:g} days are out of bounds", field="days", hint=f"use 1 to {MAX_DAYS}"
        )
    until = now + round(spec.days * _DAY_MS)
    link = Link(site, placement.id, _home(spec.home), spec.channel, spec.persona, until)
    token = _token(secret, link)
    picture, click = (f"/{kind}/{token}/{{reader}}" for kind in "ic")
    return Links(token=token, picture=picture, click=click, until=until)


def unverified(token: str) -> tuple[Link, bytes, bytes]:
    """What a token says, what is signed of it, and its signature: nobody has checked that yet.

    Raises:
        NotFound: if it cannot be a token.
    """
    try:
        raw = urlsafe_b64decode(token.encode("ascii")) if len(token) <= _MAX_TOKEN else b""
        body, tag = raw[:-_MAC], raw[-_MAC:]
        link = msgspec.json.decode(body, type=Link)
    except (UnicodeEncodeError, Base64Error, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise no_link() from exc
    if urlsafe_b64encode(raw) != token.encode("ascii"):
        raise no_link()
    return link, body, tag


def check_tag(secret: SiteSecret, body: bytes, tag: bytes) -> None:
    """Raise NotFound unless this site's secret made the signature."""
    if not compare_digest(tag, secret.link_tag(body)):
        raise no_link()


def reader_id(text: str) -> str | None:
    """The reader's id, or None if it can be nobody's."""
    return text if _READER.fullmatch(text) else None


def address(link: Link, url: str | None) -> str | None:
    """A picture's or a target's address as an e-mail needs it: with a host; None if there is none.

    ``url`` is absolute or a path of the website's: see ``catalog.limits.WEB_ADDRESS``.
    """
    origin = _ORIGIN.match(link.home)
    if not url or origin is None:
        return None
    whole = origin[0] + url if url.startswith("/") else url
    return whole if _has_a_host(whole) else None


def leads_to(link: Link, shown: Variant | None, canonical: Variant | None) -> str:
    """Where a click goes: on from what was shown, from the canonical variant, or home."""
    for variant in (shown, canonical):
        target = None if variant is None else address(link, variant.target_url)
        if target is not None:
            return target
    return link.home


def _has_a_host(url: str) -> bool:
    """Whether the host is one that there can be: a name in IDNA's bounds, or an IP address."""
    try:
        parts = urlsplit(url)
        return parts.port != 0 and bool((parts.hostname or "").encode("idna"))
    except ValueError:
        return False


def _token(secret: SiteSecret, link: Link) -> str:
    body = msgspec.json.encode(link)
    padding = b" " * (-(len(body) + _MAC) % 3)  # so that no '=' is in the address
    return urlsafe_b64encode(body + padding + secret.link_tag(body + padding)).decode("ascii")


def _home(url: str) -> str:
    if len(url) > MAX_URL or not WEBSITE.fullmatch(url) or not _has_a_host(url):
        raise InvalidInput(
            f"home {url[:200]!r} is not the address of a website",
            field="home",
            hint="give scheme and host, such as https://shop.example",
        )
    return url


def no_link() -> NotFound:
    """The error for an address that leads nowhere; it never says why."""
    return NotFound(
        "this address is not one that this service made",
        hint="make one: bandit-service catalog links PLACEMENT --home https://shop.example",
    )
