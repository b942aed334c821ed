"""``Client``: what a website's server calls."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from bandit_service.client.counts import Counts
from bandit_service.client.default import Default
from bandit_service.client.event_queue import QUEUE_SIZE, EventQueue
from bandit_service.client.key import checked_key
from bandit_service.client.per_process import PerProcess
from bandit_service.client.place import place_at
from bandit_service.client.report import (
    Batch,
    batches,
    decision_of,
    turned_away,
    written,
)
from bandit_service.client.session import (
    DECIDE,
    DECIDE_PAGE,
    EVENTS,
    Answer,
    Call,
    Means,
    Session,
)
from bandit_service.client.slot import Slot, slot_of
from bandit_service.client.visitor import NOBODY, Visitor
from bandit_service.errors import BanditError, InvalidInput, NoAnswer
from bandit_service.serving.page_requests import PageAnswer
from bandit_service.serving.requests import (
    DecideAnswer,
    EventRequest,
    EventsAnswer,
    Rejection,
)

DEADLINE: Final = 0.2
"""How long a visitor waits for a decision at most, in seconds."""
EVENTS_DEADLINE: Final = 2.0
CHECK_DEADLINE: Final = 5.0
"""The same for events, and for ``check``."""
CONNECTIONS: Final = 16
"""How many connections are kept while nobody asks."""


class Client:
    """The service, as one website's process sees it; for any number of threads, and across forks.

    What goes wrong with a call is answered, not raised: a decision with the website's own default,
    an event with a rejection. It is counted (``counts``), and said in the log called
    ``bandit_service.client``, each mistake once a minute. With ``strict`` it is raised. ``check``
    raises always: call it where the website starts, or in its tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        deadline: float = DEADLINE,
        events_deadline: float = EVENTS_DEADLINE,
        strict: bool = False,
        connections: int = CONNECTIONS,
        tls: ssl.SSLContext | None = None,
        means: Means = Means(),  # noqa: B008 - a frozen record
    ) -> None:
        """Nothing is asked yet.

        Args:
            url: where the service is, such as ``http://127.0.0.1:8080``; ``https`` is verified.
            key: a ``site`` key that was made without origins; white space around it is dropped.
            deadline: seconds that a decision may take, all tries and look-ups together.
            events_deadline: the same for events.
            strict: whether errors are raised, where a call does not say itself.
            connections: how many are kept open while nobody asks.
            tls: how ``https`` is verified; left out, by the system's certificates.
            means: time and chance.

        Raises:
            InvalidInput: naming the argument that cannot be used.
        """
        self._place = place_at(url)
        self._deadline = _positive(deadline, "deadline")
        self._events_deadline = _positive(events_deadline, "events_deadline")
        self._strict = strict
        if self._place.secure and tls is None:
            tls = ssl.create_default_context()
        make = partial(
            Session,
            self._place,
            checked_key(key),
            tls=tls if self._place.secure else None,
            size=connections,
            means=means,
        )
        self._sessions = PerProcess(make, abandon=Session.close)

    def decide(
        self,
        slot: Slot | str,
        visitor: Visitor = NOBODY,
        *,
        default: Default | None = None,
        deadline: float | None = None,
        strict: bool | None = None,
    ) -> DecideAnswer:
        """The variant to show in a slot, named by its placement where that says enough.

        ``default`` is shown where there is no answer (``reason`` is ``default``); left out, it is
        the slot's own. ``deadline`` and ``strict`` are the client's unless given.

        Raises:
            BanditError: what went wrong, if ``strict``.
        """
        asked = slot_of(slot, default)
        try:
            request = written(lambda: visitor.request(asked))
            answer = self._decide(DECIDE, request, visitor, deadline)
        except BanditError as exc:
            self._excuse(exc, strict, 1)
            return asked.default.answer(asked.placement)
        self._session.counter.add("decisions")
        return answer

    def decide_page(
        self,
        slots: Sequence[Slot | str],
        visitor: Visitor = NOBODY,
        *,
        deadline: float | None = None,
        strict: bool | None = None,
    ) -> PageAnswer:
        """The variants to show in the slots of a page, in their order, asked for at once.

        One slot that the service refuses is every slot's default: it answers all of a page or none.

        Raises:
            BanditError: what went wrong, if ``strict``.
        """
        asked = [slot_of(slot) for slot in slots]
        try:
            request = written(lambda: visitor.page(asked))
            answer = self._decide(DECIDE_PAGE, request, visitor, deadline)
            _check_count(answer, asked)
        except BanditError as exc:
            self._excuse(exc, strict, len(asked))
            return PageAnswer(slots=[slot.default.answer(slot.placement) for slot in asked])
        self._session.counter.add("decisions", len(asked))
        return answer

    def event(
        self,
        decided: DecideAnswer | str | None,
        type: str,  # noqa: A002 - as the wire calls it
        *,
        value: float | None = None,
        at: str | float | None = None,
        id: str | None = None,  # noqa: A002 - as the wire calls it
        deadline: float | None = None,
        strict: bool | None = None,
    ) -> EventsAnswer:
        """Report what the visitor did: see ``events``. ``decided`` is the answer, or its id."""
        event = EventRequest(decision=decision_of(decided), type=type, value=value, at=at, id=id)
        return self.events([event], deadline=deadline, strict=strict)

    def events(
        self,
        events: Iterable[EventRequest],
        *,
        deadline: float | None = None,
        strict: bool | None = None,
    ) -> EventsAnswer:
        """Report several things that visitors did, and wait until the service has them.

        Each gets an idempotency id, so that tries of this call count once. Give ids of your own
        where you might make the call again. What no answer came for is among the rejected, by the
        ``code`` of its error; so are events of answers that were no decisions.

        Raises:
            BanditError: what went wrong, if ``strict``.
        """
        told = list(events)
        seconds = self._events_deadline if deadline is None else deadline
        out = turned_away(told)
        rejected = out.rejected("not_a_decision", "this answer was not a decision")
        accepted = 0
        for batch in batches(told, lambda: uuid.uuid4().hex):
            took, refused = self._report(batch, seconds, strict)
            accepted += took
            rejected += refused
        counter = self._session.counter
        counter.add("events_rejected", len(out.places))
        return EventsAnswer(accepted=accepted, rejected=sorted(rejected, key=lambda r: r.index))

    def queue(self, *, size: int = QUEUE_SIZE) -> EventQueue:
        """A queue whose events are sent from a thread, so that no visitor waits for them.

        It holds at most ``size`` events.
        """
        if size < 1:
            raise InvalidInput(f"size is {size}", field="size", hint="use 1 or more")
        return EventQueue(self._sessions, size=size)

    def check(self, *placements: str, deadline: float = CHECK_DEADLINE) -> None:
        """Ask whether the service is there, takes the key, and has something to show.

        Nothing is logged or learned of it: placements are asked for as a prefetching browser would.

        Raises:
            BanditError: the first thing that is wrong.
        """
        session = self._session
        session.ask(EVENTS, Batch([], []).body, seconds=deadline, repeatable=True)
        nobody = Visitor(purpose="prefetch")
        for slot in map(Slot, placements):
            request = written(partial(nobody.request, slot))
            session.ask(DECIDE, request, seconds=deadline, repeatable=True)

    @property
    def counts(self) -> Counts:
        """What this client did in this process."""
        return self._session.counter.counts

    def close(self) -> None:
        """Close the connections. Calls from now on are answered like failed ones."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._place)!r}, key=…)"

    @property
    def _session(self) -> Session:
        return self._sessions.here

    def _decide(
        self, call: Call[Answer], request: bytes, visitor: Visitor, deadline: float | None
    ) -> Answer:
        return self._session.ask(
            call,
            request,
            seconds=self._deadline if deadline is None else deadline,
            repeatable=visitor.id is not None,
        )

    def _raises(self, strict: bool | None) -> bool:
        """Whether errors are raised by a call that says ``strict``."""
        return self._strict if strict is None else strict

    def _excuse(self, exc: BanditError, strict: bool | None, slots: int) -> None:
        """Count and say why slots get their default; or raise it, if ``strict``."""
        if self._raises(strict):
            raise exc
        session = self._session
        session.counter.add_defaults(exc.specific_code, slots)
        session.say_of(exc, "the default is shown")

    def _report(
        self, batch: Batch, seconds: float, strict: bool | None
    ) -> tuple[int, list[Rejection]]:
        """Send one batch; how many were accepted, and what became of the others."""
        session = self._session
        try:
            answer = session.ask(EVENTS, batch.body, seconds=seconds, repeatable=True)
        except BanditError as exc:
            if self._raises(strict):
                raise
            session.counter.add("events_lost", len(batch.events))
            session.say_of(exc, "events are lost")
            return 0, batch.rejected(exc.specific_code, exc.message, exc.hint)
        session.count_events(answer)
        return answer.accepted, batch.at_their_places(answer.rejected)


def _check_count(answer: PageAnswer, asked: Sequence[Slot]) -> None:
    if len(answer.slots) != len(asked):
        raise NoAnswer(
            f"{len(asked)} slots were asked for and {len(answer.slots)} answered",
            code="unusable_answer",
            arrived=True,
        )


def _positive(seconds: float, field: str) -> float:
    if not seconds > 0:
        raise InvalidInput(f"{field} is {seconds!r}", field=field, hint="give it in seconds")
    return seconds
