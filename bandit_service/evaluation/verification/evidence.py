"""Evidence that a log was not drawn as it says: e-values, which daily looks do not wear out.

An *e-value* is a number that is 1 or less on average where the hypothesis holds, so that by
Markov's inequality it reaches 10,000 in at most one of 10,000 such logs. Those here are products
over the rows of a log, each factor 1 or less on average *given all rows before*: they may be looked
at after every row, by Ville's inequality (1939) the chance that they ever reach 10,000 is the same.
Two things follow that a chi-squared test would not give:

- A log that grows may be verified every day, and is not blamed in the end for having been asked
  often.
- The logging policy may have learned from the log itself: nothing is asked of a row but that it
  was drawn as it says, given those before.

They hold for any number of rows, so arms that were hardly ever shown need no pooling. The price is
power: a deviation must be about 6 standard deviations where a test made for a single look would
take 4. Averages of e-values are e-values, however the parts depend on each other; so many things
are tested at once by averaging (Vovk and Wang, 2021, "E-values: calibration, combination and
applications"). An average over arms or placements is taken over those that a log has when it is
verified: the promise holds where their number does not depend on what was drawn.

Everything is in logarithms: a broken log has evidence beyond any float.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_BETS: Final = tuple(4.0 * 0.5**j for j in range(16))
"""Stakes of the bets on an excess over a variance v: the best one is about excess / v."""


def evidence(excess: float, variance: float) -> float:
    """Log e-value that a count is not what its probabilities say.

    For increments x <= 1 with mean 0 and variance s given the past, exp(bet * sum x - (exp(bet) -
    1 - bet) * sum s) is 1 or less on average (Bennett, 1962; for martingales Freedman, 1975, "On
    tail probabilities for martingales"). The mean of that over a grid of bets on either side needs
    no guess of how large a deviation would be.

    Args:
        excess: What was counted less what was expected: sum of 1[drawn] - p.
        variance: Sum of p * (1 - p).
    """
    costs = [(bet, (math.expm1(bet) - bet) * variance) for bet in _BETS]
    return average([side * bet * excess - cost for bet, cost in costs for side in (1.0, -1.0)])


def average(logs: Sequence[float]) -> float:
    """Log of the mean of e-values; 0, no evidence either way, of none."""
    if not logs:
        return 0.0
    largest = max(logs)
    return largest + math.log(math.fsum(math.exp(log - largest) for log in logs) / len(logs))


def p_value(log: float) -> float:
    """The chance of ever meeting such evidence, at most, in a log that was drawn as it says."""
    return math.exp(-max(0.0, log))
