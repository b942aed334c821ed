"""Ways to explore with one learned model: what each costs, and what it buys for the next log.

What a model learns from a given log does not depend on floor, holdout or greed. So one pass has one
model, and of each row as many distributions as there are ways to explore.

*Cost.* The difference to no floor and no holdout, by doubly robust estimates on the same rows; and
by the reward model alone, sum over candidates of (pi - pi_0) q, which has no chance in it but is
only as right as the model.

*What it buys.* A log written by pi could be used to judge a policy t; of its rows only a part would
count, the effective sample size by its expectation,

    (E w)^2 / E w^2  =  1 / mean over rows of (sum over candidates of t^2 / pi),      w = t / pi,

drawn by pi. For t that shows all K alike this is 1 / mean(sum of 1 / (K^2 pi)), for one that always
shows variant a, on rows where there is a choice of it, 1 / mean(1 / pi(a)).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from bandit_service.evaluation.batch import Batch, Floats
from bandit_service.evaluation.estimators import DoublyRobust
from bandit_service.evaluation.folds.cells import cells_of
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.folds.keyed_sums import KeyedSums
from bandit_service.evaluation.folds.ratio import Ratio
from bandit_service.evaluation.folds.sums import ExactSums
from bandit_service.evaluation.terms import filled, terms_of
from bandit_service.policy.exploration import GREED
from bandit_service.policy.settings import PolicySettings

FLOORS: Final = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Tried beside none, without a holdout."""
HOLDOUTS: Final = (0.01, 0.02, 0.05, 0.1)
"""Tried beside none, without a floor."""
TIMES: Final = (0.25, 4.0)
"""What sharpness, gamma or epsilon is multiplied by, without floor and holdout."""
NEVER: Final = 1e15
"""A weight from which something counts as never shown; beyond it a sum would lose its meaning."""

Group = Literal["none", "now", "floor", "holdout", "greed"]


class Way(NamedTuple):
    """One way to explore."""

    name: str
    group: Group
    changes: str
    """What to write, as ``policy.floor = 0.02``; empty for what is set now."""
    policy: PolicySettings


class Bought(NamedTuple):
    """What the log of a way would be worth for judging one variant."""

    variant: str
    """With its placement."""
    rows: int
    """Rows of this log in which it could be chosen."""
    share: float
    """The part of them that would count."""

    @property
    def effective(self) -> float:
        """Effective rows."""
        return self.rows * self.share


def ways_of(policy: PolicySettings) -> list[Way]:
    """The ways, the one without floor and holdout first, what is set now second.

    None does the same as another, but for what is set now.
    """
    bare = msgspec.structs.replace(policy, floor=0.0, holdout=0.0)
    none = Way("no floor, no holdout", "none", _changes(policy, bare), bare)
    return [none, Way("as it is set now", "now", "", policy), *_varied(policy, bare)]


class WayFold:
    """One way's sums over rows."""

    def __init__(self) -> None:
        """Of no rows."""
        self._earned = EstimateFold(DoublyRobust())
        self._modelled = ExactSums(of="what the reward model expects")
        self._even = ExactSums(of="a squared weight")
        self._singles: KeyedSums[tuple[str, str]] = KeyedSums("1/p", of="a variant")
        self.rows = 0
        """Rows so far."""

    def add(self, batch: Batch, given: Floats, predictions: Floats) -> None:
        """Add n rows.

        Args:
            batch: n usable rows.
            given: m probabilities of the way.
            predictions: m expected rewards.
        """
        terms = terms_of(batch, given, predictions)
        given = filled(batch, given)
        self._earned.add(terms)
        self._modelled.add(terms.expected)
        self.rows += len(batch)
        with np.errstate(divide="ignore", over="ignore"):
            squares = np.minimum(1.0 / given, NEVER)
        even = 1.0 / batch.counts[batch.rows]
        self._even.add(batch.row_sums(even * even * squares))
        names = batch.names
        (place, arm), group = cells_of(
            (batch.placement[batch.rows], len(names.placements)), (batch.arms, len(names.arms))
        )
        keys = zip(names.placements.named(place), names.arms.named(arm), strict=True)
        self._singles.add([*keys], group, len(given), {"1/p": squares})

    def earned(self) -> Ratio:
        """What it earns, by the doubly robust estimator."""
        return self._earned.get()

    @property
    def modelled(self) -> float:
        """What it earns per row, by the reward model alone."""
        return self._modelled.total() / self.rows if self.rows else 0.0

    @property
    def even(self) -> float:
        """The part of its log's rows that would count for showing all alike."""
        total = self._even.total()
        return self.rows / total if total else 0.0

    def singles(self) -> list[Bought]:
        """The same for each variant."""
        keys, n, columns = self._singles.get()
        table = zip(keys, n.tolist(), columns["1/p"].tolist(), strict=True)
        return [Bought(" ".join(key), rows, rows / total) for key, rows, total in table]


def _varied(policy: PolicySettings, bare: PolicySettings) -> Iterator[Way]:
    replace = msgspec.structs.replace
    for floor in FLOORS:
        one = replace(bare, floor=floor)
        yield Way(f"floor {floor:g}, no holdout", "floor", _changes(policy, one), one)
    for holdout in HOLDOUTS:
        one = replace(bare, holdout=holdout)
        yield Way(f"holdout {holdout:g}, no floor", "holdout", _changes(policy, one), one)
    rate = GREED[policy.exploration]
    for times in TIMES:
        value = getattr(policy, rate) * times
        if rate == "epsilon":
            value = min(value, 1.0)
        if value != getattr(policy, rate):
            one = replace(bare, **{rate: value})
            name = f"{rate} {value:g}, no floor, no holdout"
            yield Way(name, "greed", _changes(policy, one), one)


def _changes(policy: PolicySettings, to: PolicySettings) -> str:
    """What to write in the settings to get from one to the other."""
    return ", ".join(
        f"policy.{name} = {getattr(to, name):g}"
        for name in (GREED[policy.exploration], "floor", "holdout")
        if getattr(to, name) != getattr(policy, name)
    )
