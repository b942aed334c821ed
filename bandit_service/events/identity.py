"""Names that cannot be guessed, forged or traced back: decision ids, pseudonyms, time slots.

A site has one secret of 32 bytes; every use derives its own key from it, so no value of one use
says anything about another, and nothing made for one site is valid for a second.

A decision id is 24 bytes in URL-safe base64: 6 of time (milliseconds), 9 of randomness, 9 of a
keyed BLAKE2b over the first 15. Verifying it needs no look-up; forging one takes 2^72 guesses.
The keys of that hash can be replaced without touching the secret: see ``mac_keys``.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b
from typing import Final

from bandit_service.events.mac_keys import FIRST_RING, Ring

_TIME: Final = 6
_RANDOM: Final = 9
_MAC: Final = 9
DECISION_ENTROPY: Final = _RANDOM
"""Random bytes that a decision id takes."""
DECISION_LENGTH: Final = (_TIME + _RANDOM + _MAC) * 4 // 3
"""Characters of a decision id."""
CANONICAL: Final = "canonical"
"""Stands in an answer that is no decision; being shorter, it can never be one's id."""


class SiteSecret:
    """The secret of one site and what is derived from it."""

    def __init__(self, secret: bytes, ring: Ring = FIRST_RING) -> None:
        """Derive one key a use from ``secret`` (32 bytes); ``ring`` signs decision ids."""
        first = blake2b(b"decision id", key=secret, digest_size=32).digest()
        self._macs = [(mac.since, first if mac.key is None else mac.key) for mac in reversed(ring)]
        self._visitor = blake2b(b"visitor pseudonym", key=secret, digest_size=32).digest()
        self._link = blake2b(b"link", key=secret, digest_size=32).digest()
        self.salt = blake2b(b"draw", key=secret, digest_size=32).digest()
        """Keys the draws; see ``policy.sampling``."""
        self.sign_in = blake2b(b"desk sign-in", key=secret, digest_size=32).digest()
        """Signs what a browser keeps of a sign-in at the desk; see ``web.desk.session``."""

    def new_decision(self, at: int, entropy: bytes) -> str:
        """A decision id for time ``at`` (ms) and 9 random bytes."""
        body = at.to_bytes(_TIME, "big") + entropy[:_RANDOM]
        signing = next((mac for since, mac in self._macs if since <= at), self._macs[-1][1])
        return urlsafe_b64encode(body + _tag(body, signing)).decode("ascii")

    def decision_time(self, decision: str) -> int | None:
        """When a decision was made (ms), or None if this site never issued that id."""
        parts = _parts(decision)
        if parts is None:
            return None
        body, tag = parts
        at = int.from_bytes(body[:_TIME], "big")
        for since, mac in self._macs:
            # Before its time, a key has signed nothing; the oldest signs for clocks that went back.
            may_have = since <= at or mac is self._macs[-1][1]
            if may_have and hmac.compare_digest(tag, _tag(body, mac)):
                return at
        return None

    def link_tag(self, body: bytes) -> bytes:
        """What signs an address in an e-mail: 9 bytes. E-mails stay, so its key never changes."""
        return _tag(body, self._link)

    def pseudonym(self, visitor: str) -> str:
        """The name under which a visitor appears in the log: 16 characters."""
        digest = blake2b(
            visitor.encode("utf-8", "surrogatepass"), key=self._visitor, digest_size=12
        )
        return urlsafe_b64encode(digest.digest()).decode("ascii")


def claimed_time(decision: str) -> int | None:
    """When an id says that its decision was made (ms), whoever made it; None if it is no id.

    For whoever need not know that it is genuine: the key that signed it may be gone by now.
    """
    parts = _parts(decision)
    return None if parts is None else int.from_bytes(parts[0][:_TIME], "big")


def _parts(decision: str) -> tuple[bytes, bytes] | None:
    """What is signed of an id, and its tag; None if it cannot be an id."""
    if len(decision) != DECISION_LENGTH:
        return None
    try:
        raw = urlsafe_b64decode(decision.encode("ascii"))
    except (UnicodeEncodeError, Base64Error):
        return None
    if urlsafe_b64encode(raw) != decision.encode("ascii"):
        return None  # another spelling of the same bytes: not the id that the log knows
    return raw[:-_MAC], raw[-_MAC:]


def _tag(body: bytes, mac: bytes) -> bytes:
    return blake2b(body, key=mac, digest_size=_MAC).digest()


def slot_of(pseudonym: str, at: int, slot_ms: int) -> int:
    """When the time slot that ``at`` (ms) falls in began for this visitor, in ms.

    Slots of different visitors start at different moments, so that a site's choices do not all
    change at once. A slot is named by its beginning rather than counted, so that slots of one
    length can be told earlier or later than those of another.
    """
    offset = int.from_bytes(blake2b(pseudonym.encode(), digest_size=8).digest(), "big") % slot_ms
    return (at + offset) // slot_ms * slot_ms - offset
