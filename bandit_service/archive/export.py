"""Exporting a log: as it is, in Parquet or JSON Lines, or as examples for Vowpal Wabbit.

Each exporter reads the log once, in order, holds what one time slot needs and no more, and says
what it wrote and what it left out. JSON Lines has one entry a line,

    {"position":"1900000000000-0","entry":{"t":"decision",...}}

where ``entry`` is the bytes of the log, untouched: who reads a line as ``LoggedLine`` has the very
bytes that ``events.entries.decode`` reads.

A span of the log as it is goes by the log's own clock, the positions. A span of examples goes by
the time a decision was made, which its line shows: a decision in the span is exported with what
followed it, whenever that came, and none is cut by what went before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from operator import attrgetter, sub
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from bandit_service.archive.dsjson import line_of
from bandit_service.archive.reading import Joined, LogRow, decoded
from bandit_service.archive.times import Span
from bandit_service.events.entries import START, Decision, Event, Position
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.settings import SiteSettings

REASONS: Final = {
    "repeated_views": "repeated views, which count with the first",
    "switched_views": "views of another arm in the same slot, which teach nothing",
    "duplicate_decisions": "decisions that the log has twice",
    "duplicate_events": "events that the log has twice",
    "late_events": "events of decisions that had closed, or that the log does not have",
    "censored": "decisions that nothing showed to have been seen",
    "open": "decisions that are still open",
    "unknown": "decisions whose candidates the log does not describe",
}
"""What examples leave out, by name. The first five are counters of the join."""
_LAST_SEQ: Final = 2**63 - 1
"""More entries than any millisecond has."""
_BATCH: Final = 500
"""Rows turned into columns at once."""
_NOTICED: Final = tuple(REASONS)[:5]
_noticed: Final = attrgetter(*_NOTICED)


class LoggedLine(msgspec.Struct, frozen=True):
    """One line of JSON Lines."""

    position: str
    entry: msgspec.Raw


class Tally(msgspec.Struct):
    """What an export wrote and left out."""

    written: Counter[str] = msgspec.field(default_factory=Counter)
    """Entries by kind, or examples by outcome."""
    held_out: int = 0
    """How many examples were drawn uniformly."""
    left_out: Counter[str] = msgspec.field(default_factory=Counter)
    """How many of each of REASONS."""


def before(span: Span) -> Position:
    """The last place in a log that is before a span."""
    return START if not span.since else Position(span.since - 1, _LAST_SEQ)


def entries_in(rows: Iterable[LogRow], span: Span, tally: Tally) -> Iterator[LogRow]:
    """``rows``, which are after ``before(span)``, up to its end: readable, counted by kind.

    Raises:
        LogError: naming the position of an entry that cannot be read.
    """
    for position, data, entry in decoded(_until(rows, span)):
        tally.written[str(entry.__struct_config__.tag)] += 1
        yield position, data


def write_jsonl(rows: Iterable[LogRow], out: BinaryIO) -> None:
    """Write rows as JSON Lines."""
    encode = msgspec.json.Encoder().encode
    out.writelines(encode(LoggedLine(str(at), msgspec.Raw(data))) + b"\n" for at, data in rows)


def write_parquet(rows: Iterator[LogRow], path: Path, *, site: str, after: Position) -> None:
    """Write rows, which follow ``after`` in the log, as one file of the archive's schema.

    Where reading them fails there is a file of what came before: it is the caller's to drop.

    Raises:
        ArchiveError: if the file cannot be written.
    """
    from bandit_service.archive.segments import SegmentWriter  # noqa: PLC0415 - loads pyarrow

    last = after
    with SegmentWriter(path, site=site, after=after) as writer:
        try:
            while batch := list(islice(rows, _BATCH)):
                writer.write(batch)
                last = batch[-1][0]
        finally:  # where the log could not be read, too: pyarrow complains of what stays open
            writer.finish(last)


def write_examples(
    rows: Iterable[LogRow], out: BinaryIO, settings: SiteSettings, span: Span, tally: Tally
) -> None:
    """Write the units of a whole log, of which those decided in ``span``, for ``vw --dsjson``.

    Raises:
        LogError: naming the position of an entry that cannot be read.
    """
    joined = Joined(settings)
    for position, _, entry in decoded(rows):
        known = _noticed(joined.join.counts)
        outcomes = joined.apply(position, entry)
        if isinstance(entry, Decision | Event) and span.has(entry.at):
            noticed = _noticed(joined.join.counts)
            tally.left_out.update(dict(zip(_NOTICED, map(sub, noticed, known), strict=True)))
        for outcome in outcomes:
            if span.has(outcome.decision.at):
                out.write(_example(joined, outcome, tally))
    tally.left_out["open"] = sum(span.has(decision.at) for decision in joined.still_open())


def _example(joined: Joined, outcome: Outcome, tally: Tally) -> bytes:
    """The outcome's line, or nothing where there is nothing to learn from."""
    lines = None if outcome.kind == "censored" else joined.lines(outcome.decision)
    if lines is None:
        tally.left_out["censored" if outcome.kind == "censored" else "unknown"] += 1
        return b""
    tally.written[outcome.kind] += 1
    tally.held_out += outcome.decision.holdout
    return line_of(outcome, lines)


def _until(rows: Iterable[LogRow], span: Span) -> Iterator[LogRow]:
    return takewhile(lambda row: span.until is None or row[0].ms < span.until, rows)
