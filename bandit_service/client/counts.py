"""What a client did in this process, in numbers: for the website's own monitoring."""

from __future__ import annotations

import threading

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """How many of each thing there were since the process began with this client."""

    decisions: int = 0
    """Slots that the service decided on."""
    defaults: dict[str, int] = {}
    """Slots that the website's own default was answered for, by why: see ``NoAnswer``, and the
    codes of the service's errors."""
    retries: int = 0
    """Requests that were sent again."""
    events_accepted: int = 0
    events_rejected: int = 0
    """Events that the service turned away, and such as name no decision."""
    events_lost: int = 0
    """Events that it was never told of: no answer in time, or dropped from a queue."""


class Counter:
    """Counts, while they grow; for all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._defaults: dict[str, int] = {}

    def add(self, name: str, amount: int = 1) -> None:
        """Count something that ``Counts`` names."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount

    def add_defaults(self, why: str, slots: int) -> None:
        """Count slots that got their default."""
        with self._lock:
            self._defaults[why] = self._defaults.get(why, 0) + slots

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        with self._lock:
            return Counts(**self._counts, defaults=dict(self._defaults))
