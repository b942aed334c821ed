"""How likely each candidate is to be the best, as an integral instead of draws.

Thompson sampling shows a candidate as often as it is the best under the posterior (Thompson 1933,
Biometrika 25). For independent normal posteriors that probability is

    P(a) = integral of  phi_a(x)  times the product over b != a of  Phi_b(x)  dx

Drawing once and counting would make propensities that depend on the draw; here they are computed,
so that what is logged is what the draw used. The integral runs over cells between common edges: the
mass of ``a`` in a cell, times how likely all others are below, taken as the mean of both edges. The
sum is then brought to 1.

Nothing but table look-ups, sums, products and divisions in a fixed order: the same bits wherever
IEEE arithmetic is kept, whichever vector instructions numpy finds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EDGES: Final = 3 * 2**5 + 1
"""Edges of the cells that the integral is summed over: three times a power of 2, for ``_sums``."""
_BELOW, _ABOVE = 4.0, 5.0
"""Where the cells begin and end, in standard deviations from a mean: below the highest of the lower
ends nobody is the best, above the highest of the upper ends nobody is."""
_REACH: Final = 9.0
_STEPS: Final = 4_608
_AT: Final[Floats] = np.linspace(-_REACH, _REACH, _STEPS + 1)
_PHI: Final[Floats] = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in _AT.tolist()])
"""The standard normal distribution function at ``_AT``; linear between, wrong by 1e-6 at most."""
_RISE: Final[Floats] = _PHI[1:] - _PHI[:-1]


def chances(means: Sequence[float] | Floats, deviations: Sequence[float] | Floats) -> list[float]:
    """K probabilities of being the best of K independent normals, summing to 1.

    Args:
        means: K numbers.
        deviations: K standard deviations, > 0.

    Source: Thompson (1933); see above for the sum.
    """
    mean, deviation = np.asarray(means, np.float64), np.asarray(deviations, np.float64)
    if len(mean) == 1:
        return [1.0]
    low = float((mean - _BELOW * deviation).max())
    high = float((mean + _ABOVE * deviation).max())
    edges = low + (high - low) * np.linspace(0.0, 1.0, EDGES)
    below = _normal((edges - mean[:, None]) / deviation[:, None])  # K x EDGES
    between = 0.5 * (below[:, 1:] + below[:, :-1])
    found = _sums((below[:, 1:] - below[:, :-1]) * _of_others(between)).tolist()
    # Whatever the best is, it is above the first edge but for a rest that is left out.
    total = math.fsum(found)
    if not total > 0.0:
        best = int(mean.argmax())
        return [1.0 if at == best else 0.0 for at in range(len(mean))]
    return [value / total for value in found]


def _normal(at: Floats) -> Floats:
    """The standard normal distribution function."""
    place = (np.minimum(np.maximum(at, -_REACH), _REACH) + _REACH) * (_STEPS / (2.0 * _REACH))
    below = np.minimum(place.astype(np.intp), _STEPS - 1)
    value: Floats = _PHI[below] + (place - below) * _RISE[below]
    return value


def _of_others(values: Floats) -> Floats:
    """For each row of K x cells the product of the others, without dividing."""
    before, after = np.ones_like(values), np.ones_like(values)
    np.multiply.accumulate(values[:-1], axis=0, out=before[1:])
    np.multiply.accumulate(values[:0:-1], axis=0, out=after[-2::-1])
    product: Floats = before * after
    return product


def _sums(values: Floats) -> Floats:
    """The sum of each row, whose length is three times a power of 2: by halves, in this order."""
    while (half := values.shape[1] // 2) > 1:
        values = values[:, :half] + values[:, half:]
    total: Floats = values[:, 0] + values[:, 1] + values[:, 2]
    return total
