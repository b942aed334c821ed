"""A memory of bounded size for what can be worked out again.

Bounded twice: by entries, and by their weight, because what is kept may be as large as whoever
asks chose to make it. When either is reached everything is let go: what is asked for often is back
within a moment, and reading costs no more than a dict does. Letting go of the least recently used
was rejected: it makes every read a write.
"""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(dict[K, V]):
    """A dict to read; written through ``keep``."""

    __slots__ = ("_entries", "_room", "_used", "_weights")

    def __init__(self, *, entries: int, room: int) -> None:
        """At most so many ``entries``, weighing at most ``room`` together."""
        super().__init__()
        self._entries = entries
        self._room = room
        self._used = 0
        self._weights: dict[K, int] = {}

    def keep(self, key: K, value: V, weight: int) -> None:
        """Remember a value, unless it alone would take more than a hundredth of the room."""
        self._used -= self._weights.pop(key, 0)
        if weight * 100 > self._room:
            self.pop(key, None)
            return
        if len(self) >= self._entries or self._used + weight > self._room:
            self.clear()
        self[key] = value
        self._weights[key] = weight
        self._used += weight

    def clear(self) -> None:
        """Let go of everything."""
        super().clear()
        self._weights.clear()
        self._used = 0
