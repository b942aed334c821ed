"""What a world is, and what a player sees of it.

A world gives *batches* in the order of time: some impressions of one placement, close together.
What policies may know of them (the placement, its variants, persona, visitor, context) stands
beside what they may not (the truth, the luck of the draw, when the outcome is known). An
impression's reward is 1 if ``luck < truth[chosen]``, else 0: whichever variant is shown, the
visitor is the same, so that players are compared on the same visitors with the same luck.

A player chooses for a batch, and is told outcomes when they are due: rewarded or not, each as soon
as it is known, and never anything else. All see the same: what a batch says, and what came of what
they chose themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

NEVER = -1
"""The delay of an outcome that is lost on its way: nobody is told anything."""


class Arm(NamedTuple):
    """A variant, as far as policies may know it."""

    id: str
    headline: str = ""
    tags: tuple[str, ...] = ()


class Spot(NamedTuple):
    """A placement and the variants that are live on it now; a change of them is a new ``Spot``."""

    id: str
    arms: tuple[Arm, ...]
    tags: tuple[str, ...] = ()
    reported: bool = True
    """Whether what is earned here counts; what comes before is a site's history."""


class Batch(NamedTuple):
    """n impressions of one placement with K live variants."""

    spot: Spot
    at: Whole
    """n; ms since the Unix epoch, never falling, not even from batch to batch."""
    persona: Whole
    """n; an index into the world's ``personas``."""
    visitor: Whole
    """n; the same number is the same visitor; -1 for nobody in particular."""
    context: Sequence[tuple[str, ...]]
    """n situations, each a value of every key in the world's ``keys``."""
    truth: Floats
    """n x K; expected reward of each variant, hidden from policies."""
    luck: Floats
    """n; uniform in (0, 1), hidden."""
    draw: Floats
    """n; uniform in (0, 1): the random number of whoever draws with one."""
    delay: Whole
    """n; ms until a reward is known where there is one, or NEVER; hidden. That there is none is
    known at the end of the world's window."""

    def rewards(self, chosen: Whole) -> Floats:
        """N rewards of what was chosen: 0 or 1."""
        rows = np.arange(len(chosen))
        return (self.luck < self.truth[rows, chosen]).astype(np.float64)


class World(Protocol):
    """A seeded world. Iterating over ``batches`` twice gives the same twice."""

    @property
    def name(self) -> str:
        """As the command line calls it, with its parameters, such as ``personas:0.3``."""

    @property
    def words(self) -> str:
        """What it is, in one sentence."""

    @property
    def personas(self) -> tuple[str, ...]:
        """At least one."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of what a context says; may be empty."""

    @property
    def window_ms(self) -> int:
        """When an impression without a reward is known to have none, in ms after it."""

    def batches(self) -> Iterator[Batch]:
        """All impressions, in the order of time."""


class Player(Protocol):
    """A policy that plays through one world."""

    def choose(self, batch: Batch) -> Whole:
        """The place of the variant shown, for each of n impressions."""

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """Take in what came of ``rows`` of an earlier batch.

        ``chosen`` and ``rewards`` are of those rows.
        """

    def refresh(self) -> None:
        """Take what was learned into use; called before a batch when outcomes came since."""

    def close(self) -> None:
        """Stop and free what the player holds."""
