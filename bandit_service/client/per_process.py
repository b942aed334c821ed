"""A value that every process makes for itself, so that a fork begins with its own.

Servers like gunicorn load an application once and fork. Two processes that write to one connection
would read each other's answers; a lock that another thread held at the fork would stay locked; a
thread would not be there at all. So whoever holds such things holds them here, and a child that
asks for the value makes a new one.

Rejected: ``os.register_at_fork``, which servers that fork in C (uWSGI) need not call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One value a process."""

    def __init__(
        self, make: Callable[[], T], *, abandon: Callable[[T], None] | None = None
    ) -> None:
        """``make`` the value of this process; ``abandon`` what was inherited through a fork.

        In a child some lock of the parent's may be locked for ever: ``abandon`` may take none.
        """
        self._make = make
        self._abandon = abandon
        self._values: dict[int, T] = {os.getpid(): make()}

    @property
    def here(self) -> T:
        """The value of this process."""
        pid = os.getpid()
        value = self._values.get(pid)
        return self._begin(pid) if value is None else value

    def _begin(self, pid: int) -> T:
        value = self._values.setdefault(pid, self._make())  # one wins, of all threads that try
        for other in [known for known in self._values if known != pid]:
            inherited = self._values.pop(other, None)
            if inherited is not None and self._abandon is not None:
                self._abandon(inherited)
        return value
