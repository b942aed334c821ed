"""Our own log as rows: joined as the service joins it, so a row is what the service learned from.

A row is a unit that closed with an outcome that teaches (see ``outcomes.join``), in the order of
closing. Its candidates are those that the service had, described by the catalog as of the decision.
Views that were repeated or switched, and units that were never seen or are still open, are no rows;
``excluded`` counts them.

The end of a log is cut, at a place that no reward moves. A unit that earned may close at once, and
one that did not closes when its window has ended: of the last units of a log only those that earned
are closed, and a mean over them is too high. So a unit is a row only if it was decided so long
before the end that it must have closed whatever it earned: a slot, in which it may be seen again,
and a window. The others are ``too_recent``.

Memory: what one slot needs, a batch, and the ids of the last decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from bandit_service.archive.reading import told
from bandit_service.errors import LogError
from bandit_service.evaluation.batch import Asked, Batch, Vocabulary, hash_of
from bandit_service.evaluation.logs.base import Blame, Progress, Violation, Watch
from bandit_service.evaluation.logs.noticing import Noticing, Opened
from bandit_service.evaluation.logs.rows import Row, Rows
from bandit_service.evaluation.logs.sources import Found, Source, overlapping
from bandit_service.events.entries import Decision, Entry, decode
from bandit_service.outcomes.join import Outcome
from bandit_service.policy.chooser import Candidates
from bandit_service.policy.features import shared_line
from bandit_service.policy.settings import SiteSettings

_COUNTED: Final = (
    "repeated_views",
    "switched_views",
    "duplicate_events",
    "late_events",
    "censored",
)
"""Counters of the join that say what is no row."""


class _Seen(NamedTuple):
    """A decision and what it chose among."""

    decision: Decision
    candidates: Candidates


class SiteLog:
    """A log of this program; see ``base.LoggedData``."""

    def __init__(self, source: Source, settings: SiteSettings) -> None:
        """Read ``source``; ``settings`` say what events are worth."""
        self.description = source.description
        self.size = source.size
        self.reward_range: tuple[float, float] | None = None  # an event may carry any value
        self.excluded: dict[str, int] = {}
        self._source = source
        self._settings = settings

    def batches(
        self, *, blame: Blame, progress: Progress, watch: Watch | None = None
    ) -> Iterator[Batch]:
        """See ``LoggedData``."""
        reading = Noticing(self._settings, blame)
        rows: Rows[_Seen] = Rows(Vocabulary(), _asked)
        for found, entry in told(self._entries(reading, blame), progress):
            if entry is None:
                continue
            taken = reading.apply(found.place, found.position, entry)
            if watch is not None:
                watch(taken)
            for outcome in taken.closed:
                row = self._row(reading, outcome, blame)
                if row is not None:
                    rows.add(row)
            if rows.full:
                yield rows.batch()
        if rows:
            yield rows.batch()
        self.excluded = _excluded(reading)

    def close(self) -> None:
        """See ``LoggedData``."""
        self._source.close()

    def _row(self, reading: Noticing, outcome: Outcome, blame: Blame) -> Row[_Seen] | None:
        """The row of an outcome; None for one that teaches nothing, or would tilt the end."""
        opened = reading.opened(outcome)
        decision = outcome.decision
        if outcome.kind == "censored":
            return None
        closes = decision.at + decision.slot_ms + self._settings.rewards.window_ms
        if closes > self._source.ends:
            reading.left_out["too_recent"] += 1
            return None
        candidates = reading.joined.asked(decision)
        if candidates is None:
            blame(Violation("candidates_unknown", opened.place, _unknown(decision)))
        return _row(opened, candidates, outcome)

    def _entries(self, reading: Noticing, blame: Blame) -> Iterator[tuple[Found, Entry | None]]:
        """Each entry, or None in the place of one that is not to be taken in."""
        last: Found | None = None
        repeating: set[str] = set()
        """Files of which something is said already, among them those that cover what was read."""

        def repeated(violation: Violation) -> None:
            repeating.add(violation.place)
            blame(violation)

        for found in self._source.entries(repeated):
            if last is not None and found.position <= last.position:
                if found.file == last.file and found.file not in repeating:
                    message = f"the log had come to {last.position}"
                    reading.leave_out("time_backwards", found.place, message)
                else:
                    if found.file not in repeating:
                        repeated(overlapping(found, last))
                    reading.left_out["partition_overlaps"] += 1
                yield found, None
                continue
            last = found
            yield found, _decoded(found, reading)


def _decoded(found: Found, reading: Noticing) -> Entry | None:
    try:
        return decode(found.data)
    except LogError as exc:
        reading.leave_out("entry_unreadable", found.place, exc.message)
        return None


def _unknown(decision: Decision) -> str:
    return f"revision {decision.revision} of placement {decision.placement!r} is not there"


def _row(opened: Opened, candidates: Candidates | None, outcome: Outcome) -> Row[_Seen]:
    decision = outcome.decision
    visitor, chosen, logged = decision.visitor, decision.chosen, decision.probabilities
    return Row(  # in its order: naming a dozen fields takes a third of the time
        opened.place,
        opened.key,
        opened.key if visitor is None else hash_of(visitor),
        decision.at,
        decision.placement,
        decision.persona,
        decision.arms,
        logged,
        chosen,
        logged[chosen],
        outcome.reward,
        None if candidates is None else _Seen(decision, candidates),
    )


def _asked(seen: _Seen) -> Asked:
    decision, candidates = seen
    shared = shared_line(decision.persona, decision.traits, decision.context)
    return Asked(decision, shared, candidates)


def _excluded(reading: Noticing) -> dict[str, int]:
    counts = reading.joined.join.counts
    excluded = Counter({name: getattr(counts, name) for name in _COUNTED})
    excluded["open"] = reading.joined.join.open_units
    return dict(+(excluded + reading.left_out))
