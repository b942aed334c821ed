"""The ring of keys that sign a site's decision ids, so that a key can be replaced.

A ring is never empty and ordered by time. Its newest key whose time has come signs; every key in
it verifies, but only ids from its own time on. So a new key is accepted as soon as a process has
heard of the ring, and signs only once all have that reach the store: none of these refuses an id
that another has just issued. The old key goes on verifying, also what a process still signs that is
cut off from the store and has not heard of its successor. Such a process, if it is cut off until
the successor signs, refuses what that has signed until it reaches the store again.

The first key of every site is derived from the site's secret (``key`` is None): ids that were
issued before there was a ring stay valid. The secret itself never changes, since pseudonyms and
draws depend on it.

Choosing the verifying key by the id's time alone was rejected: it would refuse what the process
that is cut off issues. Naming the key in the id was rejected too: it would make ids longer, or
weaker.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bandit_service.access import NOTICED_SECONDS
from bandit_service.errors import Conflict, StorageError

MAC_KEY_BYTES: Final = 32
MAX_MAC_KEYS: Final = 4
"""Most keys in a ring: each costs a forged id one more keyed hash."""
ACTIVATION_MS: Final = round(NOTICED_SECONDS * 5 * 1000)
"""How long a new key only verifies, in ms: what every process needs to notice it, five times over,
so that the clocks of machines may differ."""


class MacKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key."""

    key: bytes | None
    """32 random bytes; None: the key derived from the site's secret."""
    since: int
    """From when it signs, in ms since the Unix epoch."""


Ring = tuple[MacKey, ...]

FIRST_RING: Final[Ring] = (MacKey(key=None, since=0),)
"""The ring of a site that never rotated."""


def decode_ring(data: bytes | None) -> Ring:
    """The ring that a store keeps; None: the first.

    Raises:
        StorageError: if it cannot be read.
    """
    if data is None:
        return FIRST_RING
    try:
        return msgspec.json.decode(data, type=Ring)
    except msgspec.MsgspecError as exc:
        raise StorageError(
            f"the keys that sign decision ids cannot be read: {exc}",
            hint="were they written by a newer version of the service?",
        ) from exc


def encode_ring(ring: Ring) -> bytes:
    """The bytes that a store keeps of a ring."""
    return msgspec.json.encode(ring)


def rotated(
    ring: Ring, *, now: int, entropy: bytes, lifetime_ms: int, keep: int, forced: bool
) -> Ring:
    """The ring with a new key of ``entropy``, and with its ``keep`` newest keys at most.

    ``lifetime_ms`` is how long after a decision its events may still count.

    Raises:
        Conflict: if a key would be dropped that still signs, or, unless ``forced``, one whose ids
            may still be reported.
    """
    since = max(now + ACTIVATION_MS, ring[-1].since + 1)
    grown = (*ring, MacKey(key=entropy[:MAC_KEY_BYTES], since=since))
    kept = grown[-keep:]
    if kept[0].since > now:
        raise Conflict(
            "the last rotation has not taken effect yet", hint="wait some seconds, then try again"
        )
    ended = kept[0].since
    if len(kept) < len(grown) and now < ended + lifetime_ms and not forced:
        minutes = (ended + lifetime_ms - now) / 60_000
        raise Conflict(
            f"events of decisions that the oldest key signed may come for {minutes:.1f} minutes "
            "more, and would be refused",
            hint="wait, or use --force if that key is known to somebody else",
        )
    return kept
