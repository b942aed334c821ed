"""Thompson sampling: show the variant whose click rate, drawn from what is believed, is largest.

A belief about a click rate is a Beta distribution: a prior, and the clicks and misses seen
(Thompson 1933; Chapelle & Li 2011). Each impression has its own draw of each arm, from a generator
that follows from the seed and the batch, whatever was drawn before.

What differs is the prior, and how *sharp* the belief is taken: both counts times s keep the mean
and divide the variance by about s, which trades exploration for greed. At click rates near 1 % and
placements of some thousand impressions, exact Thompson sampling (s = 1) explores for longer than a
placement lives.

Priors are in pseudo-clicks k at a mean m: Beta(k, k / m - k).

- *flat*: Beta(1, 1), what textbooks begin with: one click in two impressions.
- *informed*: what the variants of all placements so far were like, by the method of moments; for a
  site without a past, ``START``.
- *centred*: at the mean of the placement's own variants so far: variants of one placement are much
  more alike than those of two.
- *persona*: one flat belief for each persona and variant, as if each persona were a site.
- *hierarchical*: each persona's belief about a variant begins at the variant's informed mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from simulations.bandits.base import Batch, Floats, Player, Spot, Whole, World
from simulations.bandits.rivals.counts import Counted, Counts
from simulations.bandits.rivals.entry import Rival


class Prior(NamedTuple):
    """A Beta distribution of click rates."""

    mean: float
    clicks: float
    """Pseudo-clicks: how many clicks it weighs."""

    @property
    def misses(self) -> float:
        """Pseudo-misses."""
        return self.clicks / self.mean - self.clicks


START: Final = Prior(mean=0.013, clicks=2.5)
"""Variants of a site of which nothing is known: 1.3 % clicks, give or take two thirds of it. Fitted
to the Upworthy archive by maximum likelihood they are 1.83 % and 2.7 clicks (weeks up to 201426),
1.05 % and 2.4 (later)."""
ALIKE: Final = 16.0
"""Pseudo-clicks by which variants of one placement are alike. Within tests of the Upworthy archive
maximum likelihood says 30 (weeks up to 201426); there, at s = 16, 10, 16 and 25 captured 31, 31 and
28 % of the headroom of 2,000 impressions, 49, 53 and 53 % of that of 10,000 (300 tests, 3 seeds,
give or take 2): none is shown to be better."""
CELL: Final = 5.0
"""Pseudo-clicks by which a persona is like the others about one variant. Of 5, 10, 25 and 50 it
captured most (25 % at 2,000 impressions, 47 % at 10,000) on the same tests, where each of four
personas multiplied each variant's rate by a log-normal factor of sigma 0.2."""
ENOUGH: Final = 30
"""Variants, each with an outcome, and clicks, from which it is told how much variants differ."""
LEAST, MOST = 1.0, 1000.0
"""Pseudo-clicks of an estimated prior: some chance outcomes shall not make one of any kind."""

Belief = Callable[[Counts, Spot], tuple[Floats, Floats]]
"""Both counts of the Beta distribution of each live variant: P x K, or 1 x K for all personas."""


def flat(counts: Counts, spot: Spot) -> tuple[Floats, Floats]:
    """Beta(1, 1) before anything is seen."""
    clicks, misses = counts.of(spot)
    return 1.0 + clicks, 1.0 + misses


def informed(counts: Counts, spot: Spot) -> tuple[Floats, Floats]:
    """As the variants of all placements were."""
    prior = estimated(counts.everywhere())
    clicks, misses = counts.of(spot)
    return prior.clicks + clicks, prior.misses + misses


def centred(counts: Counts, spot: Spot) -> tuple[Floats, Floats]:
    """About the mean of this placement's variants."""
    prior = estimated(counts.everywhere())
    clicks, misses = counts.of(spot)
    total = prior.clicks + clicks.sum(), prior.misses + misses.sum()
    own = Prior(mean=total[0] / sum(total), clicks=ALIKE)
    return own.clicks + clicks, own.misses + misses


def hierarchical(counts: Counts, spot: Spot) -> tuple[Floats, Floats]:
    """Each persona's cell about the mean of its variant."""
    prior = estimated(counts.everywhere())
    clicks, misses = counts.of(spot)
    hits, others = prior.clicks + clicks.sum(axis=0), prior.misses + misses.sum(axis=0)
    return CELL + clicks, CELL * others / hits + misses


def estimated(seen: Counted) -> Prior:
    """The Beta distribution that variants are drawn from, by the method of moments.

    With n_i outcomes and rate r_i of variant i, N = sum n_i, and m the pooled rate, the variance
    between variants is (sum n_i (r_i - m)^2 - (G - 1) m (1 - m)) / (N - sum n_i^2 / N), the
    unbiased analysis-of-variance estimate (Kleinman 1973). The mean is that of ``START`` and all
    outcomes together; where too little was seen to tell, the pseudo-clicks are those of ``START``.
    """
    shown = (seen.clicks + seen.misses)[0]
    known = shown > 0.0
    shown, clicks = shown[known], seen.clicks[0, known]
    total, hits = shown.sum(), clicks.sum()
    mean = float((START.clicks + hits) / (START.clicks + START.misses + total))
    if len(shown) < ENOUGH or hits < ENOUGH:
        return Prior(mean, START.clicks)
    pooled = hits / total
    noise = pooled * (1.0 - pooled)
    spread = (shown * (clicks / shown - pooled) ** 2).sum() - (len(shown) - 1) * noise
    variance = spread / (total - (shown**2).sum() / total)
    weight = pooled * (noise / variance - 1.0) if variance > 0.0 else MOST
    return Prior(mean, float(np.clip(weight, LEAST, MOST)))


class Thompson:
    """Thompson sampling from a belief."""

    def __init__(self, belief: Belief, *, personas: int, sharpness: float, seed: int) -> None:
        """``personas``: P that are told apart; 1 for none. ``sharpness``: s above."""
        self._belief = belief
        self._sharpness = sharpness
        self._counts = Counts(personas)
        self._seed = seed
        self._beliefs: dict[str, tuple[Spot, Floats, Floats]] = {}

    def choose(self, batch: Batch) -> Whole:
        """See ``Player``."""
        a, b = self._believed(batch.spot)
        n, arms = len(batch.draw), len(batch.spot.arms)
        if len(a) > 1:
            a, b = a[batch.persona], b[batch.persona]
        random = np.random.default_rng([self._seed, int(batch.draw[0] * 2**53)])
        rates = random.beta(a, b, size=(n, arms))
        chosen: Whole = np.argmax(rates, axis=1)
        return chosen

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """See ``Player``."""
        self._counts.add(batch, rows, chosen, rewards)

    def refresh(self) -> None:
        """Beliefs are formed anew."""
        self._beliefs.clear()

    def close(self) -> None:
        """Nothing is held."""

    def _believed(self, spot: Spot) -> tuple[Floats, Floats]:
        known = self._beliefs.get(spot.id)
        if known is None or known[0] is not spot:
            a, b = self._belief(self._counts, spot)
            known = self._beliefs[spot.id] = spot, a * self._sharpness, b * self._sharpness
        return known[1:]


def _thompson(
    words: str, belief: Belief, *, sharpness: float = 1.0, by_persona: bool = False
) -> Rival:
    def make(world: World, seed: int) -> Player:
        personas = len(world.personas) if by_persona else 1
        return Thompson(belief, personas=personas, sharpness=sharpness, seed=seed)

    return Rival(words, make)


RIVALS: Final[Mapping[str, Rival]] = {
    "beta": _thompson("Thompson sampling, Beta(1, 1)", flat),
    "beta-informed": _thompson("Thompson sampling, prior from the site's own past", informed),
    "beta-sharp4": _thompson(
        "Thompson sampling, prior from the site's own past, counts times 4", informed, sharpness=4.0
    ),
    "beta-sharp16": _thompson(
        "Thompson sampling, prior about the placement's mean, counts times 16",
        centred,
        sharpness=16.0,
    ),
    "beta-persona": _thompson(
        "Thompson sampling, Beta(1, 1), each persona by itself", flat, by_persona=True
    ),
    "beta-hier": _thompson(
        "Thompson sampling, each persona's prior about the variant's mean, counts times 4",
        hierarchical,
        sharpness=4.0,
        by_persona=True,
    ),
}
