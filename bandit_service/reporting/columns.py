"""The sums that are kept of one variant and one persona: a row of WIDTH numbers.

A row is of the units of one line-up (see ``lineups``) in which one variant was, or could have been,
shown to one persona:

    Counts, of the policy and of the holdout      2 x 6
        shown      units, as they are opened
        rewarded   units that earned more than 0, as they do
        n          units that are settled; what follows is of these
        views      how often they were seen
        r, r2      the sum of their rewards, and of the rewards' squares
    Weighted, of each half of the visitors        2 x 8, policy and holdout together
        w, wr, w2, w2r, w2r2    sums over settled units, w = 1 / the logged propensity
        top        the largest w
        asked      settled units in which the variant could have been shown, were it or not
        spread     the sum over those of 1 / its propensity

The propensity is that of the whole draw, holdout included, so only both arms of the experiment
together carry the weights. ``asked`` and ``spread`` know of weights that have not come yet: a
variant that was shown to one kind of visitor alone has small weights and a large ``spread``.

All are sums but ``top``, which is a maximum, so rows of apart merge into the row of the whole
(``merged``). 28 numbers of 8 bytes: arrays, because 500 placements of 100 variants and 5 personas
make 250,000 rows. Cells of (variant, persona, holdout, half) with all sums in each were rejected:
they take more than twice the room, and nothing asks for half of the holdout's weights.
"""

from __future__ import annotations

from typing import Final

from bandit_service.reporting.sequences import Floats

SHOWN, REWARDED, N, VIEWS, R, R2 = range(6)
"""Places in Counts."""
W, WR, W2, W2R, W2R2, TOP, ASKED, SPREAD = range(8)
"""Places in Weighted."""
POLICY, HOLDOUT = range(2)
COUNTS: Final = 6
WEIGHTED: Final = 8
"""How many places each has."""
WEIGHTS_AT: Final = 2 * COUNTS
"""Where in a row the weighted sums begin."""
WIDTH: Final = WEIGHTS_AT + 2 * WEIGHTED
TOPS: Final = [WEIGHTS_AT + TOP, WEIGHTS_AT + WEIGHTED + TOP]
"""Places in a row that are maxima."""


def counts_at(*, holdout: bool) -> int:
    """Where in a row the counts of an arm of the experiment begin."""
    return COUNTS if holdout else 0


def weighted_at(half: int) -> int:
    """Where in a row the weighted sums of a half of the visitors begin."""
    return WEIGHTS_AT + half * WEIGHTED


def merged(rows: Floats, axis: int) -> Floats:
    """The rows of all along ``axis`` of an array (..., WIDTH) as one."""
    found: Floats = rows.sum(axis=axis)
    found[..., TOPS] = rows[..., TOPS].max(axis=axis, initial=0.0)
    return found


def counts(rows: Floats) -> Floats:
    """Of rows (..., WIDTH) the counts (..., 2, 6), of the policy and of the holdout."""
    return rows[..., :WEIGHTS_AT].reshape(*rows.shape[:-1], 2, COUNTS)


def halves(rows: Floats) -> Floats:
    """Of rows (..., WIDTH) the weighted sums (..., 2, 8) of each half of the visitors."""
    return rows[..., WEIGHTS_AT:].reshape(*rows.shape[:-1], 2, WEIGHTED)


def weighted(rows: Floats) -> Floats:
    """Of rows (..., WIDTH) the weighted sums (..., 8) of all visitors."""
    apart = halves(rows)
    found: Floats = apart.sum(axis=-2)
    found[..., TOP] = apart[..., TOP].max(axis=-1)
    return found


def everybody(sums: Floats, axis: int) -> Floats:
    """Weighted sums (..., 8) of all along ``axis`` as one."""
    found: Floats = sums.sum(axis=axis)
    found[..., TOP] = sums[..., TOP].max(axis=axis, initial=0.0)
    return found
