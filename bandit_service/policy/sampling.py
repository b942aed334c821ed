"""Exact probabilities and reproducible draws.

The distribution over K candidates is built in this order; every step keeps the sum at 1:

1. the model's probabilities;
2. ``bounded``: each candidate gets at least max(its min_share, floor / K) and at most max_share;
3. ``mixed``: a holdout share is drawn from the uniform distribution, bounded by the shares too.

The draw has two parts, both functions of (salt, unit): a coin says whether this unit is held out;
a *race* picks the candidate. In a race candidate a finishes at time -ln(u_a) / p_a, with u_a
uniform in (0, 1) and derived from (salt, unit, arm); the first to finish is shown. The winner is a
with probability p_a exactly (exponential clocks). Beside an inverse-CDF draw the race has what
stickiness needs: the same unit keeps its choice while probabilities move a little or candidates
come and go, without any state (two distributions at total variation distance d choose differently
with probability at most 2d / (1 + d)). Source: Moulton & Jiang (2018), "Maximally consistent
sampling and the Jaccard index of probability distributions".
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from operator import le

from bandit_service.errors import InvalidInput

_TWO_53 = float(1 << 53)


def bounded(
    probabilities: Sequence[float], lower: Sequence[float], upper: Sequence[float]
) -> list[float]:
    """The distribution c * p, clipped to [lower, upper], whose c makes it sum to 1.

    Where the bounds cannot be kept (lower bounds above 1 in sum, or upper bounds below 1, as after
    an exclusion) the lower bounds are scaled down, or the missing rest is shared out in proportion
    to the upper bounds: a decision is always possible.

    Args:
        probabilities: K numbers, >= 0, with a positive sum.
        lower: K numbers in [0, 1].
        upper: K numbers in (0, 1], each at least its lower bound.

    Returns:
        K probabilities that sum to 1 within float rounding.

    Raises:
        InvalidInput: if no candidate has a positive probability.
    """
    total = sum(probabilities)
    if not total > 0 or not math.isfinite(total):
        raise InvalidInput("no candidate has a positive probability")
    even = [p / total for p in probabilities]
    if all(map(le, lower, even)) and all(map(le, even, upper)):
        return _normalised(even)
    floor, ceiling = sum(lower), sum(upper)
    if floor >= 1.0:
        return [low / floor for low in lower]
    if ceiling <= 1.0:
        return [high / ceiling for high in upper]
    # A candidate with p = 0 could never be scaled up to fill what caps leave over.
    tiny = total * 1e-12
    weights = [max(p, tiny) for p in probabilities]
    scale = _scale(weights, lower, upper)
    clipped = [
        min(max(scale * w, low), high) for w, low, high in zip(weights, lower, upper, strict=True)
    ]
    return _normalised(clipped)


def mixed(learned: Sequence[float], uniform: Sequence[float], holdout: float) -> list[float]:
    """(1 - holdout) * learned + holdout * uniform."""
    return _normalised(
        [(1.0 - holdout) * p + holdout * q for p, q in zip(learned, uniform, strict=True)]
    )


def held_out(salt: bytes, unit: str, holdout: float) -> bool:
    """Whether this unit is drawn uniformly: true for a share ``holdout`` of all units."""
    return _uniform(_stream(salt, unit), "\x00holdout") < holdout


def race(salt: bytes, unit: str, arms: Sequence[str], probabilities: Sequence[float]) -> int:
    """The index of the candidate that this unit draws.

    Raises:
        InvalidInput: if no candidate has a positive probability.
    """
    best, first = -1, math.inf
    stream = _stream(salt, unit)
    for index, (arm, probability) in enumerate(zip(arms, probabilities, strict=True)):
        if probability <= 0.0:
            continue
        finish = -math.log(_uniform(stream, arm)) / probability
        if finish < first:
            best, first = index, finish
    if best < 0:
        raise InvalidInput("no candidate has a positive probability")
    return best


def _stream(salt: bytes, unit: str) -> blake2b:
    """What the random numbers of a unit are derived from."""
    return blake2b(f"{unit}\x00".encode("utf-8", "surrogatepass"), key=salt, digest_size=8)


def _uniform(stream: blake2b, what: str) -> float:
    """A number in (0, 1) with 53 random bits."""
    hashed = stream.copy()
    hashed.update(what.encode("utf-8", "surrogatepass"))
    return ((int.from_bytes(hashed.digest(), "big") >> 11) + 0.5) / _TWO_53


def _scale(weights: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> float:
    """The c with sum(clip(c * w, lower, upper)) = 1; needs sum(lower) < 1 < sum(upper).

    The sum is piecewise linear and does not decrease in c (nor does it as rounded: every operation
    in it is monotone), with corners where a candidate leaves its lower bound or meets its upper
    one; search the corners for the segment that crosses 1.
    """
    corners = sorted(
        {
            b / w
            for w, bounds in zip(weights, zip(lower, upper, strict=True), strict=True)
            for b in bounds
        }
    )
    found = bisect_left(corners, 1.0, key=lambda c: _clipped_sum(c, weights, lower, upper))
    if found == len(corners):
        return corners[-1]
    return _cross(corners[found - 1] if found else 0.0, corners[found], weights, lower, upper)


def _cross(
    low: float,
    high: float,
    weights: Sequence[float],
    lower: Sequence[float],
    upper: Sequence[float],
) -> float:
    at_low = _clipped_sum(low, weights, lower, upper)
    at_high = _clipped_sum(high, weights, lower, upper)
    if at_high <= at_low:
        return high
    return low + (high - low) * (1.0 - at_low) / (at_high - at_low)


def _clipped_sum(
    scale: float, weights: Sequence[float], lower: Sequence[float], upper: Sequence[float]
) -> float:
    return sum(
        min(max(scale * w, low), high) for w, low, high in zip(weights, lower, upper, strict=True)
    )


def _normalised(values: list[float]) -> list[float]:
    total = math.fsum(values)
    return values if total == 1.0 else [value / total for value in values]
