"""Making, listing, rotating and revoking keys. What a key is and may do: see ``access``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from bandit_service.access import KeyRecord, Role, digest_of, make_key, random_part
from bandit_service.errors import Conflict, InvalidInput, NotFound
from bandit_service.storage.ports import Store

MAX_OVERLAP_MS: Final = 365 * 86_400_000
"""Longest time that a rotated key may stay beside its successor, in ms."""


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
        self._put(digest_of(key), record)
        return key, record

    def records(self) -> dict[str, KeyRecord]:
        """Every key's record by digest, revoked and expired ones included."""
        stored = self._store.keys()
        return {d: msgspec.json.decode(data, type=KeyRecord) for d, data in stored.items()}

    def rotate(self, key_id: str, *, overlap_ms: int) -> tuple[str, KeyRecord, KeyRecord]:
        """Make a successor that may do the same: its key, its record, and that of the old one.

        Both are valid for ``overlap_ms``; from then on the old one is refused.

        Raises:
            NotFound: if there is no such key.
            InvalidInput: if more than one key begins so, or the overlap is out of bounds.
            Conflict: if the key is revoked or has expired, and so has nothing to hand on.
        """
        if not 0 <= overlap_ms <= MAX_OVERLAP_MS:
            raise InvalidInput(
                "the overlap is out of bounds", field="overlap", hint="use 0 seconds to 365 days"
            )
        digest, old = self._find(key_id)
        now = self._clock()
        if not old.valid(now):
            raise Conflict(
                f"key {old.id} is not valid any more", hint="make one: bandit-service keys create"
            )
        key, record = self.create(old.site, old.role, label=old.label, origins=old.origins)
        expires = now + overlap_ms if old.expires is None else min(old.expires, now + overlap_ms)
        ending = msgspec.structs.replace(old, expires=expires)
        self._put(digest, ending)
        return key, record, ending

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key by its id, or by a longer prefix of its digest.

        Raises:
            NotFound: if there is no such key.
            InvalidInput: if more than one key begins so.
        """
        digest, record = self._find(key_id)
        revoked = msgspec.structs.replace(record, revoked=record.revoked or self._clock())
        self._put(digest, revoked)
        return revoked

    def _find(self, key_id: str) -> tuple[str, KeyRecord]:
        matching = [(d, r) for d, r in self.records().items() if d.startswith(key_id)]
        if not matching or len(key_id) < 8:
            raise NotFound(
                f"there is no key {key_id!r}", hint="bandit-service keys list shows their ids"
            )
        if len(matching) > 1:
            raise InvalidInput(
                f"{key_id!r} is not one key but {len(matching)}", hint="give more of its digest"
            )
        return matching[0]

    def _put(self, digest: str, record: KeyRecord) -> None:
        self._store.put_key(digest, msgspec.json.encode(record))
