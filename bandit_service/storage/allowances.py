"""What each key has used of its rate: counters of the library ``limits``, in Redis or in memory.

The window slides: the count of the present window, and that of the one before by the part of it
that is still within reach. Two counters a key, however high the rate; a log of every call was
rejected for its size, and a window that starts anew because it lets twice the rate through around
each start. Nothing is counted of what is refused.

Redis is asked over connections of its own that give up soon and never retry: a limit must not
hold up what it protects. They know the Redis of before as the store's do, when they are opened and
whenever something is taken: where another one answers, or an emptied one, nothing is counted in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import limits
import redis
from limits.errors import StorageError as LimitsStorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from bandit_service.errors import StorageError
from bandit_service.storage.calls import Replaced
from bandit_service.storage.identity import StoreIdentity
from bandit_service.storage.redis_site import IDENTITY

TIMEOUT_SECONDS: Final = 0.1
"""How long Redis may take before it is called away."""
_PREFIX: Final = "bandit:rate"


class Allowances:
    """Counters of what was taken, shared by all who use the same storage."""

    def __init__(
        self, storage: MemoryStorage | RedisStorage, *, check: Callable[[], None] = lambda: None
    ) -> None:
        """Use ``allowances_at`` rather than this. ``check`` raises if nothing may be written."""
        self._storage = storage
        self._check = check
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    def take(self, rate: limits.RateLimitItem, name: str, amount: int) -> bool:
        """Take so much from a rate, wholly or not at all; ``name`` says whose.

        Raises:
            StorageError: if the counters cannot be reached, or are in another Redis than before.
        """
        try:
            self._check()
            return self._limiter.hit(rate, name, cost=amount)
        except LimitsStorageError as exc:
            raise _away(exc.storage_error) from exc
        except redis.RedisError as exc:
            raise _away(exc) from exc

    def wait_seconds(self, rate: limits.RateLimitItem, name: str, amount: int) -> float:
        """How long until so much can be taken, if nobody else takes any.

        Raises:
            StorageError: if the counters cannot be reached.
        """
        span = rate.get_expiry()
        try:
            found = self._storage.get_sliding_window(rate.key_for(name), span)
        except LimitsStorageError as exc:
            raise _away(exc.storage_error) from exc
        before, before_left, present, present_left = found
        free = rate.amount - amount - present
        if free >= 0:
            return max(0.0, before_left - free * span / before) if before else 0.0
        # Not in this window: it must end, and then enough of it must slide out of reach.
        within = max(0, rate.amount - amount) * span / max(1, present)
        return max(0.0, present_left - span) + span - within


def allowances_at(url: str, identity: StoreIdentity | None = None) -> Allowances:
    """Counters in the Redis at ``url``; in the memory of this process if it is empty.

    ``identity`` says which Redis is expected there.
    """
    if not url:
        return Allowances(MemoryStorage())

    def recognise(found: bytes | None) -> None:
        try:
            if identity is not None:
                identity.check(None if found is None else found.decode())
        except StorageError as exc:
            raise Replaced(exc) from exc  # redis-py closes a connection for errors of its own alone

    def greet(connection: Any) -> None:
        connection.on_connect()
        connection.send_command("GET", IDENTITY)
        recognise(connection.read_response())

    pool = redis.ConnectionPool.from_url(
        url,
        protocol=2,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        redis_connect_func=greet,
    )
    client: Any = redis.Redis(connection_pool=pool)
    storage = RedisStorage(url, connection_pool=pool, key_prefix=_PREFIX, wrap_exceptions=True)
    return Allowances(storage, check=lambda: recognise(client.get(IDENTITY)))


def _away(exc: Exception) -> StorageError:
    if isinstance(exc, Replaced):
        return exc.error
    return StorageError(f"Redis: {exc}", hint="is it running and reachable?")
