"""A world of batches that a test writes down, and a player that writes down what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from simulations.bandits.base import Arm, Batch, Floats, Spot, Whole

START_MS = 1_800_000_000_000
WINDOW_MS = 10_000


class Script:
    """The world of some batches."""

    name = "script"
    words = "what a test wrote down"
    window_ms = WINDOW_MS

    def __init__(
        self,
        batches: Sequence[Batch],
        personas: tuple[str, ...] = ("everyone",),
        keys: tuple[str, ...] = (),
    ) -> None:
        self.personas = personas
        self.keys = keys
        self._batches = batches

    def batches(self) -> Iterator[Batch]:
        return iter(self._batches)


class Notes:
    """Shows the first variant, and keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, float]] = []
        """(batch, row, reward); batches are numbered as they came."""
        self.calls: list[str] = []
        self._batches: list[Batch] = []

    def choose(self, batch: Batch) -> Whole:
        self.calls.append("choose")
        self._batches.append(batch)
        return np.zeros(len(batch.at), np.int64)

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        self.calls.append("learn")
        number = next(n for n, known in enumerate(self._batches) if known is batch)
        assert len(rows) == len(chosen) == len(rewards)
        self.told += [(number, int(row), float(r)) for row, r in zip(rows, rewards, strict=True)]

    def refresh(self) -> None:
        self.calls.append("refresh")

    def close(self) -> None:
        self.calls.append("close")


def spot(arms: int = 2, name: str = "film", *, reported: bool = True) -> Spot:
    return Spot(name, tuple(Arm(f"v{n}", f"Headline {n}") for n in range(arms)), reported=reported)


def batch(
    at: Sequence[int],
    rewarded: Sequence[bool],
    delay: Sequence[int],
    *,
    of: Spot | None = None,
    persona: Sequence[int] | None = None,
    context: Sequence[tuple[str, ...]] | None = None,
    visitor: Sequence[int] | None = None,
) -> Batch:
    """Impressions at ``at`` (ms after the start) of which some are rewarded, whatever is shown."""
    n, shown = len(at), of or spot()
    luck = np.where(rewarded, 0.1, 0.9)
    return Batch(
        spot=shown,
        at=START_MS + np.array(at, np.int64),
        persona=np.zeros(n, np.int64) if persona is None else np.array(persona),
        visitor=np.full(n, -1) if visitor is None else np.array(visitor),
        context=((),) * n if context is None else context,
        truth=np.full((n, len(shown.arms)), 0.5),
        luck=luck,
        draw=np.random.default_rng(int(at[0])).random(n),
        delay=np.array(delay, np.int64),
    )
