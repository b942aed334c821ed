"""Partial pooling: what a variant earns with a persona, from everything that speaks for it.

Rewards are taken relative to what the placement earns with the persona (``Base.unit``), so that
the same few numbers describe click rates of 0.1 % and of 50 %. A candidate's relative reward is

    theta[a, z] = prior[a, z] + arm[a] + own[a, z]        arm ~ N(0, arms^2), own ~ N(0, own^2)

with ``prior`` from Vowpal Wabbit (tags, words, what such creatives earned elsewhere), ``arm`` what
the variant is to everybody, ``own`` what it is to this persona besides. The mean of n rewards in a
cell is normal around theta with variance ``noise / n``. The posterior is that of the two-level
normal model (Gelman et al., Bayesian Data Analysis, 3rd ed., ch. 5.4): cells where little was seen
lean on the variant, a variant where little was seen leans on the prior, and each as far as the
spreads ``arms`` and ``own`` say, which ``spreads`` learns from the site's rewards.

Personas that do not differ make ``own`` small, and cost nothing; personas that do make it large,
and each gets its own best variant. One bandit a persona would have to learn everything once for
each; one bandit for all could never tell them apart.

Sums run over personas first and in a fixed order, without library reductions whose order depends
on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from bandit_service.policy.best import Floats
from bandit_service.policy.cells import Cells, Placement

LEAST: Final = 0.05
"""The least relative reward that is expected of anything, where rewards are not negative."""
_SITE: Final = 50.0
"""Outcomes' worth of prior that the settings' typical reward has about a site."""
_PLACEMENT: Final = 3.0
_PERSONA: Final = 20.0
"""Rewards' worth of prior: of the site about a placement, and of a placement about a persona on it
(as of everybody about a persona)."""
_RARE: Final = 50.0
"""Decisions a reward, as far as is known before the first: makes a click of the usual 2 %."""
_LEAST_NOISE: Final = 0.02
_LEAST_UNIT: Final = 1e-7


class Base(NamedTuple):
    """What a placement earns with a persona."""

    unit: float
    """Mean absolute reward: what relative rewards are relative to."""
    level: float
    """Mean reward in units; 1 where rewards are never negative."""
    noise: float
    """Variance of one reward in units."""
    worth: float
    """A typical reward that is not 0: rewards divided by it count clicks."""
    everybody: float
    """Mean absolute reward of the placement with all personas."""


def base_of(cells: Cells, placement: Placement | None, persona: str, typical: float) -> Base:
    """What a placement earns with a persona, from the site's, the placement's and its own sums.

    ``typical`` is what a site is taken to earn before anything was seen.
    """
    site = cells.site
    worth = site.s / site.a if site.a > 0.0 else _RARE * typical
    unit = (site.a + _SITE * typical) / (site.n + _SITE)
    level = (site.r + worth) / (site.a + worth)
    everywhere = cells.personas.get(persona)
    ratio = 1.0
    if everywhere is not None:
        doubt = _PERSONA * worth
        ratio = (everywhere.a + doubt) / (everywhere.expected + doubt)
    if placement is not None:
        total, doubt = placement.total, _PLACEMENT * worth * placement.weight
        level = (total.r + doubt * level) / (total.a + doubt)
        unit = (total.a + doubt) / (total.n + doubt / unit)
    everybody = unit
    if placement is not None:
        own = placement.personas.get(persona)
        if own is not None:
            doubt = _PERSONA * worth * placement.weight
            ratio *= (own.a + doubt) / (own.n * unit * ratio + doubt)
    unit = max(unit * ratio, _LEAST_UNIT * worth)
    noise = max(worth / unit - level * level, _LEAST_NOISE)
    return Base(unit, level, noise, worth, everybody)


class Seen(NamedTuple):
    """Cells of K candidates and Z personas, whose first is the one in question."""

    n: Floats
    """Z x K outcomes"""
    relative: Floats
    """Z x K sums of rewards in units"""
    predicted: Floats
    """Z x K sums of what VW predicted"""
    closed: Floats
    """Z x K outcomes that it predicted"""
    noise: Floats
    """Z"""
    level: float


def seen(
    cells: Cells, placement: Placement | None, arms: Sequence[str], persona: str, typical: float
) -> tuple[Base, Seen]:
    """The cells of some candidates, for a decision about ``persona``."""
    base = base_of(cells, placement, persona, typical)
    others = () if placement is None else (z for z in placement.personas if z != persona)
    personas = [persona, *others]
    bases = [base, *(base_of(cells, placement, z, typical) for z in personas[1:])]
    shape = (len(personas), len(arms))
    n, relative, predicted, closed = (np.zeros(shape) for _ in range(4))
    if placement is not None:
        scale = 1.0 / placement.weight
        row = {z: at for at, z in enumerate(personas)}
        for column, name in enumerate(arms):
            arm = placement.arms.get(name)
            for z, cell in {} if arm is None else arm.cells.items():
                at = row[z]
                n[at, column] = cell.n * scale
                relative[at, column] = cell.r * scale / bases[at].unit
                predicted[at, column] = cell.f * scale
                closed[at, column] = cell.closed * scale
    noise = np.array([one.noise for one in bases])
    return base, Seen(n, relative, predicted, closed, noise, base.level)


class Posterior(NamedTuple):
    """Of K candidates with the persona in question, for G settings of the spreads: G x K each."""

    mean: Floats
    """Relative rewards"""
    variance: Floats


def posterior(seen: Seen, prior: Floats, arms: Floats, own: Floats) -> Posterior:
    """What is known of each candidate with the first of the personas.

    Args:
        seen: Z x K cells.
        prior: G x K, expected relative rewards before anything was seen.
        arms: G standard deviations of ``arm``.
        own: G standard deviations of ``own``.

    Source: Gelman et al. (2013), ch. 5.4; the sums over cells integrate ``own`` out.
    """
    arms2, own2 = (arms * arms)[:, None], (own * own)[:, None]
    n, noise = seen.n[:, None, :], seen.noise[:, None, None]
    spread = n * own2 + noise  # Z x G x K, as are the next two
    told_of_arm = n / spread
    moved = (seen.relative[:, None, :] - n * prior) / spread
    precision, towards = 1.0 / arms2 + np.zeros_like(prior), np.zeros_like(prior)
    for at in range(len(seen.noise)):
        precision += told_of_arm[at]
        towards += moved[at]
    arm = towards / precision
    told = seen.n[0] / seen.noise[0]
    within = 1.0 / (1.0 / own2 + told)
    mine = (seen.relative[0] - seen.n[0] * prior) / seen.noise[0]
    lean = within / own2
    mean = prior + lean * arm + within * mine
    return Posterior(mean, within + lean * lean / precision)
