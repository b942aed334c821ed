"""Rotating the keys that sign a site's decision ids. What a ring is: see ``events.mac_keys``."""

from __future__ import annotations

from collections.abc import Callable

from bandit_service.access import check_site
from bandit_service.errors import Conflict, InvalidInput
from bandit_service.events.mac_keys import (
    MAC_KEY_BYTES,
    MAX_MAC_KEYS,
    MacKey,
    decode_ring,
    encode_ring,
    rotated,
)
from bandit_service.policy.settings import SiteSettings
from bandit_service.storage.ports import Store


class MacKeeper:
    """The rings of every site in one store."""

    def __init__(
        self, store: Store, *, clock: Callable[[], int], entropy: Callable[[int], bytes]
    ) -> None:
        """``clock`` gives ms since the Unix epoch, ``entropy`` that many random bytes."""
        self._store = store
        self._clock = clock
        self._entropy = entropy

    def rotate(
        self, site: str, settings: SiteSettings, *, keep: int = MAX_MAC_KEYS, forced: bool = False
    ) -> tuple[MacKey, ...]:
        """Add a key to the ring of ``site``, which serves by ``settings``; the ring as it is now.

        Raises:
            InvalidInput: if ``keep`` is not 2 (the new key, and the one that signs until its time
                has come) to MAX_MAC_KEYS, or the site is not known.
            Conflict: if a key would go too early, or somebody else rotates at this moment.
        """
        if not 2 <= keep <= MAX_MAC_KEYS:
            raise InvalidInput(
                f"{keep} keys cannot be kept", field="keep", hint=f"keep 2 to {MAX_MAC_KEYS}"
            )
        if check_site(site) not in self._store.sites():
            raise InvalidInput(
                f"there is no site {site!r}", field="site", hint="name one that has a key"
            )
        store = self._store.site(site)
        revision, data = store.mac_keys()
        ring = rotated(
            decode_ring(data),
            now=self._clock(),
            entropy=self._entropy(MAC_KEY_BYTES),
            lifetime_ms=lifetime_ms(settings),
            keep=keep,
            forced=forced,
        )
        if not store.replace_mac_keys(encode_ring(ring), replaces=revision):
            raise Conflict("somebody else has just rotated these keys", hint="look, then try again")
        return ring


def lifetime_ms(settings: SiteSettings) -> int:
    """How long after a decision an event of it may still count, at most, in ms.

    Views of one slot are one unit, whose window begins with the last of them.
    """
    return round(settings.policy.slot_seconds * 1000) + 2 * settings.rewards.window_ms
