"""Keys: who may ask for what, of which site.

A key is ``bk_<site>_<43 random characters>`` and is shown once, when it is made. What is stored
is its SHA-256 and what it may do: the key has 256 bits of randomness, so a slow hash would protect
nothing that a fast one does not, and every request would pay for it. Looking up a digest compares
no secret byte by byte, so timing tells nothing.

Roles, each with the rights of those before it:

    site     decide and report events; may sit in a web page
    editor   the catalog and reports
    admin    everything of its site
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final, Literal

import msgspec

from bandit_service.errors import InvalidInput, NotAllowed, NotAuthenticated

Role = Literal["site", "editor", "admin"]
ROLES: Final[tuple[Role, ...]] = ("site", "editor", "admin")
SITE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_MEMO: Final = 1_000
"""Presented keys whose digest is remembered by a process."""


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

    def allow(self, role: Role) -> None:
        """Raise NotAllowed unless this key has the rights of ``role``."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise NotAllowed(
                f"this needs a key with the role {role!r}; this one is a {self.role!r} key",
                hint=f"make one: bandit-service keys create --role {role}",
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


def make_key(site: str, role: Role, *, label: str, at: int, entropy: str) -> tuple[str, KeyRecord]:
    """A new key, and the record to store under ``digest_of(key)``.

    ``entropy`` is 32 random bytes as text, from ``random_part``.
    """
    key = f"bk_{check_site(site)}_{entropy}"
    record = KeyRecord(id=digest_of(key)[:8], site=site, role=role, created=at, label=label)
    return key, record


def random_part() -> str:
    """32 random bytes in URL-safe base64."""
    return secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """The digest under which a key's record is stored."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRing:
    """The valid keys as a process knows them; replaced whole when they change."""

    def __init__(self, records: dict[str, bytes]) -> None:
        """``records`` are encoded ``KeyRecord`` values by digest."""
        decoded = {d: msgspec.json.decode(data, type=KeyRecord) for d, data in records.items()}
        self._valid = {d: record for d, record in decoded.items() if record.revoked is None}
        self._memo: dict[str, KeyRecord] = {}

    def authenticate(self, authorization: str | None, role: Role) -> KeyRecord:
        """The record of the key in an ``Authorization`` header, if it has the rights of ``role``.

        Raises:
            NotAuthenticated: if there is no valid key.
            NotAllowed: if its role does not reach.
        """
        record = self._memo.get(authorization or "") or self._find(authorization)
        record.allow(role)
        return record

    def _find(self, authorization: str | None) -> KeyRecord:
        scheme, _, key = (authorization or "").partition(" ")
        record = self._valid.get(digest_of(key.strip()))
        if scheme.lower() != "bearer" or record is None or authorization is None:
            raise NotAuthenticated(
                "a valid key is missing",
                hint="send 'Authorization: Bearer KEY'; keys come from: bandit-service keys create",
            )
        if len(self._memo) < _MEMO:
            self._memo[authorization] = record
        return record
