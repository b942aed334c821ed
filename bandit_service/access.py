"""Keys: who may ask for what, of which site.

A key is ``bk_<site>_<43 random characters>`` and is shown once, when it is made. What is stored
is its SHA-256 and what it may do: the key has 256 bits of randomness, so a slow hash would protect
nothing that a fast one does not, and every request would pay for it.

Timing tells nothing: what was presented is hashed whole before anything is compared, a record is
looked up by the first half of the digest, and the other half is compared in constant time. Digests
are no secrets, and whoever can choose one cannot choose the key behind it. A memory of keys as they
were presented was rejected: it compares the keys themselves, to save a microsecond.

Roles, each with the rights of those before it:

    site     decide and report events; may sit in a web page
    editor   the catalog and reports
    admin    everything of its site

A key for web pages names its *origins* (``https://shop.example``): whoever sends it must say, as
browsers do with every POST, that it comes from one of them. A key without origins is for servers
and gets no leave from CORS, so a page that holds one cannot read what it is answered.

A key that was *rotated* goes on until it expires, beside its successor.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from bandit_service.errors import InvalidInput, NotAllowed, NotAuthenticated

Role = Literal["site", "editor", "admin"]
ROLES: Final[tuple[Role, ...]] = ("site", "editor", "admin")
SITE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
NOTICED_SECONDS: Final = 2.0
"""Within how long every serving process has noticed what changed in the store, in seconds."""
MAX_ORIGINS: Final = 32
"""Most origins of one key."""
_MAX_HEADER: Final = 512
"""Longest ``Authorization`` that may hold a key, in characters."""
_HALF: Final = 16
"""Bytes of a digest by which its record is looked up; the other half is compared."""
_ORIGIN: Final = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a key."""

    id: str
    """First eight digits of the digest: names the key in lists and in the log."""
    site: str
    role: Role
    created: int
    """Milliseconds since the Unix epoch."""
    label: str = ""
    revoked: int | None = None
    origins: tuple[str, ...] = ()
    """Where the web pages are from that may use it; none: it is for servers."""
    expires: int | None = None
    """When it ends, in ms since the Unix epoch; None: never."""

    def valid(self, now: int) -> bool:
        """Whether it opens anything at ``now`` (ms)."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def allow(self, role: Role) -> None:
        """Raise NotAllowed unless this key has the rights of ``role``."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise NotAllowed(
                f"this needs a key with the role {role!r}; this one is a {self.role!r} key",
                hint=f"make one: bandit-service keys create --role {role}",
            )

    def admit(self, origin: str | None) -> None:
        """Raise NotAllowed unless this key may be used by pages of ``origin``."""
        if self.origins and origin not in self.origins:
            raise NotAllowed(
                "this key is for web pages of its own origins"
                + (", and the request names none" if origin is None else f", not {origin[:200]!r}"),
                field="Origin",
                hint="use the key in a page of an origin it was made for; a server needs a key "
                "made without --origin",
            )


def check_site(site: str) -> str:
    """Return ``site`` if a site may be called so.

    Raises:
        InvalidInput: if not.
    """
    if not SITE_NAME.fullmatch(site):
        raise InvalidInput(
            f"{site[:80]!r} cannot be the name of a site",
            field="site",
            hint="use 1 to 32 lower-case letters, digits or '-'",
        )
    return site


def check_origin(origin: str) -> str:
    """``origin`` as browsers send it: lower-case, without a path, without the usual port.

    Raises:
        InvalidInput: if it is not the origin of web pages.
    """
    lowered = origin.strip().lower()
    try:
        parts = urlsplit(lowered)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    written = origin.isascii() and _ORIGIN.fullmatch(lowered)
    if not written or not (parts.hostname or "").strip("."):
        raise InvalidInput(
            f"{origin[:200]!r} is not the origin of web pages",
            field="origin",
            hint="give scheme and host, such as https://shop.example or http://localhost:3000; "
            "one for each, without path or '*', names beyond ASCII as xn--",
        )
    if port is None:
        return lowered
    shown = "" if port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return lowered.rpartition(":")[0] + shown


def make_key(
    site: str,
    role: Role,
    *,
    label: str,
    at: int,
    entropy: str,
    origins: tuple[str, ...] = (),
) -> tuple[str, KeyRecord]:
    """A new key, and the record to store under ``digest_of(key)``.

    ``entropy`` is 32 random bytes as text, from ``random_part``.

    Raises:
        InvalidInput: if no site may be called so, or the key may not have these origins.
    """
    if origins and role != "site":
        raise InvalidInput(
            f"a key with the role {role!r} does not belong into a web page",
            field="origin",
            hint="name origins for keys with the role 'site' alone",
        )
    checked = tuple(dict.fromkeys(check_origin(origin) for origin in origins))
    if len(checked) > MAX_ORIGINS:
        raise InvalidInput(
            f"{len(checked)} origins are too many",
            field="origin",
            hint=f"at most {MAX_ORIGINS}; make another key",
        )
    key = f"bk_{check_site(site)}_{entropy}"
    record = KeyRecord(
        id=digest_of(key)[:8], site=site, role=role, created=at, label=label, origins=checked
    )
    return key, record


def random_part() -> str:
    """32 random bytes in URL-safe base64."""
    return secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """The digest under which a key's record is stored."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint_of(key: str) -> str:
    """The first half of a key's digest: names the key to ``KeyRing.holder``, and opens nothing."""
    return digest_of(key)[: 2 * _HALF]


class KeyRing:
    """The keys as a process knows them; replaced whole when they change."""

    def __init__(self, records: Mapping[str, bytes], *, clock: Callable[[], int]) -> None:
        """``records`` are encoded ``KeyRecord`` values by digest; ``clock`` gives ms."""
        self._clock = clock
        self._records: dict[bytes, tuple[bytes, KeyRecord]] = {}
        self._by_origin: dict[str, list[KeyRecord]] = {}
        self._by_site: dict[str, list[KeyRecord]] = {}
        for digest, data in records.items():
            record = msgspec.json.decode(data, type=KeyRecord)
            if record.revoked is None:
                raw = bytes.fromhex(digest)
                self._records[raw[:_HALF]] = (raw[_HALF:], record)
                self._by_site.setdefault(record.site, []).append(record)
                for origin in record.origins:
                    self._by_origin.setdefault(origin, []).append(record)

    def authenticate(
        self, authorization: str | None, role: Role, origin: str | None = None
    ) -> KeyRecord:
        """The record of the key in an ``Authorization`` header, if it has the rights of ``role``.

        ``origin`` is what the request says in its ``Origin`` header.

        Raises:
            NotAuthenticated: if there is no valid key.
            NotAllowed: if its role does not reach, or it is for pages of other origins.
        """
        record = self._find(authorization)
        if record is None or (record.expires is not None and not record.valid(self._clock())):
            raise NotAuthenticated(
                "a valid key is missing",
                hint="send 'Authorization: Bearer KEY'; keys come from: bandit-service keys create",
            )
        if record.role != role:
            record.allow(role)
        if record.origins:
            record.admit(origin)
        return record

    def holder(self, fingerprint: str, role: Role) -> KeyRecord:
        """The record of a key that was presented before, by its ``fingerprint_of``.

        For whoever has made sure by other means that it is the holder who comes back.

        Raises:
            NotAuthenticated: if there is no such key, or it is not valid any more.
            NotAllowed: if its role does not reach.
        """
        found = self._records.get(_raw(fingerprint))
        if found is None or not found[1].valid(self._clock()):
            raise NotAuthenticated(
                "the key of this sign-in is not valid any more",
                hint="sign in with another: bandit-service keys create",
            )
        found[1].allow(role)
        return found[1]

    def names(self, origin: str) -> bool:
        """Whether any valid key may be used by pages of ``origin``."""
        return self._any_valid(self._by_origin.get(origin))

    def opens(self, site: str) -> bool:
        """Whether any valid key is of ``site``."""
        return self._any_valid(self._by_site.get(site))

    def _any_valid(self, records: list[KeyRecord] | None) -> bool:
        return records is not None and any(record.valid(self._clock()) for record in records)

    def _find(self, authorization: str | None) -> KeyRecord | None:
        if authorization is None or len(authorization) > _MAX_HEADER:
            return None
        scheme, _, key = authorization.partition(" ")
        raw = hashlib.sha256(key.strip().encode("utf-8", "surrogatepass")).digest()
        found = self._records.get(raw[:_HALF])
        if found is None or not hmac.compare_digest(found[0], raw[_HALF:]):
            return None
        return found[1] if scheme.lower() == "bearer" else None


def _raw(fingerprint: str) -> bytes:
    try:
        return bytes.fromhex(fingerprint)
    except ValueError:
        return b""
