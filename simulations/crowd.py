"""A crowd of simulated visitors, over HTTP: client threads that ask, see, and perhaps click.

Each thread keeps one connection and starts visits on a fixed beat; a visit that is late delays that
thread's next ones, so a slow service is never flooded. What came of each visit goes into a queue.
"""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from simulations.audience import Audience, Visit
from simulations.stats import Board

TIMEOUT_S = 3.0
"""Seconds that one request may take."""
PAUSE_S = 0.5
"""Seconds that a client thread waits after a failure."""

AnswerT = TypeVar("AnswerT")


class VisitError(Exception):
    """Raised when the service did not answer a request, or refused it; ``code`` groups them."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class Choice(msgspec.Struct, frozen=True):
    """The variant of an answer."""

    id: str


class Answer(msgspec.Struct, frozen=True):
    """What the demo reads of a decision."""

    decision: str
    variant: Choice
    persona: str
    reason: str
    snapshot: str | None = None


class Complaint(msgspec.Struct, frozen=True):
    """Why the service refused something, in its own words."""

    code: str
    message: str


class Receipt(msgspec.Struct, frozen=True):
    """What the demo reads of the answer to events."""

    rejected: tuple[Complaint, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """An error on the wire."""

    error: Complaint


class Seen(msgspec.Struct, frozen=True):
    """A visit that was answered ``at`` seconds after the start."""

    at: float
    persona: str
    answer: Answer
    clicked: bool

    def count(self, board: Board) -> None:
        """Enter the visit on the board."""
        board.decided(
            at=self.at,
            persona=self.persona,
            recognised=self.answer.persona == self.persona,
            holdout=self.answer.reason == "holdout",
            snapshot=self.answer.snapshot,
            clicked=self.clicked,
        )


class Failed(msgspec.Struct, frozen=True):
    """A request that went wrong, in the words of whoever refused it."""

    code: str
    words: str

    def count(self, board: Board) -> None:
        """Enter the failure on the board."""
        board.failed(self.code, self.words)


class Website:
    """One connection to the service, kept open, speaking as a website's server would."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.netloc, timeout=TIMEOUT_S)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def decide(self, visit: Visit) -> Answer:
        """Ask for a variant; VisitError if none is answered."""
        asked = {
            "placement": visit.placement,
            "visitor": visit.visitor.id,
            "traits": visit.visitor.traits,
            "context": visit.context,
        }
        return self._post("/v1/decide", asked, Answer)

    def report(self, decision: str, *, clicked: bool) -> None:
        """Send the impression and perhaps the click; VisitError if one is not accepted."""
        types = ("impression", "click") if clicked else ("impression",)
        events = [{"decision": decision, "type": each} for each in types]
        receipt = self._post("/v1/events", {"events": events}, Receipt)
        if receipt.rejected:
            refusal = receipt.rejected[0]
            raise VisitError(f"rejected {refusal.code}", refusal.message)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def _post(self, path: str, body: object, answer: type[AnswerT]) -> AnswerT:
        try:
            self._connection.request(
                "POST", self._prefix + path, msgspec.json.encode(body), self._headers
            )
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as exc:
            self.close()
            raise VisitError(
                type(exc).__name__, f"{path}: {str(exc) or type(exc).__name__}"
            ) from exc
        if response.status >= 300:
            raise _refusal(path, response.status, text)
        try:
            return msgspec.json.decode(text, type=answer)
        except msgspec.MsgspecError as exc:
            raise VisitError("unreadable", f"{path}: unreadable answer: {exc}") from exc


class Crowd:
    """Client threads that visit on a beat until the block ends; ``results`` is what they saw."""

    def __init__(
        self, audience: Audience, *, url: str, key: str, rate: float, concurrency: int
    ) -> None:
        self.results: SimpleQueue[Seen | Failed] = SimpleQueue()
        self.audience = audience
        self.url = url
        self._beat = concurrency / rate if rate else 0.0
        self._numbers = itertools.count()
        self._stop = Event()
        self._start = 0.0
        self._threads = [
            Thread(
                target=self._visit_until_stopped,
                args=(Website(url, key), each / concurrency),
                name=f"website-{each}",
                daemon=True,
            )
            for each in range(concurrency)
        ]

    def __enter__(self) -> Crowd:
        self._start = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def elapsed(self) -> float:
        """Seconds since the crowd set out."""
        return time.monotonic() - self._start

    def wait(self, seconds: float) -> list[Seen | Failed]:
        """Let the crowd visit for so long; return what it saw."""
        time.sleep(max(0.0, seconds))
        return [self.results.get_nowait() for _ in range(self.results.qsize())]

    def _visit_until_stopped(self, website: Website, phase: float) -> None:
        due = self._start + phase * self._beat
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._beat, time.monotonic())
            try:
                self._visit(website)
            except VisitError as exc:
                self.results.put(Failed(exc.code, str(exc)))
                self._stop.wait(PAUSE_S)
        website.close()

    def _visit(self, website: Website) -> None:
        visit = self.audience.visit(next(self._numbers), at=datetime.now(UTC))
        answer = website.decide(visit)
        try:
            clicked = self.audience.clicks(visit, answer.variant.id)
        except KeyError:
            words = f"{visit.placement} answers with {answer.variant.id}, not in this catalog"
            raise VisitError("other catalog", words) from None
        self.results.put(Seen(self.elapsed, visit.visitor.persona, answer, clicked))
        website.report(answer.decision, clicked=clicked)


def _refusal(path: str, status_code: int, text: bytes) -> VisitError:
    """The service's own words for an answer that is not a success."""
    try:
        error = msgspec.json.decode(text, type=Refusal).error
    except msgspec.MsgspecError:
        return VisitError(str(status_code), f"{path}: HTTP {status_code}")
    return VisitError(f"{status_code} {error.code}", error.message)
