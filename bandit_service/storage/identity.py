"""Which Redis this machine has served from: so that another one in its place is noticed.

A Redis that was in use carries an id, made at random by the first process that opened it. Each
machine writes down the id it has met, by address. A Redis that answers at the same address with
another id, or with none, has lost everything or is somebody else's: learning over it would throw
away what was learned and count visitors twice. It is refused until a person accepts it.

The note is one small file, read whenever a connection is opened, so every process of the machine
hears of an acceptance by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import Final

from bandit_service.errors import StorageError

STORE_REPLACED: Final = "store_replaced"
"""Code of the error where another Redis answers."""


class StoreIdentity:
    """The id of the Redis that this machine expects at one address; thread-safe."""

    def __init__(self, folder: Path, address: str) -> None:
        """Keep the note for ``address`` in ``folder``, which need not exist yet."""
        self.path = folder / f"{named_for(address)}.redis-id"
        self._address = address
        self._met: str | None = None

    def expected(self) -> str | None:
        """The id that was met or accepted last; None if no Redis was met here yet."""
        try:
            return self.path.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return self._met
        except OSError as exc:
            raise _unusable(self.path, exc) from exc

    def check(self, found: str | None) -> str:
        """Return the id of the Redis that answers, if it is the expected one.

        Raises:
            StorageError: if it is another one, or has no id any more.
        """
        if found is not None and found == self._met:
            return found
        expected = self.expected()
        if found is None or (expected is not None and found != expected):
            raise StorageError(
                f"the Redis at {self._address} is not the one that served here before: "
                + ("it is empty" if found is None else "it is another one"),
                hint="bring the old one back, or tell that this one is right: "
                "bandit-service spool accept",
                code=STORE_REPLACED,
            )
        if expected is None:
            self.accept(found)
        self._met = found
        return found

    def accept(self, found: str) -> None:
        """Expect the Redis with the id ``found`` from now on.

        Raises:
            StorageError: if that cannot be written down.
        """
        part = self.path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.touch(mode=0o600)
            part.write_text(found, encoding="ascii")
            part.replace(self.path)
        except OSError as exc:
            with contextlib.suppress(OSError):
                part.unlink()
            raise _unusable(self.path, exc) from exc


def named_for(address: str) -> str:
    """A name for files about the Redis at an address; tells nothing of the address."""
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def _unusable(path: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be used: {exc.strerror}", hint="is data_dir a folder of this user's?"
    )
