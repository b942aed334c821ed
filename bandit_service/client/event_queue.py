"""Events that are sent from a thread of their own, so that no visitor waits for them.

They are kept in memory, at most ``size``. While the service does not take them they are tried again
and again, with pauses, and the oldest are dropped where there is no more room: those are the ones
whose window is over first. What the service refuses is not tried again. Nothing is lost silently:
``Client.counts`` has it, and the log says it.

The thread (``sender``) begins with the first event, in the process that reports it; a forked child
begins with an empty queue, since its parent sends what was there. ``close`` sends what is left, and
so does the end of the process, CLOSE_SECONDS long, except where that is killed, or ends by
``os._exit`` as children of ``multiprocessing`` do: close it there.
"""

from __future__ import annotations

import atexit
from types import TracebackType
from typing import Final, Self

from bandit_service.client.per_process import PerProcess
from bandit_service.client.report import decision_of
from bandit_service.client.sender import Sender
from bandit_service.client.session import Session
from bandit_service.serving.requests import DecideAnswer, EventRequest

QUEUE_SIZE: Final = 10_000
"""Events that a queue holds: some 5 MB."""
CLOSE_SECONDS: Final = 5.0
"""How long the end of the process waits for what is left."""


class EventQueue:
    """Events on their way; for all threads, and across forks. ``Client.queue`` makes one."""

    def __init__(self, sessions: PerProcess[Session], *, size: int) -> None:
        """Send in the session of each process, keeping at most ``size`` events in it."""
        self._senders = PerProcess(lambda: Sender(sessions.here, size))
        atexit.register(self.close)

    def event(
        self,
        decided: DecideAnswer | str | None,
        type: str,  # noqa: A002 - as the wire calls it
        *,
        value: float | None = None,
        at: str | float | None = None,
        id: str | None = None,  # noqa: A002 - as the wire calls it
    ) -> bool:
        """Report what a visitor did, without waiting; whether it is on its way.

        It is not where the answer was no decision, the event could never be taken, or the queue is
        closed. Nothing is ever raised.
        """
        event = EventRequest(decision=decision_of(decided), type=type, value=value, at=at, id=id)
        return self._senders.here.put(event)

    @property
    def waiting(self) -> int:
        """How many events the service has not taken yet."""
        return self._senders.here.waiting

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until all events are sent, so many ``seconds`` at most; whether they are."""
        return self._senders.here.flush(seconds)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what is left, so many ``seconds`` at most, and take in no more."""
        atexit.unregister(self.close)
        self._senders.here.close(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
