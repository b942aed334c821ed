"""The estimators: of each row a numerator and a denominator, from its terms alone.

Each estimate is ``sum(num) / sum(den)``. With logged propensity p, target pi, weight
w = pi / p of what was shown, reward r and reward model q (``predicted`` for what was shown,
``expected`` under the target):

    ips          w r                                1
    snips        w r                                w
    clipped-ips  min(w, M) r                        1
    dm           expected                           1
    dr           expected + w (r - predicted)       1
    switch-dr    as dr, with w = 0 where w > tau    1
    dr-os        as dr, with w lambda / (w^2 + lambda) for w    1
    replay       b r if accepted, else 0            b if accepted, else 0

``ips`` and ``dr`` are unbiased if the log's propensities are right and it could show all that the
target does. ``dm`` is as good as its model. The others trade some bias for less variance.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

import msgspec
import numpy as np

from bandit_service.errors import SettingsError
from bandit_service.evaluation.batch import Floats
from bandit_service.evaluation.terms import Terms


class EstimatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where estimators trade bias for variance; all are weights, without unit.

    Of 1 to 20 a weight is one to be had from a log that explores a little; a single row with more
    than 20 times the say of others is one that should not decide. The shrinkage is the square of
    that: it halves a weight of 20, and leaves those of ordinary size alone.
    """

    clip: float = 20.0
    """M: the largest weight of ``clipped-ips``."""
    switch: float = 20.0
    """tau: from a larger weight ``switch-dr`` takes the model alone."""
    shrinkage: float = 400.0
    """lambda: ``dr-os`` shrinks a weight of its root to half, and larger ones towards 0."""


def check_estimators(settings: EstimatorSettings) -> EstimatorSettings:
    """Return ``settings`` if every value can be used.

    Raises:
        SettingsError: naming the setting and its range.
    """
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if not (math.isfinite(value) and value > 0):
            raise SettingsError(
                f"{name} is {value!r}",
                field=name,
                hint="use a positive number; to do without weights altogether, read dm",
            )
    return settings


class Estimator(Protocol):
    """One way of saying what a target would have earned."""

    @property
    def name(self) -> str:
        """As it is called in results and options."""

    @property
    def words(self) -> str:
        """What it does, in a sentence that a marketer can follow."""

    @property
    def source(self) -> str:
        """Where it is from."""

    @property
    def mean(self) -> bool:
        """Whether the denominator is 1 in every row."""

    @property
    def distributions(self) -> bool:
        """Whether it needs the logged probability of every candidate, not only of what was shown.

        It then leaves out rows that do not say, and has no denominator where none does.
        """

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """N numerators and n denominators."""

    def weights(self, terms: Terms) -> Floats:
        """n: the weights that it gives to rewards, for its effective sample size."""


class _Plain:
    """What most estimators have in common: they are means, and propensities are enough."""

    mean: ClassVar[bool] = True
    distributions: ClassVar[bool] = False


@dataclass(frozen=True)
class Ips(_Plain):
    """Inverse propensity scoring: pairs (w r, 1)."""

    name: ClassVar[str] = "ips"
    words: ClassVar[str] = (
        "Counts each reward as often as the policy would have shown what earned it, compared with "
        "the log; right on average, but unsteady where the policy differs much from the log."
    )
    source: ClassVar[str] = "Horvitz & Thompson 1952, JASA; of bandits, Strehl et al. 2010, NIPS"

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        return terms.weight * terms.reward, np.ones(len(terms))

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return terms.weight


@dataclass(frozen=True)
class Snips:
    """Self-normalised inverse propensity scoring: pairs (w r, w)."""

    name: ClassVar[str] = "snips"
    words: ClassVar[str] = (
        "As ips, but divided by the sum of the weights instead of the number of decisions, so that "
        "the result stays within the range of the rewards; steadier, with a small bias."
    )
    source: ClassVar[str] = "Swaminathan & Joachims 2015, NIPS; the ratio estimator of Hajek 1971"
    mean: ClassVar[bool] = False
    distributions: ClassVar[bool] = False

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        return terms.weight * terms.reward, terms.weight

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return terms.weight


@dataclass(frozen=True)
class ClippedIps(_Plain):
    """IPS with weights of at most M: pairs (min(w, M) r, 1)."""

    name: ClassVar[str] = "clipped-ips"
    words: ClassVar[str] = (
        "As ips, but no decision counts for more than a fixed number of others; steadier, and too "
        "low where the policy often shows what the log rarely did."
    )
    source: ClassVar[str] = "Ionides 2008, J. Comp. Graph. Stat. 17; Bottou et al. 2013, JMLR 14"

    clip: float

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        return self.weights(terms) * terms.reward, np.ones(len(terms))

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return np.minimum(terms.weight, self.clip)


@dataclass(frozen=True)
class DirectMethod(_Plain):
    """What the reward model expects under the target: pairs (expected, 1).

    It weighs no reward, so that its weights are 1 and its effective sample size is all rows; its
    intervals know nothing of what the model gets wrong.
    """

    name: ClassVar[str] = "dm"
    words: ClassVar[str] = (
        "Asks a simple model, fitted to other visitors' decisions, what the policy would earn; "
        "steady, but only as right as the model."
    )
    source: ClassVar[str] = "Dudik, Langford & Li 2011, ICML"

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        return terms.expected, np.ones(len(terms))

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return np.ones(len(terms))


class _Corrected(_Plain, ABC):
    """The model, corrected by the weighted errors it makes: pairs (expected + w (r - q), 1)."""

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        error = terms.reward - terms.predicted
        return terms.expected + self.weights(terms) * error, np.ones(len(terms))

    @abstractmethod
    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""


@dataclass(frozen=True)
class DoublyRobust(_Corrected):
    """Doubly robust: w as it is."""

    name: ClassVar[str] = "dr"
    words: ClassVar[str] = (
        "Asks the model, and corrects it by the errors it makes on the log; right on average if "
        "either the log's probabilities or the model is."
    )
    source: ClassVar[str] = "Dudik, Langford & Li 2011, ICML; Robins et al. 1994, JASA"

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return terms.weight


@dataclass(frozen=True)
class SwitchDr(_Corrected):
    """Doubly robust up to a weight of tau, the model alone beyond: w is 0 where w > tau."""

    name: ClassVar[str] = "switch-dr"
    words: ClassVar[str] = (
        "As dr, but trusts the model alone for decisions that would weigh too much."
    )
    source: ClassVar[str] = "Wang, Agarwal & Dudik 2017, ICML"

    switch: float

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return np.where(terms.weight <= self.switch, terms.weight, 0.0)


@dataclass(frozen=True)
class ShrunkDr(_Corrected):
    """Doubly robust with optimistic shrinkage: lambda w / (w^2 + lambda) in place of w."""

    name: ClassVar[str] = "dr-os"
    words: ClassVar[str] = "As dr, but the larger a decision's weight, the more it is toned down."
    source: ClassVar[str] = "Su, Dimakopoulou, Krishnamurthy & Dudik 2020, ICML"

    shrinkage: float

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``; divided by w first, so that no square of a weight is too large."""
        return terms.weight / (1.0 + terms.weight * (terms.weight / self.shrinkage))


@dataclass(frozen=True)
class Replay:
    """Rejection sampling: rows accepted with probability w / b, weighted by b; pairs (b r, b).

    b is the largest weight that the row could have had, so that w / b is a probability. Accepted
    rows show arms as the target would, context by context, but keep a context with probability
    1 / b only: without the weight b, contexts in which the target is near the log would count for
    more than their share. With uniform logging, menus of one size and a target that does not
    randomise, b is the same in all rows and this is the replay of Li et al.

    Rows whose log says only the probability of what was shown have no b, and are left out.
    """

    name: ClassVar[str] = "replay"
    words: ClassVar[str] = (
        "Keeps only decisions that the policy could just as well have made itself, and averages "
        "what they earned; needs no arithmetic to believe, but leaves most of the log unused."
    )
    source: ClassVar[str] = "Li, Chu, Langford & Wang 2011, WSDM; von Neumann 1951"
    mean: ClassVar[bool] = False
    distributions: ClassVar[bool] = True

    def pairs(self, terms: Terms) -> tuple[Floats, Floats]:
        """See ``Estimator``."""
        weights = self.weights(terms)
        return weights * terms.reward, weights

    def weights(self, terms: Terms) -> Floats:
        """See ``Estimator``."""
        return np.where(terms.accepted, terms.bound, 0.0)


def estimators(settings: EstimatorSettings) -> dict[str, Estimator]:
    """All estimators by name, in the order in which they are shown.

    Raises:
        SettingsError: if a setting is out of its range.
    """
    check_estimators(settings)
    every: list[Estimator] = [
        Ips(),
        Snips(),
        ClippedIps(settings.clip),
        DirectMethod(),
        DoublyRobust(),
        SwitchDr(settings.switch),
        ShrunkDr(settings.shrinkage),
        Replay(),
    ]
    return {estimator.name: estimator for estimator in every}
