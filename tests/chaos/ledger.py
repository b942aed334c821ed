"""What clients were told: every acknowledged answer, kept outside the service for the auditor.

An answer that arrived whole is a promise, unless it says itself that its decision was not logged. A
request without one (refused, cut, timed out, 429 or 503) promises nothing: what it asked for may or
may not be in the log, once at most. Every event that is sent, be it the second sending of another,
carries a ``value`` that no other one has, so that the auditor recognises it in the log; sendings of
one event share its idempotency id.

Client threads add, each record by one append; the auditor reads when they have ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

VALUE_STEP: Final = 2.0**-20
"""Between the values of two events: exact in binary, so equal after any journey."""


class Answer(NamedTuple):
    """A decision as it was answered to ``visitor``, the website's own id of one."""

    id: str
    visitor: str | None
    placement: str
    arm: str
    probability: float
    persona: str
    confidence: float
    snapshot: str
    reason: str


class Sending(NamedTuple):
    """An event as it was sent once."""

    decision: str
    type: str
    value: float
    id: str | None


@dataclass(slots=True)
class Ledger:
    """Promises, and what came of the requests that got none."""

    answers: list[Answer] = field(default_factory=list)
    accepted: list[Sending] = field(default_factory=list)
    unsure: list[Sending] = field(default_factory=list)
    """Events whose request was not acknowledged."""
    unanswered: int = 0
    """Requests for decisions that were not acknowledged."""
    unlogged: int = 0
    """Answers that said that their decision was not logged."""
    wrong: list[str] = field(default_factory=list)
    """Answers that should never be given, such as 401 to a valid key."""


def answer_of(body: dict[str, Any], visitor: str | None) -> Answer:
    """What the auditor compares of one answered decision."""
    variant = body["variant"]
    return Answer(
        id=body["decision"],
        visitor=visitor,
        placement=body["placement"],
        arm=f"{variant['id']}@{variant['version']}",
        probability=body["probability"],
        persona=body["persona"],
        confidence=body["persona_confidence"],
        snapshot=body["snapshot"],
        reason=body["reason"],
    )
