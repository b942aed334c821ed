"""The store in Redis: what sites have in common, and the connections to it, through redis-py.

Every connection, when it is opened, asks for the id that this Redis was given when it was first
used, so that another or an empty one in its place is noticed before anything is written to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from bandit_service.errors import StorageError
from bandit_service.storage.breaker import Breaker
from bandit_service.storage.calls import Replaced, translated, tried
from bandit_service.storage.connection import BareConnection, ClientConnection, text_of
from bandit_service.storage.identity import StoreIdentity
from bandit_service.storage.redis_site import IDENTITY, KEYS_REVISION, SITES, RedisSite, lua

MINIMUM_VERSION: Final = (6, 2)
TIMEOUT_SECONDS: Final = 5.0
"""How long to wait for Redis before calling it away."""
SERVING_SECONDS: Final = 1.0
"""The same in a process that answers visitors: while one call waits, all of them do."""
HOT_SECONDS: Final = 0.5
"""The same for what every visitor waits for: longer than Redis mostly takes for a slow disk."""
_KEYS: Final = "bandit:keys"


class RedisStore:
    """All sites in one Redis."""

    def __init__(
        self,
        url: str,
        *,
        identity: StoreIdentity | None = None,
        trips: bool = False,
        client: redis.Redis | None = None,
    ) -> None:
        """Connect lazily to ``url``.

        ``identity`` says which Redis is expected there. ``trips`` is for processes that answer
        visitors and call ``probe``: once Redis fails them, appends and visits are refused at once
        until it is well again. ``client`` replaces the connections in tests.
        """
        self.url = url
        self._identity = identity
        self._found: str | None = None
        self.breaker = Breaker(trips=trips)
        # redis-py's types allow for text, bytes and asyncio at once; this client gives bytes.
        self._patience = SERVING_SECONDS if trips else TIMEOUT_SECONDS
        self._client: Any = client or _client(url, self._patience, self._greet)
        self._hot: BareConnection | ClientConnection = (
            BareConnection(
                _client(url, HOT_SECONDS, self._greet).connection_pool, timeout=HOT_SECONDS
            )
            if client is None
            else ClientConnection(client)
        )

    def site(self, name: str) -> RedisSite:
        """See ``Store.site``."""
        return RedisSite(
            name,
            self._client,
            self._hot,
            check=self._check,
            breaker=self.breaker,
            patience=self._patience,
        )

    @translated
    def sites(self) -> list[str]:
        """See ``Store.sites``."""
        return sorted(site.decode() for site in self._client.smembers(SITES))

    @translated
    def register(self, site: str) -> None:
        """See ``Store.register``."""
        self._client.sadd(SITES, site)

    @translated
    def put_keys(self, records: Mapping[str, bytes], *, replaces: Mapping[str, bytes]) -> bool:
        """See ``Store.put_keys``."""
        args = [part for d, new in records.items() for part in (d, new, replaces.get(d, b""))]
        put = self._client.register_script(lua("put_keys"))
        return bool(put(keys=[_KEYS, KEYS_REVISION], args=args))

    @translated
    def keys(self) -> dict[str, bytes]:
        """See ``Store.keys``."""
        return {digest.decode(): data for digest, data in self._client.hgetall(_KEYS).items()}

    @property
    def away(self) -> bool:
        """See ``Store.away``."""
        return self.breaker.away

    @property
    @translated
    def identity(self) -> str:
        """See ``Store.identity``."""
        if self._found is None:
            self._client.ping()
        return self._found or ""

    def probe(self) -> None:
        """See ``Store.probe``."""
        tried(RedisStore._look, self)
        self.breaker.reset()

    def _look(self) -> None:
        self._check(self._client.get(IDENTITY))

    def accept(self) -> None:
        """Take the Redis that is there now for the right one, whatever was there before.

        Raises:
            StorageError: if it does not answer, or the note of it cannot be written.
        """
        tried(RedisStore._accept, self)

    def _accept(self) -> None:
        if self._identity is not None:
            with redis.Redis.from_url(self.url, protocol=2, socket_timeout=TIMEOUT_SECONDS) as one:
                self._identity.accept(_given_id(one.execute_command))

    @translated
    def check_version(self) -> str:
        """The server's version.

        Raises:
            StorageError: if it is older than this store needs.
        """
        version = str(self._client.info("server")["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
            raise StorageError(
                f"Redis {version} is too old", hint="use 6.2 or newer, or leave REDIS_URL unset"
            )
        return version

    def describe(self) -> str:
        """See ``Store.describe``."""
        return address_of(self.url)

    def close(self) -> None:
        """See ``Store.close``."""
        self._hot.close()
        self._client.close()

    def _greet(self, connection: Any) -> None:
        """What a connection does first: log in, and see that it is the Redis of before."""
        connection.on_connect()

        def ask(*words: str) -> Any:
            connection.send_command(*words)
            return connection.read_response()

        try:
            expected = None if self._identity is None else self._identity.expected()
        except StorageError as exc:
            raise Replaced(exc) from exc  # redis-py closes a connection for its own errors alone
        self._check(ask("GET", IDENTITY) if expected else _given_id(ask).encode())

    def _check(self, found: bytes | None) -> None:
        name = None if found is None else found.decode()
        if self._identity is not None:
            try:
                name = self._identity.check(name)
            except StorageError as exc:
                raise Replaced(exc) from exc
        self._found = name


def address_of(url: str) -> str:
    """Where a Redis is, for people and for names of files; without credentials."""
    scheme, _, rest = url.partition("://")
    address, _, _ = rest.rpartition("@")[2].partition("?")  # a query may hold a password
    return f"{scheme}://{address}"


def place_of(url: str) -> str:
    """One spelling of where a Redis is, its database included; without credentials."""
    try:
        parts: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        return address_of(url)
    host, port = parts.get("host", "localhost").lower(), parts.get("port", 6379)
    where = parts.get("path") or f"{host}:{port}"
    return f"{where}/{parts.get('db', 0)}"


def _given_id(ask: Callable[..., Any]) -> str:
    """The id of a Redis, given to it now if it has none."""
    found = ask("GET", IDENTITY)
    if found is None:
        ask("SET", IDENTITY, uuid.uuid4().hex, "NX")
        found = ask("GET", IDENTITY)
    return text_of(found)


def _client(url: str, timeout: float, greet: Callable[[Any], None]) -> redis.Redis:
    try:
        return redis.Redis.from_url(
            url,
            # The older protocol has no pushed messages, which would come between our replies.
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # Once, at once, for a connection that was closed while it lay idle; whoever can wait
            # longer knows how long.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            redis_connect_func=greet,
        )
    except ValueError as exc:
        raise StorageError(
            f"REDIS_URL is not a Redis address: {exc}",
            hint="use redis://host:6379/0, rediss://… or unix:///path/to/redis.sock",
        ) from exc
