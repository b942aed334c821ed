"""Who is signed in: what a browser keeps of it, and what is made of that.

A cookie holds the fingerprint of the key that was presented (the first half of its digest, which
opens nothing), when that was, and 16 random bytes; it is signed with a key derived from the site's
secret, which all workers share. Nothing is stored: every request asks the key ring anew, so a
revoked or expired key ends its sign-ins with it. Rejected: sessions in Redis (one more thing to
read for every page, and to clean up), and Flask's own (one secret for all sites, to be configured).

The cookie is ``__Host-``: browsers take it from this host alone, never from a neighbour's domain,
and only where the connection is safe; to browsers ``http://localhost`` is. It ends with the
browser, or after SESSION_SECONDS.

Every form carries a token derived from the same random bytes. Who signs in again with the same key
keeps the bytes, so a form that waited in another window can still be sent.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec
from itsdangerous import BadSignature, Signer

from bandit_service.access import KeyRecord, fingerprint_of
from bandit_service.errors import NotAuthenticated
from bandit_service.services import Services

COOKIE: Final = "__Host-desk"
VISIT_COOKIE: Final = "__Host-desk-visit"
"""Kept from before anybody signs in, so that the form for it has a token too."""
SESSION_SECONDS: Final = 12 * 3600
"""How long a sign-in lasts, in seconds: a working day."""
NONCE_BYTES: Final = 16
_MAX_COOKIE: Final = 512
"""Longest cookie that is looked at, in characters."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """What the cookie holds."""

    fingerprint: str
    at: int
    """When the key was presented, in ms since the Unix epoch."""
    nonce: bytes


class SignedIn(NamedTuple):
    """Somebody who signed in."""

    key: KeyRecord
    token: str
    """What their forms must carry."""


class Sessions:
    """Makes and reads the cookies of one process."""

    def __init__(self, services: Services) -> None:
        """Ask ``services`` for keys, secrets and the time."""
        self._services = services

    def begin(self, key: str, before: str | None) -> str:
        """The cookie of whoever presented ``key``; ``before`` is the one that they have, if any.

        Raises:
            NotAuthenticated: if the key is not valid.
            NotAllowed: if it is a website's.
        """
        fingerprint = fingerprint_of(key)
        record = self._services.recall(fingerprint, "editor")
        nonce = self._services.entropy(NONCE_BYTES)
        with suppress(NotAuthenticated):
            known = self._read(before or "")
            nonce = known.nonce if known.fingerprint == fingerprint else nonce
        kept = _Kept(fingerprint, self._services.clock(), nonce)
        return self._signer(record).sign(_text(kept)).decode()

    def resume(self, cookie: str) -> SignedIn:
        """Whoever the cookie is of.

        Raises:
            NotAuthenticated: if it is not one of ours, too old, or its key is not valid any more.
            NotAllowed: if its key is now a website's.
        """
        kept = self._read(cookie)
        if self._services.clock() - kept.at > SESSION_SECONDS * 1000:
            raise NotAuthenticated("you were signed out after a working day", code="signed_out")
        record = self._services.recall(kept.fingerprint, "editor")
        return SignedIn(record, self._token(record, kept.nonce))

    def _read(self, cookie: str) -> _Kept:
        """What a cookie says, however old it is.

        Raises:
            NotAuthenticated: if it is not signed by us, or its key is not valid any more.
        """
        text = cookie.rpartition(".")[0]
        try:
            kept = msgspec.json.decode(bytes.fromhex(text[:_MAX_COOKIE]), type=_Kept)
            record = self._services.recall(kept.fingerprint, "site")
            self._signer(record).unsign(cookie)
        except (ValueError, msgspec.MsgspecError, BadSignature) as exc:
            raise NotAuthenticated("this is not a sign-in of ours", code="signed_out") from exc
        return kept

    def _signer(self, record: KeyRecord) -> Signer:
        return Signer(
            self._secret(record),
            salt="sign-in",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def _token(self, record: KeyRecord, nonce: bytes) -> str:
        return hmac.new(self._secret(record), b"form" + nonce, hashlib.sha256).hexdigest()

    def _secret(self, record: KeyRecord) -> bytes:
        return self._services.view(record.site).secret.sign_in


def same(token: str, sent: str | None) -> bool:
    """Whether a form carries the token that it must."""
    return hmac.compare_digest(token.encode(), (sent or "").encode("utf-8", "surrogatepass"))


def _text(kept: _Kept) -> str:
    return msgspec.json.encode(kept).hex()
