"""Vowpal Wabbit, driven as its documentation does: one workspace for the site, text in, ``learn``.

    shared |p <persona> |c <key=value> ...
    0:<cost>:<probability> |a <placement/arm> |g <tags or words>

with the persona and the context crossed with the arm (``-q pa -q ca``), and the cost -1 for a
click, else 0. The probability is the one that the variant was drawn with. Exploration is as it
comes, each with VW's own settings. (``--cover`` and its like take a number and have none by
themselves: it is a small one, as in examples of their use. RegCB is told the range of the costs: it
takes them to be from 0 to 1, and without it never tells variants apart.)

The tuned ones differ: a constant learning rate, greed that does not grow with the traffic of other
placements, costs about the site's click rate, so that an unseen variant counts as an average one,
and labels that say p = 1, since VW 9.11 applies 1/p to the last listed action alone. Then the order
in which variants are listed teaches nothing (there is a test), so they are not shuffled. ``TUNED``
captured 23 and 37 % of the headroom of 2,000 and 10,000 impressions on 100 Upworthy tests (weeks up
to 201426), ``MILD`` 6 and 18 %. There, costs were about those weeks' 1.8 %, gamma was 300, 1,000,
3,000 or 10,000 and the learning rate 0.003, from gamma 1,000 also 0.001 and 0.01; the greedier ones
did about as well as ``TUNED``, give or take 5.

Between two refreshes nothing is learned, so probabilities are computed once for each persona,
context and placement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import numpy as np
import vowpalwabbit

from bandit_service.policy.features import escape
from simulations.bandits.base import Arm, Batch, Floats, Player, Spot, Whole, World
from simulations.bandits.rivals.drawing import drawn
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.rivals.waiting import Waiting

CLICK_RATE: Final = 0.013
"""What the tuned ones are tuned for: clicks per impression."""
TUNED: Final = (
    f"--squarecb --gamma_scale {40 / CLICK_RATE:.0f} --gamma_exponent 0 -l 0.01 --power_t 0"
)
"""The settings that the service itself has, of which gamma is in click rates."""
MILD: Final = (
    f"--squarecb --gamma_scale {4 / CLICK_RATE:.0f} --gamma_exponent 0 -l 0.003 --power_t 0"
)
"""Less greed, slower learning."""
_WORD: Final = re.compile(r"\w+")

Describe = Callable[[Spot, Arm], Iterable[str]]
"""What is said of a variant besides its identity."""
_Situation = tuple[int, tuple[str, ...]]
_Probabilities = list[float]


def tags(spot: Spot, arm: Arm) -> Iterable[str]:
    """Of the variant, and of its placement."""
    yield from (f"tag={escape(tag)}" for tag in arm.tags)
    yield from (f"content={escape(tag)}" for tag in spot.tags)


def words(spot: Spot, arm: Arm) -> Iterable[str]:
    """Of the headline, in lower case, each once, and the tags."""
    yield from tags(spot, arm)
    yield from (
        f"word={escape(word)}" for word in dict.fromkeys(_WORD.findall(arm.headline.lower()))
    )


class Vowpal:
    """One VW workspace for all placements."""

    def __init__(
        self,
        world: World,
        seed: int,
        *,
        explore: str,
        describe: Describe = tags,
        typical: float = 0.0,
        weighted: bool = True,
    ) -> None:
        """A new model.

        Args:
            world: its personas, keys and window.
            seed: of whatever VW draws by itself.
            explore: VW's options.
            describe: what is said of a variant.
            typical: reward that costs 0.
            weighted: whether labels say the probability of the draw, rather than 1.
        """
        self._personas = [escape(persona) for persona in world.personas]
        self._keys = [escape(key) for key in world.keys]
        self._describe = describe
        self._typical = typical
        self._weighted = weighted
        self._waiting = Waiting(world.window_ms)
        self._shared: dict[_Situation, str] = {}
        self._actions: dict[str, tuple[Spot, list[str]]] = {}
        self._known: dict[str, tuple[Spot, dict[_Situation, _Probabilities]]] = {}
        self._vw = vowpalwabbit.Workspace(
            f"--cb_explore_adf {explore} -q pa -q ca --random_seed {seed} --quiet"
        )

    def choose(self, batch: Batch) -> Whole:
        """See ``Player``."""
        probabilities = np.array(self._predicted(batch))
        chosen = drawn(probabilities, batch.draw)
        if self._weighted:
            self._waiting.note(batch, probabilities[np.arange(len(chosen)), chosen])
        return chosen

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """See ``Player``."""
        actions = self._lines(batch.spot)
        weights = self._waiting.recall(batch, rows) if self._weighted else np.ones(len(rows))
        costs = self._typical - rewards
        for row, arm, cost, weight in zip(rows, chosen, costs, weights, strict=True):
            lines = [self._line(int(batch.persona[row]), batch.context[row]), *actions]
            lines[arm + 1] = f"0:{cost:.9g}:{weight:.9g} {actions[arm]}"
            self._vw.learn(lines)

    def refresh(self) -> None:
        """Probabilities are computed anew."""
        self._known.clear()

    def close(self) -> None:
        """Free what VW holds."""
        self._vw.finish()

    def _predicted(self, batch: Batch) -> list[_Probabilities]:
        """N x K."""
        spot = batch.spot
        known = self._known.get(spot.id)
        if known is None or known[0] is not spot:
            known = self._known[spot.id] = spot, {}
        cells, found = known[1], []
        for situation in zip(batch.persona.tolist(), batch.context, strict=True):
            cell = cells.get(situation)
            if cell is None:
                cell = cells[situation] = self._predict(spot, situation)
            found.append(cell)
        return found

    def _predict(self, spot: Spot, situation: _Situation) -> _Probabilities:
        probabilities: list[float] = self._vw.predict([self._line(*situation), *self._lines(spot)])
        return probabilities

    def _line(self, persona: int, context: tuple[str, ...]) -> str:
        line = self._shared.get((persona, context))
        if line is None:
            values = zip(self._keys, context, strict=True)
            said = " ".join(f"{key}={escape(value)}" for key, value in values)
            line = f"shared |p {self._personas[persona]} |c {said}"
            self._shared[persona, context] = line
        return line

    def _lines(self, spot: Spot) -> list[str]:
        known = self._actions.get(spot.id)
        if known is None or known[0] is not spot:
            lines = [
                f"|a {escape(spot.id)}/{escape(arm.id)} |g {' '.join(self._describe(spot, arm))}"
                for arm in spot.arms
            ]
            known = self._actions[spot.id] = spot, lines
        return known[1]


def _plain(explore: str) -> Rival:
    def make(world: World, seed: int) -> Player:
        return Vowpal(world, seed, explore=explore)

    return Rival(f"Vowpal Wabbit {explore}, as it comes", make)


def _tuned(text: str, *, explore: str = TUNED, describe: Describe = tags) -> Rival:
    def make(world: World, seed: int) -> Player:
        return Vowpal(
            world, seed, explore=explore, describe=describe, typical=CLICK_RATE, weighted=False
        )

    return Rival(text, make)


RIVALS: Final[Mapping[str, Rival]] = {
    "vw-squarecb": _plain("--squarecb"),
    "vw-epsilon": _plain("--epsilon 0.05"),
    "vw-softmax": _plain("--softmax"),
    "vw-regcb": _plain("--regcb --cb_min_cost -1 --cb_max_cost 0"),
    "vw-cover": _plain("--cover 3"),
    "vw-bag": _plain("--bag 5"),
    "vw-rnd": _plain("--rnd 3"),
    "vw-tuned": _tuned("Vowpal Wabbit --squarecb, tuned for 1.3 % clicks"),
    "vw-mild": _tuned("Vowpal Wabbit --squarecb, a tenth of the greed of vw-tuned", explore=MILD),
    "vw-words": _tuned(
        "Vowpal Wabbit --squarecb, tuned, with the words of headlines", describe=words
    ),
}
