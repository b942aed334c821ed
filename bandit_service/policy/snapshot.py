"""Snapshots: what serving loads and decisions name. Checkpoints: what learning resumes from.

A *snapshot* is the settings, the position in the log up to which everything was learned, and the
model. It is a function of (settings, log up to the position): anyone who folds the same log under
the same settings gets the same bytes. Its name says all three, ``<position>.<settings>.<digest>``,
so a snapshot whose bytes are long gone can be derived again and checked against its name.

A *checkpoint* is a snapshot together with the state of the folds (open decisions, catalog,
counters): one value, so that the model, the open decisions and the position can never disagree.
Serving needs none of that state, so snapshots are published every second, however much is open,
and checkpoints as often as writing one is cheap. After a crash learning goes back to the last
checkpoint and derives the later snapshots again.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import blake2b
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from bandit_service.errors import SnapshotError
from bandit_service.events.entries import START, Position
from bandit_service.policy.model import open_model
from bandit_service.policy.settings import SiteSettings, canonical

FORMAT: Final = 2
"""Version of both encodings; a reader refuses any other."""

State = TypeVar("State")


class SnapshotName(NamedTuple):
    """The three parts of a snapshot's name."""

    position: Position
    settings: str
    digest: str

    def __str__(self) -> str:
        return f"{self.position}.{self.settings}.{self.digest}"

    @classmethod
    def parse(cls, text: str) -> SnapshotName:
        """Read a name.

        Raises:
            SnapshotError: if the text is not one.
        """
        parts = text.split(".")
        if len(parts) != 3:
            raise SnapshotError(f"{text!r} is not the name of a snapshot")
        return cls(Position.parse(parts[0]), parts[1], parts[2])


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A model, the settings it was learned under, and how far it has read."""

    format: int = FORMAT
    settings: SiteSettings
    position: Position
    outcomes: int
    """How many outcomes were learned from."""
    model: bytes

    @cached_property
    def encoded(self) -> bytes:
        """The bytes that are stored."""
        return msgspec.msgpack.encode(self, order="deterministic")

    @cached_property
    def name(self) -> str:
        """``<position>.<settings>.<digest of the bytes>``."""
        digest = blake2b(self.encoded, digest_size=8).hexdigest()
        return str(SnapshotName(self.position, self.settings.id, digest))


def genesis(settings: SiteSettings) -> Snapshot:
    """The snapshot of an empty log: it has learned nothing."""
    settings = canonical(settings)
    model = open_model(settings.policy)
    try:
        return Snapshot(settings=settings, position=START, outcomes=0, model=model.save())
    finally:
        model.close()


def load_snapshot(data: bytes, *, name: str | None = None) -> Snapshot:
    """The snapshot that ``data`` holds; where it came without a name, its bytes make one.

    Raises:
        SnapshotError: if the bytes are not what ``name`` says, or of another format.
    """
    snapshot = _decode(data, Snapshot, "snapshot")
    if name is not None and snapshot.name != name:
        raise SnapshotError(
            f"snapshot {name} is damaged: its bytes make {snapshot.name}",
            hint="rebuild it from the log: bandit-service rebuild",
        )
    return snapshot


class Checkpoint(msgspec.Struct, Generic[State], frozen=True, kw_only=True):
    """A snapshot and the state of the folds at its position."""

    format: int = FORMAT
    snapshot: Snapshot
    state: State


def dump_checkpoint(checkpoint: Checkpoint[State]) -> bytes:
    """The checkpoint as bytes, behind a digest of them."""
    body = msgspec.msgpack.encode(checkpoint)
    return blake2b(body, digest_size=16).digest() + body


def load_checkpoint(data: bytes, state: type[State]) -> Checkpoint[State]:
    """The checkpoint that ``dump_checkpoint`` wrote.

    Raises:
        SnapshotError: if the bytes are damaged or of another format.
    """
    digest, body = data[:16], data[16:]
    if blake2b(body, digest_size=16).digest() != digest:
        raise SnapshotError(
            "the checkpoint is damaged", hint="rebuild it from the log: bandit-service rebuild"
        )
    return _decode(body, Checkpoint[state], "checkpoint")  # type: ignore[valid-type]


Stored = TypeVar("Stored", bound="Snapshot | Checkpoint[object]")


def _decode(data: bytes, kind: type[Stored], what: str) -> Stored:
    try:
        value = msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as exc:
        raise SnapshotError(f"a {what} cannot be read: {exc}") from exc
    if value.format != FORMAT:
        raise SnapshotError(
            f"a {what} has format {value.format}, this version reads {FORMAT}",
            hint="rebuild it from the log: bandit-service rebuild",
        )
    return value
