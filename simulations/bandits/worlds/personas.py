"""The newsroom with personas that like different variants.

No archive says who clicked, so what personas make of real tests is made up, and made so that no
model of it has an edge. A persona z clicks on arm a at

    rate(z, a) = base(a) * level(z) * exp(s * e(z, a)) / c(a)

with e standard normal, independent for every test, persona and arm: nothing that a policy could see
(tags, headline, image, position) says anything of e, and a linear model of features is no better or
worse suited than a table. c(a) is such that the arm earns its newsroom rate on average over
personas, so a policy that does not see personas finds the world of ``newsroom``. Strength s = 0
means that personas agree, 0.15 and 0.3 that they agree less. level(z), the persona's own eagerness
to click, lies within a fifth of 1 and moves all arms alike: who looks at it learns nothing of
value, and who takes it for the arm's doing is led astray.

Shares are unequal: what is rare is slow to learn.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from simulations.bandits.base import Floats

NAMES: Final = ("romantic", "comedy", "action", "thriller")
SHARES: Final = (0.4, 0.3, 0.2, 0.1)
EAGER: Final = 0.2
"""Levels lie evenly between 1 - EAGER and 1 + EAGER."""


class Personas:
    """An audience of four personas."""

    def __init__(self, strength: float, *, seed: int) -> None:
        """``strength`` is the standard deviation of effects, in logarithms of the rate."""
        self.personas = NAMES
        self.shares: Floats = np.array(SHARES)
        self._strength = strength
        self._levels = np.random.default_rng([seed, 4]).uniform(1 - EAGER, 1 + EAGER, len(NAMES))

    def rates(self, base: Floats, rng: np.random.Generator) -> Floats:
        """Personas x K click rates, where ``base`` (K) are those of everyone together."""
        effects = rng.standard_normal((len(NAMES), len(base)))
        liking = self._levels[:, None] * np.exp(self._strength * effects)
        rates: Floats = base * liking / (self.shares @ liking)
        return rates
