"""What can be seen to be wrong of a row by itself, for all rows of a batch at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from bandit_service.evaluation.batch import Batch, Floats, Mask

TOLERANCE: Final = 1e-6
"""How far probabilities may be from their sum of 1, or from each other, relatively: more than what
is left of numbers kept in single precision (6e-8 each), less than any rounding to a few digits,
which would bias the weights of improbable candidates."""

LARGEST_REWARD: Final = 1e75
LEAST_PROPENSITY: Final = 1e-75
"""Beyond these, squares of what estimators sum up would be beyond a float64."""

BARRED: Final = (
    "chosen_unknown",
    "propensity_missing",
    "propensity_range",
    "probabilities_range",
    "reward_not_finite",
)
"""Rows with one of these cannot be evaluated, even by force."""

Range = tuple[float, float]

_SHOWN: Final = 8
"""Probabilities that a message lists."""


def faults(batch: Batch, reward_range: Range | None = None) -> dict[str, Mask]:
    """For each kind, which of the n rows have it."""
    p = batch.propensity
    unknown = (batch.chosen < 0) | (batch.chosen >= batch.counts)
    missing = np.isnan(p)
    with np.errstate(invalid="ignore"):
        out_of_range = ~missing & ~((p >= LEAST_PROPENSITY) & (p <= 1 + TOLERANCE))
    found = {
        "chosen_unknown": unknown,
        "candidates_twice": _twice(batch),
        "propensity_missing": missing & ~unknown,
        "propensity_range": out_of_range,
        **_distributions(batch, unknown | missing | out_of_range),
        "reward_not_finite": ~(np.abs(batch.reward) <= LARGEST_REWARD),
    }
    if reward_range is not None:
        low, high = reward_range
        with np.errstate(invalid="ignore"):
            outside = (batch.reward < low) | (batch.reward > high)
        found["reward_range"] = outside & ~found["reward_not_finite"]
    return found


def words(kind: str, batch: Batch, row: int, reward_range: Range | None = None) -> str:
    """What is wrong with one row, in its own numbers."""
    low, high = batch.offsets[row : row + 2].tolist()
    p, reward = float(batch.propensity[row]), float(batch.reward[row])
    said: dict[str, Callable[[], str]] = {
        "chosen_unknown": lambda: f"shown is candidate {batch.chosen[row]} of {high - low}",
        "candidates_twice": lambda: f"{_doubled(batch, low, high)} is listed twice",
        "propensity_missing": lambda: "there is no propensity",
        "propensity_range": lambda: f"the propensity is {p!r}",
        "propensity_mismatch": lambda: (
            f"the propensity is {p!r}, the probability of what was shown "
            f"{float(batch.logged[batch.shown[row]])!r}"
        ),
        "probabilities_range": lambda: f"the probabilities are {_listed(batch, low, high)}",
        "probabilities_sum": lambda: (
            f"the probabilities sum to {float(batch.logged[low:high].sum())!r}"
        ),
        "reward_not_finite": lambda: f"the reward is {reward!r}",
        "reward_range": lambda: f"the reward {reward!r} is not within {reward_range}",
    }
    return said[kind]()


def _distributions(batch: Batch, wrong: Mask) -> dict[str, Mask]:
    logged = batch.logged
    with np.errstate(invalid="ignore"):
        outside = ~np.isnan(logged) & ~((logged >= 0) & (logged <= 1 + TOLERANCE))
        shown = logged[np.where(wrong, batch.offsets[:-1], batch.shown)]
        range_ = (batch.row_sums(outside.astype(np.float64)) > 0) | _gaps(batch, shown)
        sums = batch.row_sums(np.where(outside, np.nan, logged))
        apart = np.abs(shown - batch.propensity) > TOLERANCE * batch.propensity
        return {
            "propensity_mismatch": apart & ~wrong & ~range_,
            "probabilities_range": range_,
            "probabilities_sum": np.abs(sums - 1.0) > TOLERANCE,
        }


def _gaps(batch: Batch, shown: Floats) -> Mask:
    """Rows that say some of their probabilities, and more than that of what was shown."""
    said = batch.row_sums((~np.isnan(batch.logged)).astype(np.float64))
    return (said > ~np.isnan(shown)) & (said < batch.counts)


def _twice(batch: Batch) -> Mask:
    keys = np.sort(batch.rows * max(1, len(batch.names.arms)) + batch.arms)
    again = keys[1:][keys[1:] == keys[:-1]] // max(1, len(batch.names.arms))
    found = np.zeros(len(batch), np.bool_)
    found[again] = True
    return found


def _doubled(batch: Batch, low: int, high: int) -> str:
    arms, counts = np.unique(batch.arms[low:high], return_counts=True)
    return batch.names.arms[int(arms[counts > 1][0])]


def _listed(batch: Batch, low: int, high: int) -> str:
    shown = ", ".join(repr(float(p)) for p in batch.logged[low:high][:_SHOWN])
    return shown + (", …" if high - low > _SHOWN else "")
