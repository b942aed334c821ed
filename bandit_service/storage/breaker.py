"""The breaker: once Redis has failed a process that answers visitors, nobody waits for it again.

Where it trips, the call that failed is the last that anybody waited for: every call is refused at
once, with the error that tripped it, until somebody has looked and found Redis well (``reset``).
Elsewhere each call tries for itself.
"""

from __future__ import annotations

from bandit_service.errors import StorageError


class Breaker:
    """Whether Redis counts as away, for all threads of a process."""

    __slots__ = ("_trips", "_why")

    def __init__(self, *, trips: bool) -> None:
        """``trips`` says whether a failure has consequences."""
        self._trips = trips
        self._why: StorageError | None = None

    @property
    def away(self) -> bool:
        """Whether calls are refused without being tried."""
        return self._why is not None

    def check(self) -> None:
        """Raise StorageError, saying what tripped the breaker, if Redis counts as away."""
        why = self._why
        if why is not None:
            raise StorageError(why.message, hint=why.hint, code=why.specific_code) from why

    def trip(self, why: StorageError) -> None:
        """Refuse calls from now on."""
        if self._trips:
            self._why = why

    def reset(self) -> None:
        """Let calls be tried again."""
        self._why = None
