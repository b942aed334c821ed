"""MABWiser, one bandit for each placement, with the library's own settings.

LinTS and LinUCB see the persona and the context; TS (Beta(1, 1)) and UCB1 do not. A quirk of
MABWiser 2.7: LinTS copies its random numbers with each arm's model, so that all arms fitted at once
share theirs from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulations.bandits.base import Floats, Player, World
from simulations.bandits.rivals.apart import Apart, Learner, Names
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.rivals.library import imported

PACKAGE: Final = "mabwiser==2.7.4"
MODULE: Final = "mabwiser"


class _Mab:
    """A ``MAB`` of one placement."""

    def __init__(self, mab: Any, *, contextual: bool) -> None:
        self._mab = mab
        self._contextual = contextual
        self._fitted = False

    def keep(self, arms: Sequence[str]) -> None:
        """See ``Learner``."""
        for gone in set(self._mab.arms) - set(arms):
            self._mab.remove_arm(gone)
        known = set(self._mab.arms)
        for arm in arms:
            if arm not in known:
                self._mab.add_arm(arm)

    def learn(self, arms: Names, contexts: Floats, rewards: Floats) -> None:
        """See ``Learner``."""
        fit = self._mab.partial_fit if self._fitted else self._mab.fit
        fit(arms, rewards, contexts if self._contextual else None)
        self._fitted = True

    def choose(self, contexts: Floats) -> Sequence[str]:
        """See ``Learner``."""
        found = self._mab.predict(contexts)
        return found if isinstance(found, list) else [found]


def _rival(
    name: str, words: str, policy: str, *, contextual: bool, tries_all: bool = False
) -> Rival:
    def make(world: World, seed: int) -> Player:
        library = imported("mabwiser.mab", rival=name, package=PACKAGE)

        def learner(arms: Sequence[str], seed: int) -> Learner:
            settings = getattr(library.LearningPolicy, policy)()
            return _Mab(library.MAB([*arms], settings, seed=seed), contextual=contextual)

        return Apart(world, seed, learner, tries_all=tries_all)

    return Rival(words, make, PACKAGE, MODULE)


RIVALS: Final[Mapping[str, Rival]] = {
    "mab-ts": _rival(
        "mab-ts", "MABWiser Thompson sampling, as it comes", "ThompsonSampling", contextual=False
    ),
    "mab-lints": _rival("mab-lints", "MABWiser LinTS, as it comes", "LinTS", contextual=True),
    "mab-linucb": _rival("mab-linucb", "MABWiser LinUCB, as it comes", "LinUCB", contextual=True),
    "mab-ucb1": _rival(
        "mab-ucb1", "MABWiser UCB1, as it comes", "UCB1", contextual=False, tries_all=True
    ),
}
