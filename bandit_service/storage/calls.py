"""Calls to Redis: refused while it is away, and with one kind of error, StorageError.

redis-py's errors are translated here and nowhere else, and what they mean is decided here too:
whether Redis refused what was asked, or is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

import redis

from bandit_service.errors import AppendInDoubt, StorageError
from bandit_service.storage.breaker import Breaker
from bandit_service.storage.connection import NotSent
from bandit_service.storage.identity import STORE_REPLACED

P = ParamSpec("P")
R = TypeVar("R")


class Replaced(redis.RedisError):
    """Raised when a connection is opened to another Redis than the one before."""

    def __init__(self, error: StorageError) -> None:
        super().__init__(error.message)
        self.error = error


LOST: Final = (redis.ConnectionError, redis.TimeoutError, OSError, NotSent, Replaced)
"""What says that Redis is not there, or is not the one that it was."""


class Guarded(Protocol):
    """What has calls to Redis."""

    breaker: Breaker


G = TypeVar("G", bound=Guarded)


def translated(call: Callable[Concatenate[G, P], R]) -> Callable[Concatenate[G, P], R]:
    """Refuse a call while Redis is away; turn redis-py's errors into StorageError."""

    def wrapper(guarded: G, /, *args: P.args, **kwargs: P.kwargs) -> R:
        guarded.breaker.check()
        return tried(call, guarded, *args, **kwargs)

    wrapper.__name__, wrapper.__doc__ = call.__name__, call.__doc__
    return wrapper


def tried(call: Callable[Concatenate[G, P], R], guarded: G, *args: P.args, **kwargs: P.kwargs) -> R:
    """Make a call whether Redis counts as away or not; see ``translated``."""
    try:
        return call(guarded, *args, **kwargs)
    except AppendInDoubt as exc:
        if not isinstance(exc.__cause__, redis.ResponseError):
            guarded.breaker.trip(exc)
        raise
    except (redis.RedisError, OSError) as exc:
        error = _storage_error(exc)
        if isinstance(exc, LOST):
            guarded.breaker.trip(error)
        raise error from exc


def _storage_error(exc: redis.RedisError | OSError) -> StorageError:
    replaced = exc.__cause__ if isinstance(exc, NotSent) else exc
    if isinstance(replaced, Replaced):
        error = replaced.error
        return StorageError(error.message, hint=error.hint, code=STORE_REPLACED)
    return StorageError(
        f"Redis: {exc}", hint="is it running, reachable and not full? see REDIS_URL"
    )
