"""The key that the service knows a website by."""

from __future__ import annotations

from bandit_service.errors import InvalidInput


def checked_key(key: str) -> str:
    """``key`` without the white space around it, if it can be sent.

    Raises:
        InvalidInput: if not. The key is no part of it.
    """
    bare = key.strip()
    if not bare or not bare.isascii() or not bare.isprintable() or " " in bare:
        raise InvalidInput(
            "this cannot be a key" if bare else "the key is empty",
            field="key",
            hint="make one: bandit-service keys create --role site",
        )
    return bare
