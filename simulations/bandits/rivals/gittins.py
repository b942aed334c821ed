"""The engine ``gittins``, one state for each placement, with its own settings.

It is given what it asks for: the persona and the context of a decision, the tags of each variant,
and clocks. Rewards are reported under the time of their decision; what never is told expires after
two windows as no reward, as its documentation has it. Its draws come from a salt, which is the
batch's random number for the impression.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from simulations.bandits.base import Batch, Floats, Player, Spot, Whole, World
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.rivals.library import imported
from simulations.bandits.rivals.waiting import Waiting

PACKAGE: Final = "gittins==2.0.1"
MODULE: Final = "gittins"
BITS: Final = 12
"""Each placement's model has 2^12 slots: some hundred features, seldom in one slot."""

_Candidates = list[tuple[str, dict[str, bool]]]


class Gittins:
    """A player with a state for each placement."""

    def __init__(self, world: World, seed: int, library: Any) -> None:
        """``library``: the module."""
        self._library = library
        self._seed = seed
        self._personas = world.personas
        self._keys = world.keys
        self._horizon = 2.0 * world.window_ms / 1000.0
        """Seconds after which a decision without an outcome has none."""
        self._states: dict[str, Any] = {}
        self._waiting = Waiting(world.window_ms)
        self._candidates: dict[str, tuple[Spot, _Candidates]] = {}

    def choose(self, batch: Batch) -> Whole:
        """See ``Player``."""
        state, candidates = self._state(batch.spot), self._listed(batch.spot)
        decide = self._library.decide
        self._library.expire(state, batch.at[0] / 1000.0)
        records = [
            decide(state, self._asked(persona, context), candidates, at, f"{self._seed}/{draw!r}")
            for persona, context, at, draw in zip(
                batch.persona.tolist(),
                batch.context,
                (batch.at / 1000.0).tolist(),
                batch.draw.tolist(),
                strict=True,
            )
        ]
        self._waiting.note(batch, np.array([record.decision_id for record in records]))
        return np.array([record.chosen for record in records], dtype=np.int64)

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:  # noqa: ARG002 - it knows what it chose
        """See ``Player``."""
        state, learn = self._state(batch.spot), self._library.learn
        ids = self._waiting.recall(batch, rows).tolist()
        times = (batch.at[rows] / 1000.0).tolist()
        for decision, reward, at in zip(ids, rewards.tolist(), times, strict=True):
            learn(state, decision, reward, at)

    def refresh(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Let the states go."""
        self._states.clear()

    def _state(self, spot: Spot) -> Any:
        state = self._states.get(spot.id)
        if state is None:
            state = self._states[spot.id] = self._library.create(bits=BITS, horizon=self._horizon)
        return state

    def _asked(self, persona: int, context: tuple[str, ...]) -> dict[str, str]:
        asked = {f"context.{key}": value for key, value in zip(self._keys, context, strict=True)}
        return {"persona": self._personas[persona], **asked}

    def _listed(self, spot: Spot) -> _Candidates:
        known = self._candidates.get(spot.id)
        if known is None or known[0] is not spot:
            listed = [(arm.id, {f"tag.{tag}": True for tag in arm.tags}) for arm in spot.arms]
            known = self._candidates[spot.id] = spot, listed
        return known[1]


def _gittins(world: World, seed: int) -> Player:
    return Gittins(world, seed, imported(MODULE, rival="gittins", package=PACKAGE))


RIVALS: Final[Mapping[str, Rival]] = {
    "gittins": Rival("gittins 2.0.1, as it comes, a state a placement", _gittins, PACKAGE, MODULE)
}
