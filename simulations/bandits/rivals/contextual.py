"""David Cortes's ``contextualbandits``, one policy for each placement.

Its policies take any classifier. Here it is the package's own ridge regression, whose fit to a
stream is that to all the data at once; all else is as it comes. (With scikit-learn's SGDClassifier,
as in its examples, bootstrapped Thompson sampling took 330 µs an impression and learned less.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulations.bandits.base import Floats, Player, World
from simulations.bandits.rivals.apart import Apart, Learner, Names
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.rivals.library import imported

PACKAGE: Final = "contextualbandits==0.3.30"
MODULE: Final = "contextualbandits"


class _Policy:
    """A policy of one placement."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def keep(self, arms: Sequence[str]) -> None:
        """See ``Learner``."""
        known = [str(name) for name in self._policy.choice_names]
        for arm in arms:
            if arm not in known:
                self._policy.add_arm(arm_name=arm)
        for gone in set(known) - set(arms):
            self._policy.drop_arm(gone)

    def learn(self, arms: Names, contexts: Floats, rewards: Floats) -> None:
        """See ``Learner``."""
        self._policy.partial_fit(contexts, arms, rewards)

    def choose(self, contexts: Floats) -> Sequence[str]:
        """See ``Learner``."""
        found: list[str] = self._policy.predict(contexts).tolist()
        return found


def _rival(name: str, words: str, policy: str, jobs: str = "njobs") -> Rival:
    def make(world: World, seed: int) -> Player:
        online = imported("contextualbandits.online", rival=name, package=PACKAGE)
        linreg = imported("contextualbandits.linreg", rival=name, package=PACKAGE)

        def learner(arms: Sequence[str], seed: int) -> Learner:
            ridge = linreg.LinearRegression(lambda_=1.0, fit_intercept=False)
            make_policy = getattr(online, policy)
            one_core = {jobs: 1}
            return _Policy(
                make_policy(ridge, [*arms], batch_train=True, random_state=seed, **one_core)
            )

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
