"""One site in Redis: its log, catalog, snapshots and what goes with them.

Keys of a site share the hash tag ``{site}``, so that a Redis Cluster keeps them on one node and
the scripts stay atomic. What a visitor waits for goes over a connection of its own, packed by
hiredis, without the pool and the command layer of redis-py, which cost more than Redis itself.

An append whose answer was lost is not repeated here: the caller is told, with what is needed to
find out (``settle``).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, cast

import redis
import structlog

from bandit_service.errors import AppendInDoubt
from bandit_service.events.entries import START, Position
from bandit_service.storage.breaker import Breaker
from bandit_service.storage.calls import translated
from bandit_service.storage.connection import (
    BareConnection,
    ClientConnection,
    NotSent,
    Peer,
    run_id,
    text_of,
)
from bandit_service.storage.ports import (
    Amendment,
    Archived,
    Document,
    Doubt,
    Head,
    Log,
    Publication,
    Published,
    Pulse,
    Report,
    Resumed,
)

log = structlog.get_logger(__name__)

IDENTITY: Final = "bandit:identity"
SITES: Final = "bandit:sites"
KEYS_REVISION: Final = "bandit:keys:revision"
"""Keys that all sites have in common."""
PUBLISHED: Final = (
    "pulse", "snapshots", "order", "settings", "checkpoint",
    "report", "summaries", "sums", "series", "generations",
)  # fmt: skip
"""Keys of a site that a publication writes."""
_FIELD: Final = b"e"
"""The one field of a stream entry."""
_SCANNED: Final = 1_000
"""Entries of the log looked at in one exchange while searching it."""


class RedisSite:
    """One site of a ``RedisStore``."""

    def __init__(
        self,
        site: str,
        client: Any,
        hot: BareConnection | ClientConnection,
        *,
        check: Callable[[bytes | None], None],
        breaker: Breaker,
        patience: float,
    ) -> None:
        """Use ``RedisStore.site`` rather than this. ``patience`` is the socket's, in seconds."""
        self.site = site
        self.breaker = breaker
        self._patience = patience
        self._check = check
        self._client = client
        self._hot = hot
        prefix = f"bandit:{{{site}}}:"
        self._log = (prefix + "log").encode()
        self._visitor = (prefix + "visitor:").encode()
        names = (
            "documents revisions changes history catalog log pulse "
            "snapshots order settings checkpoint report summaries sums series "
            "secret absorbed mac_keys archive generations rebuilding"
        )
        self._key = {name: prefix + name for name in names.split()}
        self._commit = client.register_script(lua("commit"))
        self._publish = client.register_script(lua("publish"))
        self._absorb = client.register_script(lua("absorb"))
        self._replace_mac_keys = client.register_script(lua("replace_mac_keys"))
        self._set_archived = client.register_script(lua("archived"))
        self._note_rebuilding = client.register_script(lua("note_rebuilding"))
        self._trim = client.register_script(lua("trim"))
        self._registered = False
        self._newest = START
        """Position of the newest entry that this process has added, or of the newest one that was
        there before: what it adds next comes later."""

    def append(self, entry: bytes) -> Position:
        """See ``SiteStore.append``."""
        (position,) = self.append_many([entry])
        return position

    @translated
    def append_many(self, entries: Sequence[bytes]) -> list[Position]:
        """See ``SiteStore.append_many``."""
        self._register()
        if self._newest == START:
            self._newest = self.tail()
        commands = [(b"XADD", self._log, b"*", _FIELD, entry) for entry in entries]
        try:
            replies = self._hot.call(*commands)
        except NotSent:
            raise
        except (redis.RedisError, OSError) as exc:
            if isinstance(exc, redis.ResponseError) and len(entries) == 1:
                raise  # it was answered: the entry is not in the log
            raise AppendInDoubt(
                f"Redis did not answer an append: {exc}",
                after=self._newest,
                server=self._hot.peer.server,
                client=self._hot.peer.client,
            ) from exc
        positions = [_position(reply) for reply in replies]
        if positions:
            self._newest = positions[-1]
        return positions

    @translated
    def settle(
        self, entries: Sequence[bytes], doubt: Doubt, *, log: Log | None = None
    ) -> list[bool]:
        """See ``SiteStore.settle``."""
        self._cut_off(Peer(doubt.server, doubt.client))
        wanted, there = frozenset(entries), Counter[bytes]()
        after = doubt.after
        while rows := (log or self).read(after, limit=_SCANNED):
            there.update(entry for _, entry in rows if entry in wanted)
            after = rows[-1][0]
        found = []
        for entry in entries:
            there[entry] -= 1
            found.append(there[entry] >= 0)
        return found

    def _cut_off(self, peer: Peer) -> None:
        """Close a connection at the server, so that what it still holds is never carried out.

        Connections of a server that has ended ended with it.
        """
        if not peer.server:
            return
        with self._client.client() as one:  # one connection: the server cannot change in between
            if run_id(text_of(one.execute_command("INFO", "server"))) != peer.server:
                return
            try:
                one.execute_command("CLIENT", "KILL", "ID", peer.client)
            except redis.ResponseError as exc:
                log.warning("client_not_killed", error=str(exc))

    @translated
    def absorb(self, entries: Sequence[tuple[int, bytes]], *, source: str) -> None:
        """See ``SiteStore.absorb``."""
        self._client.sadd(SITES, self.site)
        pairs = [part for number, entry in entries for part in (number, entry)]
        self._absorb(keys=[self._log, self._key["absorbed"]], args=[source, *pairs])

    @translated
    def read(
        self, after: Position, *, limit: int, block_ms: int = 0
    ) -> list[tuple[Position, bytes]]:
        """See ``SiteStore.read``."""
        if block_ms:
            patience = min(block_ms, int(self._patience * 500))  # before the socket's runs out
            answer = self._client.xread({self._log: str(after)}, count=limit, block=patience)
            rows = _stream_rows(answer)
        else:
            rows = self._client.xrange(self._log, min=f"({after}", count=limit)
        return [(_position(position), fields[_FIELD]) for position, fields in rows]

    @translated
    def tail(self) -> Position:
        """See ``SiteStore.tail``."""
        try:
            return _position(self._client.xinfo_stream(self._log)["last-generated-id"])
        except redis.ResponseError as exc:
            if "no such key" in str(exc):
                return START
            raise

    @translated
    def length(self) -> int:
        """See ``SiteStore.length``."""
        return int(self._client.xlen(self._log))

    @translated
    def archived(self) -> Archived | None:
        """See ``SiteStore.archived``."""
        fields = ("id", "ms", "seq", "trimmed_ms", "trimmed_seq")
        archive, ms, seq, trimmed_ms, trimmed_seq = self._client.hmget(
            self._key["archive"], *fields
        )
        if archive is None:
            return None
        trimmed = Position(int(trimmed_ms or 0), int(trimmed_seq or 0))
        return Archived(archive.decode(), Position(int(ms), int(seq)), trimmed)

    @translated
    def set_archived(self, archive: str, upto: Position, *, replaces: str | None) -> bool:
        """See ``SiteStore.set_archived``."""
        arguments = [replaces or "", archive, upto.ms, upto.seq]
        return bool(self._set_archived(keys=[self._key["archive"]], args=arguments))

    @translated
    def trim(self, upto: Position, *, archive: str, limit: int) -> int:
        """See ``SiteStore.trim``."""
        keys = [self._key[name] for name in ("log", "archive", "pulse")]
        return int(self._trim(keys=keys, args=[archive, upto.ms, upto.seq, limit]))

    @translated
    def remove(self, positions: Sequence[Position]) -> int:
        """See ``SiteStore.remove``."""
        return int(self._client.xdel(self._log, *map(str, positions))) if positions else 0

    @translated
    def catalog(self, since: int) -> tuple[int, list[Document]]:
        """See ``SiteStore.catalog``."""
        changed = self._client.zrange(
            self._key["changes"], f"({since}", "+inf", byscore=True, withscores=True
        )
        if not changed:
            return since, []
        keys = [key for key, _ in changed]
        documents = self._client.hmget(self._key["documents"], keys)
        revisions = self._client.hmget(self._key["revisions"], keys)
        found = [
            Document(key.decode(), int(revision), data)
            for key, revision, data in zip(keys, revisions, documents, strict=True)
        ]
        return int(changed[-1][1]), found

    @translated
    def commit(self, amendments: Sequence[Amendment]) -> bool:
        """See ``SiteStore.commit``."""
        self._register()
        names = ("documents", "revisions", "changes", "history", "catalog", "log", "pulse")
        parts = [
            part
            for document, replaces, entry in amendments
            for part in (document.key, replaces, document.revision, document.data, entry)
        ]
        return bool(self._commit(keys=[self._key[name] for name in names], args=parts))

    @translated
    def document(self, key: str, revision: int | None = None) -> Document | None:
        """See ``SiteStore.document``."""
        if revision is None:
            found = self._client.hget(self._key["revisions"], key)
            if found is None:
                return None
            revision = int(found)
        data = self._client.hget(self._key["history"], f"{key}@{revision}")
        return None if data is None else Document(key, revision, data)

    @translated
    def publish(self, publication: Publication, *, replaces: int, keep: int) -> Published:
        """See ``SiteStore.publish``."""
        self._register()
        head = publication.head
        keys = [self._key[name] for name in PUBLISHED]
        report = publication.report
        answer: bytes = self._publish(
            keys=keys,
            args=[
                replaces,
                head.generation,
                head.name,
                head.position.ms,
                head.position.seq,
                publication.snapshot,
                head.name.split(".")[1],
                publication.settings,
                b"" if report is None else report.site,
                publication.checkpoint or b"",
                keep,
                *([] if report is None else _flat(report)),
            ],
        )
        return cast(Published, answer.decode())

    @translated
    def head(self) -> Head | None:
        """See ``SiteStore.head``."""
        return self.pulse().head

    @translated
    def snapshot(self, name: str) -> bytes | None:
        """See ``SiteStore.snapshot``."""
        return cast("bytes | None", self._client.hget(self._key["snapshots"], name))

    @translated
    def snapshots(self) -> list[str]:
        """See ``SiteStore.snapshots``."""
        return [name.decode() for name in self._client.lrange(self._key["order"], 0, -1)]

    @translated
    def settings(self, settings_id: str) -> bytes | None:
        """See ``SiteStore.settings``."""
        return cast("bytes | None", self._client.hget(self._key["settings"], settings_id))

    @translated
    def generations(self) -> list[Head]:
        """See ``SiteStore.generations``."""
        found = self._client.hgetall(self._key["generations"])
        return [_first_of(int(n), found[n].decode()) for n in sorted(found, key=int)]

    @translated
    def rebuilding(self) -> bytes | None:
        """See ``SiteStore.rebuilding``."""
        return cast("bytes | None", self._client.get(self._key["rebuilding"]))

    @translated
    def note_rebuilding(self, note: bytes, *, replaces: bytes | None) -> bool:
        """See ``SiteStore.note_rebuilding``."""
        keys = [self._key["rebuilding"]]
        return bool(self._note_rebuilding(keys=keys, args=[replaces or b"", note]))

    @translated
    def checkpoint(self) -> bytes | None:
        """See ``SiteStore.checkpoint``."""
        return cast("bytes | None", self._client.get(self._key["checkpoint"]))

    @translated
    def resumed(self) -> Resumed | None:
        """See ``SiteStore.resumed``."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.get(self._key["checkpoint"])
        pipeline.get(self._key["report"])
        pipeline.hgetall(self._key["sums"])
        pipeline.hgetall(self._key["series"])
        checkpoint, site, sums, series = pipeline.execute()
        if checkpoint is None:
            return None
        return Resumed(checkpoint, site, _named(sums), _named(series))

    @translated
    def report(self) -> bytes | None:
        """See ``SiteStore.report``."""
        return cast("bytes | None", self._client.get(self._key["report"]))

    @translated
    def summaries(self, placements: Sequence[str] | None = None) -> dict[str, bytes]:
        """See ``SiteStore.summaries``."""
        if placements is None:
            return _named(self._client.hgetall(self._key["summaries"]))
        if not placements:
            return {}
        found = self._client.hmget(self._key["summaries"], placements)
        return {p: data for p, data in zip(placements, found, strict=True) if data is not None}

    @translated
    def sums(self, placements: Sequence[str]) -> list[bytes | None]:
        """See ``SiteStore.sums``."""
        if not placements:
            return []
        return cast("list[bytes | None]", self._client.hmget(self._key["sums"], placements))

    @translated
    def series(self, placement: str) -> bytes | None:
        """See ``SiteStore.series``."""
        return cast("bytes | None", self._client.hget(self._key["series"], placement))

    @translated
    def visits(self, visitor: str) -> dict[str, bytes]:
        """See ``SiteStore.visits``."""
        (reply,) = self._hot.call((b"HGETALL", self._visitor + visitor.encode()))
        rows = reply.items() if isinstance(reply, dict) else zip(*[iter(reply)] * 2, strict=True)
        return {place.decode(): data for place, data in rows}

    @translated
    def visits_of(self, pairs: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """See ``SiteStore.visits_of``."""
        return self._hot.call(
            *((b"HGET", self._visitor + v.encode(), placement) for v, placement in pairs)
        )

    @translated
    def remember_visits(
        self, visits: Mapping[tuple[str, str], bytes], *, expire_seconds: int
    ) -> None:
        """See ``SiteStore.remember_visits``."""
        commands: list[tuple[Any, ...]] = []
        for (visitor, placement), value in visits.items():
            key = self._visitor + visitor.encode()
            commands += [(b"HSET", key, placement, value), (b"EXPIRE", key, expire_seconds)]
        self._hot.call(*commands)

    @translated
    def forget_visits(self, visitor: str) -> int:
        """See ``SiteStore.forget_visits``."""
        key = self._visitor + visitor.encode()
        pipeline = self._client.pipeline()
        pipeline.hlen(key)
        pipeline.delete(key)
        known, _ = pipeline.execute()
        return int(known)

    @translated
    def secret(self) -> bytes:
        """See ``SiteStore.secret``."""
        self._client.set(self._key["secret"], os.urandom(32), nx=True)
        return cast(bytes, self._client.get(self._key["secret"]))

    @translated
    def mac_keys(self) -> tuple[int, bytes | None]:
        """See ``SiteStore.mac_keys``."""
        revision, ring = self._client.hmget(self._key["mac_keys"], "revision", "ring")
        return int(revision or 0), ring

    @translated
    def replace_mac_keys(self, ring: bytes, *, replaces: int) -> bool:
        """See ``SiteStore.replace_mac_keys``."""
        self._register()
        keys = [self._key["mac_keys"], self._key["pulse"]]
        return bool(self._replace_mac_keys(keys=keys, args=[replaces, ring]))

    @translated
    def pulse(self) -> Pulse:
        """See ``SiteStore.pulse``."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(self._key["pulse"], "name", "ms", "seq", "generation", "catalog", "mac_keys")
        pipeline.get(KEYS_REVISION)
        pipeline.get(IDENTITY)
        (name, ms, seq, generation, catalog, mac_keys), keys, identity = pipeline.execute()
        self._check(identity)
        head = None
        if name is not None:
            head = Head(name.decode(), Position(int(ms), int(seq)), int(generation))
        return Pulse(head, int(catalog or 0), int(keys or 0), int(mac_keys or 0))

    def _register(self) -> None:
        if not self._registered:
            self._hot.call((b"SADD", SITES, self.site))
            self._registered = True


def lua(name: str) -> str:
    """The text of a script."""
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _flat(report: Report) -> list[Any]:
    """The placements of a report as arguments of the script."""
    parts: list[Any] = [int(report.whole)]
    for family in (report.summaries, report.sums, report.series):
        parts.append(len(family))
        for placement, data in family.items():
            parts += (placement, data)
    return parts


def _named(rows: Mapping[bytes, bytes]) -> dict[str, bytes]:
    return {placement.decode(): data for placement, data in rows.items()}


def _position(raw: bytes) -> Position:
    ms, _, seq = raw.partition(b"-")
    return Position(int(ms), int(seq))


def _first_of(generation: int, name: str) -> Head:
    return Head(name, Position.parse(name.split(".", maxsplit=1)[0]), generation)


def _stream_rows(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Rows of the one stream in an XREAD reply, which is a list in RESP2 and a dict in RESP3."""
    if not answer:
        return []
    if isinstance(answer, dict):
        (batches,) = answer.values()
        return [row for batch in batches for row in batch]
    ((_, rows),) = answer
    return cast("list[tuple[bytes, dict[bytes, bytes]]]", rows)
