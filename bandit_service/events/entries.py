"""The entries of the log, and the one codec that writes and reads them.

The log of a site is totally ordered and append-only. An entry is one JSON object whose field ``t``
names its kind:

    decision     what was asked, what could be shown, with which probabilities, and what was drawn
    event        something a visitor did, tied to a decision
    placement    a placement as it stands after an edit
    personas     the personas as they stand after an edit
    tick         nothing happened; carries the log's clock forward so that windows can end

JSON because people read logs, and because it writes a float with the digits that give the same
float back: propensities survive to the bit. Position and time of an entry are the log's own (a
Redis stream id, ``milliseconds-sequence``), never the entry's: they cannot run backwards when the
clock of a server does. Times inside entries are milliseconds since the Unix epoch, as the serving
process saw them. Visitors appear under pseudonyms only.

Decisions and events hold no cycles and are many while they are open, so they are kept from the
garbage collector (``gc=False``).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from bandit_service.catalog.model import Personas, Placement, Variant
from bandit_service.errors import LogError

Reason = Literal["learned", "explored", "sticky", "holdout", "fallback", "only"]

IF_SEEN: Final = "if_seen"
"""Flag of a decision that counts only if an event shows that it was seen: the page that asked for
it says what comes into view, and most of a page never does."""
PREFETCHED: Final = "prefetched"
"""Flag of a decision that a mail proxy fetched before anybody looked: whatever follows, it teaches
nothing. Who looked later is only known of those who clicked."""
DEFAULT_SHOWN: Final = "default_shown"
"""Type of the event that says: the answer came too late, so the page kept its own content. Nothing
else may be reported so: what depends on the variant that was drawn must count against it."""


class Decision(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    tag_field="t",
    tag="decision",
):
    """One answer to "which variant?", with everything needed to draw it again.

    ``arms`` and ``probabilities`` run in parallel over the candidates; ``chosen`` is an index into
    both. ``probabilities`` are those of the draw as a whole, holdout included, and sum to 1.
    """

    id: str
    at: int
    placement: str
    revision: int
    """Revision of the placement that the candidates come from; 0 if all were sent inline."""
    arms: list[str]
    probabilities: list[float]
    chosen: int
    snapshot: str
    reason: Reason
    persona: str
    confidence: float
    visitor: str | None = None
    """The visitor's pseudonym, if the request named a visitor."""
    slot: int | None = None
    """When the time slot began within which the choice is stable, in ms; None without a visitor."""
    slot_ms: int = 0
    """How long that time slot is, in ms."""
    holdout: bool = False
    """Whether this decision was drawn uniformly, without regard to what was learned."""
    context: dict[str, str] = {}
    traits: dict[str, list[str]] = {}
    exclude: list[str] = []
    inline: list[Variant] | None = None
    """The candidates that came with the request, where they did."""
    flags: list[str] = []
    """What is special about it: IF_SEEN, PREFETCHED."""
    waited: int = 0
    """How long it was kept on disk before the log could take it, in ms."""

    @property
    def propensity(self) -> float:
        """The probability with which the shown arm was drawn, in (0, 1]."""
        return self.probabilities[self.chosen]

    @property
    def arm(self) -> str:
        """The arm that was shown, ``variant@version``."""
        return self.arms[self.chosen]

    @property
    def unit(self) -> str:
        """What the draw depends on: the visitor's slot on this placement, or this decision."""
        if self.visitor is None or self.slot is None:
            return self.id
        return unit_of(self.visitor, self.placement, self.slot)


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    tag_field="t",
    tag="event",
):
    """Something a visitor did. ``at`` is when it happened, ``received`` when we heard of it."""

    decision: str
    type: str
    at: int
    received: int
    value: float | None = None
    id: str | None = None
    """The sender's idempotency id: the same id for the same decision counts once."""
    flags: list[str] = []
    """Oddities that were accepted and marked, such as ``clock_went_back``."""
    waited: int = 0
    """See ``Decision.waited``."""


class PlacementChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="placement"):
    """A placement as it stands from here on. ``by`` names the key that changed it."""

    placement: Placement
    at: int
    by: str


class PersonasChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="personas"):
    """The personas as they stand from here on. ``by`` names the key that changed them."""

    personas: Personas
    at: int
    by: str


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="tick"):
    """The clock moved on while nothing else was logged."""

    at: int


Entry = Decision | Event | PlacementChanged | PersonasChanged | Tick
_Delayed: Final = (Decision, Event)
"""What may have waited on disk."""


_LAST: Final = 2**64 - 1
"""The last sequence within a millisecond."""


class Position(NamedTuple):
    """A place in the log: milliseconds of the log's own clock, and a sequence within them."""

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @property
    def before(self) -> Position:
        """The last position before this one."""
        return Position(self.ms, self.seq - 1) if self.seq else Position(self.ms - 1, _LAST)

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read ``milliseconds-sequence``.

        Raises:
            LogError: if the text is not a position.
        """
        ms, _, seq = text.partition("-")
        try:
            return cls(int(ms), int(seq))
        except ValueError as exc:
            raise LogError(f"{text!r} is not a position in the log") from exc


START: Final = Position(0, 0)
"""Before the first entry."""


def unit_of(visitor: str, placement: str, slot: int) -> str:
    """The unit of learning: one visitor, one placement, one time slot."""
    return f"{visitor}|{placement}|{slot}"


def came(position: Position, entry: Entry) -> Position:
    """Where an entry would stand in the log, had it not waited on disk."""
    if isinstance(entry, _Delayed) and entry.waited:
        return Position(max(0, position.ms - entry.waited), position.seq)
    return position


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The entry as one line of JSON."""
    return _encoder.encode(entry)


def delayed(data: bytes, waited: int) -> bytes:
    """An encoded decision or event, with how long it waited (ms) noted in it."""
    entry = decode(data)
    if isinstance(entry, _Delayed):
        return encode(msgspec.structs.replace(entry, waited=waited))
    return data


def decode(data: bytes) -> Entry:
    """The entry that ``encode`` wrote.

    Raises:
        LogError: if the bytes are not an entry of this version.
    """
    try:
        entry: Entry = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise LogError(
            f"an entry of the log cannot be read: {exc}",
            hint="was it written by a newer version? run that one, or restore the log",
        ) from exc
    return entry
