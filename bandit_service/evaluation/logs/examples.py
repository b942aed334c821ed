"""Decision-service JSON as records: what is read of a line, and the rows that it holds."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Slot(msgspec.Struct, frozen=True):
    """What happened in one slot; actions count from 0."""

    cost: float | None = msgspec.field(name="_label_cost", default=None)
    actions: list[int] | int = msgspec.field(name="_a", default_factory=list)
    probabilities: list[float] | float = msgspec.field(name="_p", default_factory=list)


class Ours(msgspec.Struct, frozen=True):
    """What ``archive.dsjson`` adds."""

    placement: str
    arms: list[str]


class Features(msgspec.Struct, frozen=True):
    """What is looked at of the features before they are asked for."""

    persona: msgspec.Raw = msgspec.field(name="p", default=msgspec.Raw(b"null"))
    """A namespace; only in our own lines does it mean the persona."""
    actions: list[msgspec.Raw] = msgspec.field(name="_multi", default_factory=list)


class Example(msgspec.Struct, frozen=True):
    """A line; actions count from 1."""

    features: msgspec.Raw = msgspec.field(name="c")
    cost: float | None = msgspec.field(name="_label_cost", default=None)
    probability: float | None = msgspec.field(name="_label_probability", default=None)
    action: int | None = msgspec.field(name="_label_Action", default=None)
    slots: list[Slot] | None = msgspec.field(name="_outcomes", default=None)
    skipped: bool = msgspec.field(name="_skipLearn", default=False)
    id: str | int | None = msgspec.field(name="EventId", default=None)
    time: str | None = msgspec.field(name="Timestamp", default=None)
    a: list[int] = []
    p: list[float] = []
    pdrop: float = 0.0
    bandit: Ours | None = None


class Shown(NamedTuple):
    """A row, as far as the line alone says."""

    placement: str
    candidates: list[int]
    """Which of the line's actions, from 0."""
    logged: list[float]
    chosen: int
    propensity: float
    reward: float


class Item(NamedTuple):
    """What a row's features are made from."""

    example: Example
    shown: Shown
    arms: list[str]
    persona: str
    place: str
    ms: int
    slot: int | None
