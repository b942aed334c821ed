"""What a world may tell of its placements to a policy that plays with a knowledge no site has.

Such a policy is no candidate: it shows how much of a world's headroom is within reach of clicks.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class Means(NamedTuple):
    """How the mean click rates of a world's placements are spread: log-normally."""

    median: float
    spread: float
    """Standard deviation of their logarithms."""


class Told(NamedTuple):
    """A placement whose variants' click rates are drawn around a mean that is known."""

    rate: float
    """Mean click rate of its variants."""
    impressions: int
    """How many it will have."""


@runtime_checkable
class Telling(Protocol):
    """A world that tells."""

    @property
    def shape(self) -> float:
        """How alike variants of one placement are: rates vary by 1 / sqrt(shape) of their mean."""

    @property
    def means(self) -> Means:
        """What is known of a placement's mean by who is not told it."""

    def told(self, placement: str) -> Told:
        """What is told of the placement of that id."""
