"""Making, listing, rotating and revoking keys. What a key is and may do: see ``access``.

Whoever changes a key does so to what was read, or begins again: a rotation never brings back what
was revoked meanwhile, nor leaves a successor of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from bandit_service.access import KeyRecord, Role, digest_of, make_key, random_part
from bandit_service.errors import Conflict, InvalidInput, NotFound
from bandit_service.storage.ports import Store

MAX_OVERLAP_MS: Final = 365 * 86_400_000
"""Longest time that a rotated key may stay beside its successor, in ms."""
_ATTEMPTS: Final = 100
"""How often to begin again; each time, somebody else has changed the same key."""


class KeyKeeper:
    """The keys of every site in one store."""

    def __init__(self, store: Store, *, clock: Callable[[], int]) -> None:
        """``clock`` gives ms since the Unix epoch."""
        self._store = store
        self._clock = clock

    def create(
        self, site: str, role: Role, *, label: str = "", origins: tuple[str, ...] = ()
    ) -> tuple[str, KeyRecord]:
        """Make a key; it is returned this once and stored as a digest.

        Raises:
            InvalidInput: if no site may be called so, or the key may not have these origins.
        """
        key, record = make_key(
            site, role, label=label, at=self._clock(), entropy=random_part(), origins=origins
        )
        self._store.register(site)
        self._put({digest_of(key): record}, replaces={})
        return key, record

    def records(self) -> dict[str, KeyRecord]:
        """Every key's record by digest, revoked and expired ones included."""
        return {d: _decoded(data) for d, data in self._store.keys().items()}

    def rotate(self, key_id: str, *, overlap_ms: int) -> tuple[str, KeyRecord, KeyRecord]:
        """Make a successor that may do the same: its key, its record, and that of the old one.

        Both are valid for ``overlap_ms``; from then on the old one is refused.

        Raises:
            NotFound: if there is no such key.
            InvalidInput: if more than one key begins so, or the overlap is out of bounds.
            Conflict: if the key is revoked or has expired, and so has nothing to hand on; or others
                change it all the time.
        """
        if not 0 <= overlap_ms <= MAX_OVERLAP_MS:
            raise InvalidInput(
                "the overlap is out of bounds", field="overlap", hint="use 0 seconds to 365 days"
            )
        for _ in range(_ATTEMPTS):
            digest, stored = self._find(key_id)
            old, now = _decoded(stored), self._clock()
            if not old.valid(now):
                raise Conflict(
                    f"key {old.id} is not valid any more",
                    hint="make one: bandit-service keys create",
                )
            key, successor = _successor(old, now)
            end = now + overlap_ms
            ending = msgspec.structs.replace(old, expires=min(end, old.expires or end))
            records = {digest: ending, digest_of(key): successor}
            if self._put(records, replaces={digest: stored}):
                return key, successor, ending
        raise _busy(key_id)

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key by its id, or by a longer prefix of its digest.

        Raises:
            NotFound: if there is no such key.
            InvalidInput: if more than one key begins so.
            Conflict: if others change it all the time.
        """
        for _ in range(_ATTEMPTS):
            digest, stored = self._find(key_id)
            record = _decoded(stored)
            revoked = msgspec.structs.replace(record, revoked=record.revoked or self._clock())
            if self._put({digest: revoked}, replaces={digest: stored}):
                return revoked
        raise _busy(key_id)

    def _find(self, key_id: str) -> tuple[str, bytes]:
        matching = [(d, data) for d, data in self._store.keys().items() if d.startswith(key_id)]
        if not matching or len(key_id) < 8:
            raise NotFound(
                f"there is no key {key_id!r}", hint="bandit-service keys list shows their ids"
            )
        if len(matching) > 1:
            raise InvalidInput(
                f"{key_id!r} is not one key but {len(matching)}", hint="give more of its digest"
            )
        return matching[0]

    def _put(self, records: dict[str, KeyRecord], *, replaces: dict[str, bytes]) -> bool:
        encoded = {digest: msgspec.json.encode(record) for digest, record in records.items()}
        return self._store.put_keys(encoded, replaces=replaces)


def _decoded(data: bytes) -> KeyRecord:
    return msgspec.json.decode(data, type=KeyRecord)


def _successor(old: KeyRecord, now: int) -> tuple[str, KeyRecord]:
    return make_key(
        old.site, old.role, label=old.label, at=now, entropy=random_part(), origins=old.origins
    )


def _busy(key_id: str) -> Conflict:
    return Conflict(f"key {key_id} is being changed by others", hint="try again")
