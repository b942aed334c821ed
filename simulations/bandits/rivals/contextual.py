"""David Cortes's ``contextualbandits``, one policy for each placement.

Its policies take any classifier. Here it is the package's own ridge regression, whose fit to a
stream is that to all the data at once; all else is as it comes. Its own ways to add and drop an arm
fail for bootstrapped and adaptive policies (0.3.30), so when variants change a new policy is fitted
to all outcomes of those that are live. (With scikit-learn's SGDClassifier,
as in its examples, bootstrapped Thompson sampling took 330 µs an impression and learned less.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulations.bandits.base import Floats, Player, World
from simulations.bandits.rivals.apart import Apart, Learner, Names
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.rivals.library import imported

PACKAGE: Final = "contextualbandits==0.3.30"
MODULE: Final = "contextualbandits"


class _Policy:
    """A policy of one placement."""

    def __init__(self, make: Callable[[Sequence[str]], Any], arms: Sequence[str]) -> None:
        self._make = make
        self._policy = make(arms)
        self._past: list[tuple[Names, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []
        """Arms, contexts and rewards; the latter two are 0 or 1."""

    def keep(self, arms: Sequence[str]) -> None:
        """See ``Learner``."""
        self._policy = self._make(arms)
        for shown, contexts, rewards in self._past:
            live = np.isin(shown, np.array(arms))
            if live.any():
                self._fit(shown[live], contexts[live].astype(float), rewards[live].astype(float))

    def learn(self, arms: Names, contexts: Floats, rewards: Floats) -> None:
        """See ``Learner``."""
        self._past.append((arms, contexts.astype(np.uint8), rewards.astype(np.uint8)))
        self._fit(arms, contexts, rewards)

    def choose(self, contexts: Floats) -> Sequence[str]:
        """See ``Learner``."""
        found: list[str] = self._policy.predict(contexts).tolist()
        return found

    def _fit(self, arms: Names, contexts: Floats, rewards: Floats) -> None:
        self._policy.partial_fit(contexts, arms, rewards)


def _rival(name: str, words: str, policy: str, jobs: str = "njobs") -> Rival:
    def make(world: World, seed: int) -> Player:
        online = imported("contextualbandits.online", rival=name, package=PACKAGE)
        linreg = imported("contextualbandits.linreg", rival=name, package=PACKAGE)

        def learner(arms: Sequence[str], seed: int) -> Learner:
            def fresh(arms: Sequence[str]) -> Any:
                ridge = linreg.LinearRegression(lambda_=1.0, fit_intercept=False)
                settings = {"batch_train": True, "random_state": seed, jobs: 1}
                return getattr(online, policy)(ridge, [*arms], **settings)

            return _Policy(fresh, arms)

        return Apart(world, seed, learner)

    return Rival(words, make, PACKAGE, MODULE)


RIVALS: Final[Mapping[str, Rival]] = {
    "cb-bootstrapped-ts": _rival(
        "cb-bootstrapped-ts",
        "contextualbandits' bootstrapped Thompson sampling, ridge regression",
        "BootstrappedTS",
        jobs="njobs_arms",
    ),
    "cb-softmax": _rival(
        "cb-softmax", "contextualbandits' softmax, ridge regression", "SoftmaxExplorer"
    ),
    "cb-adaptive-greedy": _rival(
        "cb-adaptive-greedy",
        "contextualbandits' adaptive greedy, ridge regression",
        "AdaptiveGreedy",
    ),
}
