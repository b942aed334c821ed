"""Making, listing and revoking keys. What a key is and may do: see ``access``."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bandit_service.access import KeyRecord, Role, digest_of, make_key, random_part
from bandit_service.errors import InvalidInput, NotFound
from bandit_service.storage.ports import Store


class KeyKeeper:
    """The keys of every site in one store."""

    def __init__(self, store: Store, *, clock: Callable[[], int]) -> None:
        """``clock`` gives ms since the Unix epoch."""
        self._store = store
        self._clock = clock

    def create(self, site: str, role: Role, *, label: str = "") -> tuple[str, KeyRecord]:
        """Make a key; it is returned this once and stored as a digest.

        Raises:
            InvalidInput: if no site may be called so.
        """
        key, record = make_key(site, role, label=label, at=self._clock(), entropy=random_part())
        self._store.register(site)
        self._store.put_key(digest_of(key), msgspec.json.encode(record))
        return key, record

    def records(self) -> dict[str, KeyRecord]:
        """Every key's record by digest, revoked ones included."""
        stored = self._store.keys()
        return {d: msgspec.json.decode(data, type=KeyRecord) for d, data in stored.items()}

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key by its id, or by a longer prefix of its digest.

        Raises:
            NotFound: if there is no such key.
            InvalidInput: if more than one key begins so.
        """
        matching = {d: r for d, r in self.records().items() if d.startswith(key_id)}
        if not matching or len(key_id) < 8:
            raise NotFound(
                f"there is no key {key_id!r}", hint="bandit-service keys list shows their ids"
            )
        if len(matching) > 1:
            raise InvalidInput(
                f"{key_id!r} is not one key but {len(matching)}", hint="give more of its digest"
            )
        ((digest, record),) = matching.items()
        revoked = msgspec.structs.replace(record, revoked=record.revoked or self._clock())
        self._store.put_key(digest, msgspec.json.encode(revoked))
        return revoked
